//! The jobs of a core's maintenance threads, and in which order they are done.

use crate::{
    engines::{FrozenEngine, PersistedEngine},
    image::{FileState, ImageJob},
};
use nodedb_document::{TableMaintenance, TableSnapshot};
use nodedb_engine::{EngineError, EngineKind, Hurry};
use nodedb_types::VshardId;
use nodedb_vector::{Rebuild, Rebuilt, VectorGarbage};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Flushes and images that are begun one after the other before a merge that waits. Writers who keep flushes
/// coming would else keep graphs and merges of tables from ever being made, and searches slow.
const URGENT_RUN: u32 = 8;

/// Images of a core that may wait.
pub(crate) const IMAGES_MAX: usize = 64;

/// Something to do. A vshard has at most one flush per engine, one merge of tables, three rebuilds and
/// the memory of as many flushes here, so the queue is bounded by what a core can hand out.
#[derive(Debug)]
pub(crate) enum Job {
    /// In a hurry, a merge before it does not wait for the budget until it is begun.
    Persist(VshardId, FrozenEngine, Option<Hurry>),
    Compact(VshardId, TableMaintenance),
    /// A vector segment in the making. It is done step by step; what else waits goes in between. While
    /// memory waits for it, nobody waits for the budget.
    Rebuild(VshardId, Rebuild, Option<Hurry>),
    /// Memory to be given back.
    Free(VshardId, VectorGarbage),
    Image(ImageJob),
}

/// Something done, for the core to install.
#[derive(Debug)]
pub(crate) enum Done {
    Persisted(VshardId, EngineKind, Result<PersistedEngine, EngineError>),
    Compacted(VshardId, Result<Option<TableSnapshot>, EngineError>),
    Rebuilt(VshardId, Result<Box<Rebuilt>, FailedRebuild>),
}

/// A rebuild that came to nothing.
#[derive(Debug)]
pub(crate) struct FailedRebuild {
    pub(crate) number: u64,
    pub(crate) error: EngineError,
}

/// What a core shares with its maintenance threads.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) jobs: Mutex<Jobs>,
    pub(crate) waiting: Condvar,
    pub(crate) done: Mutex<Vec<Done>>,
}

/// The jobs that wait and those under way.
#[derive(Debug)]
pub(crate) struct Jobs {
    queue: VecDeque<Job>,
    /// Vshards with a job under way, since when. One at a time: the files of a vshard are one thread's to
    /// write, so a job behind a disk that hangs leaves all other threads free.
    running: BTreeMap<VshardId, Duration>,
    /// The vshard served last: the others come first now.
    last: Option<VshardId>,
    /// Flushes and images that were begun since a merge, or since none waited.
    urgent: u32,
    /// What the files of each vshard prove.
    states: BTreeMap<VshardId, FileState>,
    /// Threads that do jobs, without those that were replaced and have ended.
    pub(crate) threads: usize,
    /// Images that wait or are being made.
    pub(crate) images: usize,
    pub(crate) closed: bool,
}

impl Desk {
    pub(crate) fn new(states: BTreeMap<VshardId, FileState>) -> Self {
        let jobs = Jobs {
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            last: None,
            urgent: 0,
            states,
            threads: 0,
            images: 0,
            closed: false,
        };
        Self { jobs: Mutex::new(jobs), waiting: Condvar::new(), done: Mutex::default() }
    }
}

impl Job {
    pub(crate) const fn vshard(&self) -> VshardId {
        match self {
            Self::Persist(vshard, ..)
            | Self::Compact(vshard, _)
            | Self::Rebuild(vshard, ..)
            | Self::Free(vshard, _) => *vshard,
            Self::Image(image) => image.vshard,
        }
    }

    /// Merges come behind what somebody may wait for.
    const fn is_merge(&self) -> bool {
        match self {
            Self::Compact(..) | Self::Free(..) => true,
            Self::Rebuild(_, _, hurry) => hurry.is_none(),
            Self::Persist(..) | Self::Image(_) => false,
        }
    }
}

impl Jobs {
    pub(crate) fn push(&mut self, job: Job) {
        self.queue.push_back(job);
    }

