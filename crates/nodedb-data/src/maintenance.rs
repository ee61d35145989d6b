//! The threads that do a core's slow work: flushes, merges, images.
//!
//! One thread is enough, and one at a time is what the disk likes best. But a vshard whose disk hangs must
//! not hold up the flushes of the others for ever: a job that waits while every thread has been at its own
//! for too long gets a new one. Who was replaced so ends after its job.

use crate::{
    Answer, DataError,
    ballast::{Ballast, Need},
    desk::{Desk, Done, FailedRebuild, IMAGES_MAX, Job},
    engines::FrozenEngine,
    image::{FileState, ImageJob},
    task::Task,
};
use nodedb_bridge::{Bridge, Reply};
use nodedb_document::TableMaintenance;
use nodedb_engine::{DurableLog, EngineError, EngineKind, Hurry, IoBudget, Pressure};
use nodedb_env::{Clock, Env, Files, Thread};
use nodedb_types::{CoreId, ErrorKind, VshardId};
use nodedb_vector::{Rebuild, RebuildStep, VectorGarbage};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// A core's side of its maintenance threads.
#[derive(Debug)]
pub(crate) struct Maintenance {
    env: Env,
    worker: Worker,
    budget: Arc<IoBudget>,
    /// One, and one more for each job that hangs.
    threads: Vec<Box<dyn Thread>>,
    /// When another thread may be tried again after the system gave none.
    not_before: Duration,
}

/// A thread's own side.
#[derive(Clone, Debug)]
struct Worker {
    desk: Arc<Desk>,
    core: CoreId,
    bridge: Bridge<Task, Answer>,
    log: Arc<dyn DurableLog>,
    files: Arc<dyn Files>,
    budget: Arc<IoBudget>,
    ballast: Arc<Ballast>,
    clock: Arc<dyn Clock>,
    /// How long a job may take before another thread goes on without it.
    patience: Duration,
}

/// What maintenance is made of.
pub(crate) struct MaintenanceParts {
    pub(crate) core: CoreId,
    pub(crate) bridge: Bridge<Task, Answer>,
    pub(crate) log: Arc<dyn DurableLog>,
    pub(crate) budget: Arc<IoBudget>,
    pub(crate) ballast: Arc<Ballast>,
    /// What the files of each vshard prove at the start.
    pub(crate) states: BTreeMap<VshardId, FileState>,
    pub(crate) patience: Duration,
}

impl Maintenance {
    /// Starts the first thread.
    pub(crate) fn start(env: &Env, parts: MaintenanceParts) -> Result<Self, DataError> {
        let worker = Worker {
            desk: Arc::new(Desk::new(parts.states)),
            core: parts.core,
            bridge: parts.bridge,
            log: parts.log,
            files: Arc::clone(&env.files),
            budget: Arc::clone(&parts.budget),
            ballast: parts.ballast,
            clock: Arc::clone(&env.clock),
            patience: parts.patience,
        };
        let mut maintenance = Self {
            env: env.clone(),
            worker,
            budget: parts.budget,
            threads: Vec::new(),
            not_before: Duration::ZERO,
        };
        maintenance.spawn()?;
        Ok(maintenance)
    }

    fn spawn(&mut self) -> Result<(), DataError> {
        let worker = self.worker.clone();
        let name = format!("nodedb-maint-{}", worker.core);
        // Counted before it runs: it may be replaced before this returns.
        worker.desk.jobs.lock().threads += 1;
        let thread = self.env.threads.spawn(&name, Box::new(move || worker.run()));
        if thread.is_err() {
            self.worker.desk.jobs.lock().threads -= 1;
        }
        self.threads.push(thread.map_err(DataError::io("starting thread", Path::new(&name)))?);
        Ok(())
    }

    /// Lets flushes and merges go on without the budget until the answer is dropped.
    pub(crate) fn hurry(&self) -> Hurry {
        self.budget.hurry()
    }

    /// Lets flushes and merges go on without the pace until the answer is dropped.
    pub(crate) fn press(&self) -> Pressure {
        self.budget.press()
    }

