//! The thread that does a core's slow work: flushes, merges, images.

use crate::{
    Answer, DataError,
    engines::{FrozenEngine, PersistedEngine},
    image::{FileState, ImageJob},
    task::Task,
};
use nodedb_bridge::{Bridge, Reply};
use nodedb_document::{TableMaintenance, TableSnapshot};
use nodedb_engine::{DurableLog, EngineError, EngineKind, Hurry, IoBudget};
use nodedb_env::{Env, Files, Thread};
use nodedb_types::{CoreId, VshardId};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

/// Images of a core that may wait.
const IMAGES_MAX: usize = 64;

/// Something to do. A vshard has at most one flush per engine and one merge here, so the queue is
/// bounded by what a core can hand out.
#[derive(Debug)]
pub(crate) enum Job {
    /// Until it is begun, a merge before it does not wait for the budget.
    Persist(VshardId, FrozenEngine, Hurry),
    Compact(VshardId, TableMaintenance),
    Image(ImageJob),
}

/// Something done, for the core to install.
#[derive(Debug)]
pub(crate) enum Done {
    Persisted(VshardId, EngineKind, Result<PersistedEngine, EngineError>),
    Compacted(VshardId, Result<Option<TableSnapshot>, EngineError>),
}

/// A core's side of its maintenance thread.
#[derive(Debug)]
pub(crate) struct Maintenance {
    shared: Arc<Desk>,
    budget: Arc<IoBudget>,
    thread: Option<Box<dyn Thread>>,
}

#[derive(Debug, Default)]
struct Desk {
    jobs: Mutex<Jobs>,
    waiting: Condvar,
    done: Mutex<Vec<Done>>,
}

#[derive(Debug, Default)]
struct Jobs {
    queue: VecDeque<Job>,
    images: usize,
    closed: bool,
}

/// The thread's own side.
struct Worker {
    desk: Arc<Desk>,
    core: CoreId,
    bridge: Bridge<Task, Answer>,
    log: Arc<dyn DurableLog>,
    files: Arc<dyn Files>,
    states: BTreeMap<VshardId, FileState>,
}

/// What a maintenance thread is made of.
pub(crate) struct MaintenanceParts {
    pub(crate) core: CoreId,
    pub(crate) bridge: Bridge<Task, Answer>,
    pub(crate) log: Arc<dyn DurableLog>,
    pub(crate) budget: Arc<IoBudget>,
    /// What the files of each vshard prove at the start.
    pub(crate) states: BTreeMap<VshardId, FileState>,
}

impl Maintenance {
    /// Starts the thread.
    pub(crate) fn start(env: &Env, parts: MaintenanceParts) -> Result<Self, DataError> {
        let shared = Arc::new(Desk::default());
        let worker = Worker {
            desk: Arc::clone(&shared),
            core: parts.core,
            bridge: parts.bridge,
            log: parts.log,
            files: Arc::clone(&env.files),
            states: parts.states,
        };
        let name = format!("nodedb-maint-{}", parts.core);
        let thread = env.threads.spawn(&name, Box::new(move || worker.run()));
        let thread = thread.map_err(DataError::io("starting thread", Path::new(&name)))?;
        Ok(Self { shared, budget: parts.budget, thread: Some(thread) })
    }

    /// Hands a frozen engine over.
    pub(crate) fn persist(&self, vshard: VshardId, frozen: FrozenEngine) {
        self.push(Job::Persist(vshard, frozen, self.budget.hurry()));
    }

    /// Hands tables over that may be worth merging.
    pub(crate) fn compact(&self, vshard: VshardId, tables: TableMaintenance) {
        self.push(Job::Compact(vshard, tables));
    }

    /// Asks for an image; gives the reply back if too many wait.
    pub(crate) fn image(&self, image: ImageJob) -> Result<(), Reply<Answer>> {
        let mut jobs = self.shared.jobs.lock();
        if jobs.images >= IMAGES_MAX || jobs.closed {
            return Err(image.reply);
        }
        jobs.images += 1;
        jobs.queue.push_back(Job::Image(image));
        drop(jobs);
        self.shared.waiting.notify_one();
        Ok(())
    }

    fn push(&self, job: Job) {
        self.shared.jobs.lock().queue.push_back(job);
        self.shared.waiting.notify_one();
    }

    /// What was done since the last call.
    pub(crate) fn take_done(&self) -> Vec<Done> {
        std::mem::take(&mut *self.shared.done.lock())
    }

    /// Whether no image waits or is being made.
    pub(crate) fn has_no_images(&self) -> bool {
        self.shared.jobs.lock().images == 0
    }

    /// Ends the thread after the job it is at and joins it. What waits is dropped; nothing of it is
    /// needed after a reopen.
    pub(crate) fn stop(&mut self) {
        let _hurry = self.budget.hurry();
        let mut jobs = self.shared.jobs.lock();
        jobs.closed = true;
        let dropped = std::mem::take(&mut jobs.queue);
        drop(jobs);
        self.shared.waiting.notify_one();
        for job in dropped {
            if let Job::Image(image) = job {
                image.reply.send(Err(DataError::Closed));
            }
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
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
    fn run(mut self) {
        while let Some(job) = self.next() {
            let done = match job {
                Job::Persist(vshard, frozen, hurry) => {
                    drop(hurry);
                    self.persist(vshard, frozen)
                }
                Job::Compact(vshard, tables) => {
                    let result = caught(EngineKind::Documents, || tables.compact());
                    Done::Compacted(vshard, result)
                }
                Job::Image(image) => {
                    self.image(image);
                    self.desk.jobs.lock().images -= 1;
                    // A core that is closing waits for its images.
                    self.bridge.wake(self.core);
                    continue;
                }
            };
            self.desk.done.lock().push(done);
            self.bridge.wake(self.core);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = self.desk.jobs.lock();
        loop {
            if jobs.closed {
                return None;
            }
            if let Some(job) = jobs.queue.pop_front() {
                return Some(job);
            }
            self.desk.waiting.wait(&mut jobs);
        }
    }

    fn persist(&mut self, vshard: VshardId, frozen: FrozenEngine) -> Done {
        let kind = frozen.kind();
        if let Some(state) = self.states.get_mut(&vshard) {
            state.attempt(frozen.watermark());
        }
        let log = Arc::clone(&self.log);
        let result = caught(kind, || frozen.persist(&*log));
        if let (Ok(persisted), Some(state)) = (&result, self.states.get_mut(&vshard)) {
            state.prove(kind, persisted.flushed().floor());
        }
        Done::Persisted(vshard, kind, result)
    }

    fn image(&self, image: ImageJob) {
        match self.states.get(&image.vshard) {
            // A panic drops the reply, which is a typed error for the caller.
            Some(state) => {
                let run = AssertUnwindSafe(|| image.run(&*self.files, state));
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