    /// Begins the next job: flushes and images before merges, but for one merge after some of those, one
    /// vshard after the other. `None` if all that wait are of vshards that have one under way.
    pub(crate) fn begin(&mut self, now: Duration) -> Option<Job> {
        let merge_first = self.urgent >= URGENT_RUN;
        let order = |job: &Job| {
            (job.is_merge() != merge_first, Some(job.vshard()) <= self.last, job.vshard())
        };
        let free = |job: &Job| !self.running.contains_key(&job.vshard());
        let waiting = self.queue.iter().enumerate().filter(|(_, job)| free(job));
        // The first of equals: the jobs of a vshard stay in order.
        let (index, _) = waiting.min_by_key(|(_, job)| order(job))?;
        let merges_wait = self.queue.iter().any(|job| job.is_merge() && free(job));
        let job = self.queue.remove(index)?;
        let passed_over = merges_wait && !job.is_merge();
        self.urgent = if passed_over { self.urgent.saturating_add(1) } else { 0 };
        self.last = Some(job.vshard());
        let other = self.running.insert(job.vshard(), now);
        assert!(other.is_none(), "a vshard has one job under way");
        Some(job)
    }

    /// A job has ended. Answers how long it took.
    pub(crate) fn end(&mut self, vshard: VshardId, now: Duration) -> Duration {
        let since = self.running.remove(&vshard);
        now.saturating_sub(since.unwrap_or(now))
    }

    /// When to look whether a job that waits needs a thread of its own: once each of the threads has been at
    /// its job for too long. While one is free, later than `now`: it may come to hang before it comes to
    /// this job. `None` if nothing waits.
    pub(crate) fn relief_due(&self, now: Duration, patience: Duration) -> Option<Duration> {
        let free = |job: &Job| !self.running.contains_key(&job.vshard());
        if self.closed || !self.queue.iter().any(free) {
            return None;
        }
        let busy = self.running.len() >= self.threads;
        let since = self.running.values().max().filter(|_| busy);
        Some(since.copied().unwrap_or(now).saturating_add(patience))
    }

    pub(crate) fn state(&mut self, vshard: VshardId) -> Option<&mut FileState> {
        self.states.get_mut(&vshard)
    }