    /// Hands a frozen engine over. Whether it hurries says how long it waits behind a merge.
    pub(crate) fn persist(&self, vshard: VshardId, frozen: FrozenEngine, hurries: bool) {
        let hurry = hurries.then(|| self.budget.hurry());
        self.push(Job::Persist(vshard, frozen, hurry));
    }

    /// Hands tables over that may be worth merging.
    pub(crate) fn compact(&self, vshard: VshardId, tables: TableMaintenance) {
        self.push(Job::Compact(vshard, tables));
    }

    /// Asks for an image; gives the reply back if too many wait.
    pub(crate) fn image(&self, image: ImageJob) -> Result<(), Reply<Answer>> {
        let mut jobs = self.worker.desk.jobs.lock();
        if jobs.images >= IMAGES_MAX || jobs.closed {
            return Err(image.reply);
        }
        jobs.images += 1;
        jobs.push(Job::Image(image));
        drop(jobs);
        self.worker.desk.waiting.notify_one();
        Ok(())
    }

    /// Hands over a vector segment to be made.
    pub(crate) fn rebuild(&self, vshard: VshardId, rebuild: Rebuild) {
        let hurry = rebuild.frees_memory().then(|| self.budget.hurry());
        self.push(Job::Rebuild(vshard, rebuild, hurry));
    }

    /// Hands memory over to be freed.
    pub(crate) fn free(&self, vshard: VshardId, garbage: VectorGarbage) {
        self.push(Job::Free(vshard, garbage));
    }

    fn push(&self, job: Job) {
        self.worker.desk.jobs.lock().push(job);
        self.worker.desk.waiting.notify_one();
    }

    /// What was done since the last call.
    pub(crate) fn take_done(&self) -> Vec<Done> {
        std::mem::take(&mut *self.worker.desk.done.lock())
    }

    /// Whether no image waits or is being made.
    pub(crate) fn has_no_images(&self) -> bool {
        self.worker.desk.jobs.lock().images == 0
    }

    /// When [`Maintenance::relieve`] should look again; `None` while nothing waits.
    pub(crate) fn next_look(&self, now: Duration) -> Option<Duration> {
        let jobs = self.worker.desk.jobs.lock();
        let due = jobs.relief_due(now, self.worker.patience);
        due.map(|due| due.max(self.not_before))
    }

    /// Starts another thread if a job waits behind others that hang. There are never more threads than
    /// vshards with a job under way, and one.
    pub(crate) fn relieve(&mut self, now: Duration) {
        let (ended, running) = self.threads.drain(..).partition(|thread| thread.is_finished());
        self.threads = running;
        join(ended);
        if self.next_look(now).is_some_and(|due| due <= now) {
            tracing::warn!(core_id = %self.worker.core, "maintenance hangs: starting another thread");
            if let Err(error) = self.spawn() {
                tracing::error!(core_id = %self.worker.core, %error, "no thread for maintenance");
                self.not_before = now.saturating_add(self.worker.patience);
            }
        }
    }

    /// Ends the threads after the jobs they are at and joins them. What waits is dropped; nothing of it is
    /// needed after a reopen.
    pub(crate) fn stop(&mut self) {
        let _hurry = self.budget.hurry();
        let dropped = self.worker.desk.jobs.lock().close();
        self.worker.desk.waiting.notify_all();
        for job in dropped {
            if let Job::Image(image) = job {
                image.reply.send(Err(DataError::Closed));
            }
        }
        join(std::mem::take(&mut self.threads));
    }
}

fn join(threads: Vec<Box<dyn Thread>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a maintenance thread panicked");
        }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Worker {
    fn run(self) {
        while let Some(job) = self.next() {
            let (vshard, image) = (job.vshard(), matches!(job, Job::Image(_)));
            let done = match job {
                Job::Persist(vshard, frozen, hurry) => {
                    drop(hurry);
                    Some(self.persist(vshard, &frozen))
                }
                Job::Compact(vshard, tables) => {
                    let compact = || caught(EngineKind::Documents, || tables.compact());
                    let result = self.with_room(Need::Merge, compact);
                    Some(Done::Compacted(vshard, result))
                }
                Job::Rebuild(vshard, rebuild, hurry) => self.rebuild(vshard, rebuild, hurry),
                Job::Free(_, garbage) => {
                    drop(garbage);
                    None
                }
                Job::Image(image) => {
                    self.image(image);
                    None
                }
            };
            self.desk.done.lock().extend(done);
            let mut jobs = self.desk.jobs.lock();
            jobs.images -= usize::from(image);
            let took = jobs.end(vshard, self.clock.now());
            let replaced = took >= self.patience && jobs.threads > 1;
            jobs.threads -= usize::from(replaced);
            drop(jobs);
            // A job of this vshard may have waited for this one, with all other threads asleep.
            self.desk.waiting.notify_one();
            // Also after an image: a core that is closing waits for its images.
            self.bridge.wake(self.core);
            if replaced {
                return;
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = self.desk.jobs.lock();
        loop {
            if jobs.closed {
                return None;
            }
            if let Some(job) = jobs.begin(self.clock.now()) {
                return Some(job);
            }
            self.desk.waiting.wait(&mut jobs);
        }
    }

    fn persist(&self, vshard: VshardId, frozen: &FrozenEngine) -> Done {
        let kind = frozen.kind();
        self.note(vshard, |state| state.attempt(frozen.watermark()));
        let log = Arc::clone(&self.log);
        self.budget.spend(frozen.unmetered_bytes() as u64);
        let result = self.with_room(Need::Flush, || caught(kind, || frozen.clone().persist(&*log)));
        if let Ok(persisted) = &result {
            self.note(vshard, |state| state.prove(kind, persisted.flushed().floor()));
            self.ballast.restore();
        }
        Done::Persisted(vshard, kind, result)
    }

    /// Tries it again with the room of the ballast, as long as the disk has too little.
    fn with_room<T>(
        &self,
        need: Need,
        mut work: impl FnMut() -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        loop {
            match work() {
                Err(error) if error.kind() == ErrorKind::NoSpace && self.ballast.release(need) => {}
                result => return result,
            }
        }
    }

    fn note(&self, vshard: VshardId, change: impl FnOnce(&mut FileState)) {
        if let Some(state) = self.desk.jobs.lock().state(vshard) {
            change(state);
        }
    }

    /// Does one step. What is not done waits behind everything else.
    fn rebuild(&self, vshard: VshardId, rebuild: Rebuild, hurry: Option<Hurry>) -> Option<Done> {
        let number = rebuild.number();
        match caught(EngineKind::Vectors, || rebuild.step()) {
            Ok(RebuildStep::More(mut rebuild)) => {
                self.budget.spend(rebuild.take_unpaid());
                let mut jobs = self.desk.jobs.lock();
                if !jobs.closed {
                    jobs.push(Job::Rebuild(vshard, rebuild, hurry));
                }
                None
            }
            Ok(RebuildStep::Done(segment)) => Some(Done::Rebuilt(vshard, Ok(segment))),
            Err(error) => Some(Done::Rebuilt(vshard, Err(FailedRebuild { number, error }))),
        }
    }

    fn image(&self, image: ImageJob) {
        // The job has the vshard to itself, so this is the state of its files until it is done.
        let state = self.desk.jobs.lock().state(image.vshard).copied();
        match state {
            // A panic drops the reply, which is a typed error for the caller.
            Some(state) => {
                let run = AssertUnwindSafe(|| image.run(&*self.files, &state));
                if catch_unwind(run).is_err() {
                    tracing::error!("an image panicked");
                }
            }
            None => image.reply.send(Err(DataError::Closed)),
        }
    }
}

/// A panic of a flush is a failure of that engine; the thread goes on for the others.
fn caught<T>(
    engine: EngineKind,
    work: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(EngineError::FlushPanicked { engine }))
}