    /// Takes all that waits, for a desk that closes.
    pub(crate) fn close(&mut self) -> VecDeque<Job> {
        self.closed = true;
        std::mem::take(&mut self.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Op, task::Task};
    use nodedb_bridge::{Bridge, BridgeOptions, Priority, Received, Request};
    use nodedb_engine::{
        CatalogChange, Collection, CollectionKind, Engine, Floor, IndexState, Metric, Redo,
        VectorIndex, VectorStorage,
    };
    use nodedb_env::{Env, RealFiles};
    use nodedb_types::{CollectionId, CoreId, IndexId, LogEpoch, Lsn, Name, Stamp, TenantId};
    use nodedb_vector::VectorEngine;
    use std::{path::Path, sync::Arc};

    fn image(vshard: u16) -> Job {
        let options = BridgeOptions::default();
        let (bridge, mut inboxes) = Bridge::<Task, Answer>::new(1, options, Env::real().clock);
        let request = Request {
            tenant: TenantId::DEFAULT,
            vshard: VshardId::new(vshard),
            op: Task::Op(Box::new(Op::Status)),
            deadline: Duration::MAX,
            priority: Priority::Foreground,
            bytes: 0,
        };
        let ticket = bridge.send(CoreId::new(0), request).expect("room");
        let Received::Request(envelope) = inboxes[0].receive(None) else {
            panic!("a request was sent");
        };
        drop(ticket);
        Job::Image(ImageJob {
            vshard: VshardId::new(vshard),
            from: "from".into(),
            into: "into".into(),
            floors: EngineKind::ALL.map(|kind| (kind, Floor::default())),
            reply: envelope.reply,
        })
    }

    /// Makes memory to be given back, which is the simplest of merges.
    fn garbage(dir: &Path) -> impl FnMut() -> VectorGarbage {
        let files = Arc::new(RealFiles);
        let mut engine = VectorEngine::create(files, &dir.join("vectors")).expect("a new engine");
        let mut lsn = Lsn::FIRST;
        move || {
            let mut apply = |change| {
                let stamp = Stamp { epoch: LogEpoch::new(1), lsn };
                engine.apply(stamp, TenantId::DEFAULT, &Redo::Catalog(change));
                lsn = lsn.next();
            };
            let index = VectorIndex {
                id: IndexId::new(1),
                field: "field".to_owned(),
                dimensions: 2,
                metric: Metric::L2,
                storage: VectorStorage::default(),
                state: IndexState::default(),
            };
            let id = CollectionId::new(1);
            apply(CatalogChange::CreateCollection(Collection {
                id,
                tenant: TenantId::DEFAULT,
                name: Name::new("notes").expect("a good name"),
                kind: CollectionKind::Document,
                partitions: 1,
                vectors: vec![index],
                fields: Vec::new(),
            }));
            apply(CatalogChange::DropCollection { id, indexes: vec![IndexId::new(1)] });
            engine.take_garbage().expect("of the index that was dropped")
        }
    }

    fn begin(jobs: &mut Jobs, now: u64) -> Option<u16> {
        jobs.begin(Duration::from_secs(now)).map(|job| job.vshard().get())
    }

    #[test]
    fn vshards_take_turns_and_have_one_job_under_way() {
        let desk = Desk::new(BTreeMap::new());
        let mut jobs = desk.jobs.lock();
        for vshard in [0, 0, 0, 1, 2, 1] {
            jobs.push(image(vshard));
        }
        let mut served = Vec::new();
        while let Some(vshard) = begin(&mut jobs, 0) {
            served.push(vshard);
            jobs.end(VshardId::new(vshard), Duration::ZERO);
        }
        assert_eq!(served, [0, 1, 2, 0, 1, 0]);
        jobs.push(image(4));
        jobs.push(image(4));
        assert_eq!(begin(&mut jobs, 0), Some(4));
        assert_eq!(begin(&mut jobs, 0), None, "its files are one thread's to write");
    }

    /// Flushes that never ceased kept every graph from being built, and the tables from being merged.
    #[test]
    fn a_merge_waits_for_a_bounded_number_of_flushes_and_they_for_one_merge() {
        let desk = Desk::new(BTreeMap::new());
        let mut jobs = desk.jobs.lock();
        let dir = tempfile::tempdir().expect("a directory");
        let mut garbage = garbage(dir.path());
        for _ in 0..3 {
            jobs.push(Job::Free(VshardId::new(1), garbage()));
        }
        let mut begun = String::new();
        for _ in 0..40 {
            // Whenever one is done, the next is there.
            jobs.push(image(0));
            let job = jobs.begin(Duration::ZERO).expect("a job");
            begun.push(if job.is_merge() { 'M' } else { 'f' });
            jobs.end(job.vshard(), Duration::ZERO);
        }
        let one = "ffffffffM";
        assert_eq!(begun, [one, one, one, "fffffffffffff"].concat());
    }

    #[test]
    fn a_job_that_waits_behind_one_that_hangs_is_relieved() {
        let desk = Desk::new(BTreeMap::new());
        let mut jobs = desk.jobs.lock();
        let patience = Duration::from_secs(10);
        let second = Duration::from_secs;
        jobs.threads = 1;
        assert_eq!(jobs.relief_due(second(1), patience), None, "nothing waits");
        jobs.push(image(0));
        jobs.push(image(0));
        // A core slept here for ever: the thread was free when it looked, and hung soon after.
        assert_eq!(jobs.relief_due(second(1), patience), Some(second(11)), "a thread is free");
        assert_eq!(begin(&mut jobs, 5), Some(0));
        assert_eq!(jobs.relief_due(second(6), patience), None, "the other is of the same vshard");
        jobs.push(image(1));
        assert_eq!(jobs.relief_due(second(6), patience), Some(second(15)));
        jobs.threads = 2;
        assert_eq!(jobs.relief_due(second(15), patience), Some(second(25)), "one is free");
        assert_eq!(begin(&mut jobs, 15), Some(1));
        assert_eq!(jobs.relief_due(second(16), patience), None, "nothing else waits");
        assert_eq!(jobs.end(VshardId::new(0), Duration::from_secs(30)), Duration::from_secs(25));
    }
}
