//! The suite that every engine must pass: replay, prefixes, floors, refusals, faults, power cuts.
//!
//! An engine's test makes a [`Subject`] of it and calls [`check`] with a [`Disk`] that can fail and
//! lose power. The suite knows no engine's insides: it compares a textual dump of the logical state
//! with a model that the subject computes from the same records in the plainest way.
//!
//! Every failed check panics, as tests do, and names the seed and the step.

mod faults;
mod floors;
mod history;
mod log;
mod replay;

pub use history::{Chance, Record};
pub use log::TestLog;

use crate::{Engine, EngineError, Frozen};
use nodedb_env::Files;
use nodedb_types::Lsn;
use std::{fmt::Debug, path::Path, sync::Arc};

/// An engine under test.
pub trait Subject: Debug {
    /// The engine.
    type Engine: Engine;

    /// Makes an empty engine in a directory that does not exist.
    ///
    /// # Errors
    /// What the engine says.
    fn create(&self, files: Arc<dyn Files>, dir: &Path) -> Result<Self::Engine, EngineError>;

    /// Loads the engine.
    ///
    /// # Errors
    /// What the engine says.
    fn load(&self, files: Arc<dyn Files>, dir: &Path) -> Result<Self::Engine, EngineError>;

    /// The logical state as text. Equal states have equal texts.
    fn dump(&self, engine: &Self::Engine) -> String;

    /// What [`Subject::dump`] must say after these records, by a model without files.
    fn model(&self, records: &[Record]) -> String;

    /// Valid records with ascending positions, some of which concern other engines only.
    fn history(&self, chance: &mut Chance, count: usize) -> Vec<Record>;
}

/// A disk whose power can be cut.
pub trait Disk: Debug + Sized {
    /// An empty disk; the seed decides what power cuts leave.
    fn new(seed: u64) -> Self;

    /// The disk as the engine sees it.
    fn files(&self) -> Arc<dyn Files>;

    /// Lets every call fail after so many more that change the disk.
    fn die_after(&self, operations: u64);

    /// Calls so far that change the disk.
    fn operations(&self) -> u64;

    /// Lets the `nth` call of that sort from now (1 is the next) fail once.
    fn fail(&self, fault: Fault, nth: u64);

    /// Withdraws what [`Disk::fail`] asked for and has not happened.
    fn heal(&self);

    /// What may be on the disk after a power cut or a kill now: at least one image that lost
    /// everything unsynced, one that kept everything, and some in between.
    fn images(&self) -> Vec<Self>;
}

/// What can fail once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A write.
    Write,
    /// A sync of a file.
    Sync,
    /// A sync of a directory.
    SyncDirectory,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Write, Self::Sync, Self::SyncDirectory];
}

/// Where the suite puts the engine.
const DIR: &str = "/engine";

/// Runs the whole suite with a few seeds.
///
/// # Panics
/// If the engine breaks a rule.
pub fn check<S: Subject, D: Disk>(subject: &S) {
    for seed in 1..=4 {
        let case = Case::<S, D>::new(subject, seed);
        case.replaying_twice_changes_nothing();
        case.every_prefix_loads_and_replays();
        case.rounds_of_flushes_equal_the_model();
        case.floors_are_true();
        case.idle_engines_are_clean();
        case.nothing_is_switched_before_it_is_durable();
        case.a_refusing_log_leaves_the_old_state();
        case.a_failed_flush_is_repeated();
        case.every_crash_of_a_flush_leaves_the_old_or_the_new();
    }
}

/// One seed's records, and what the checks share.
#[derive(Debug)]
struct Case<'a, S, D> {
    subject: &'a S,
    seed: u64,
    records: Vec<Record>,
    disk: std::marker::PhantomData<D>,
}

#[expect(clippy::expect_used, reason = "this is test code: a failed expectation is its result")]
impl<'a, S: Subject, D: Disk> Case<'a, S, D> {
    fn new(subject: &'a S, seed: u64) -> Self {
        let records = subject.history(&mut Chance::new(seed), 48);
        assert!(
            records.is_sorted_by(|a, b| a.at.lsn < b.at.lsn),
            "records come in the order of the log"
        );
        Self { subject, seed, records, disk: std::marker::PhantomData }
    }

    fn create(&self) -> (D, S::Engine) {
        let disk = D::new(self.seed);
        let engine = self.subject.create(disk.files(), Path::new(DIR));
        let engine = engine.expect("an engine can be created");
        // The name of the directory itself is the caller's business.
        disk.files().sync_dir(Path::new("/")).expect("the disk works");
        (disk, engine)
    }

    fn load(&self, disk: &D) -> S::Engine {
        let engine = self.subject.load(disk.files(), Path::new(DIR));
        engine.expect("what a flush or a crash leaves can be loaded")
    }

    fn apply(engine: &mut S::Engine, records: &[Record]) {
        for record in records {
            engine.apply(record.at, record.tenant, &record.redo);
        }
    }

    /// The records at or below a floor.
    fn covered(&self, floor: Option<Lsn>) -> &[Record] {
        let count = self.records.partition_point(|record| Some(record.at.lsn) <= floor);
        self.records.split_at(count).0
    }

    fn assert_state(&self, engine: &S::Engine, records: &[Record], step: &str) {
        assert_eq!(
            self.subject.dump(engine),
            self.subject.model(records),
            "seed {}, {} records: {step}",
            self.seed,
            records.len()
        );
    }

    /// An engine loaded from `disk` has exactly what its floor says, and the log brings the rest.
    fn assert_loads(&self, disk: &D, step: &str) -> Option<Lsn> {
        let mut engine = self.load(disk);
        let floor = engine.flushed().floor();
        self.assert_state(&engine, self.covered(floor), step);
        assert_eq!(engine.dirty(), None, "{step}: what was loaded is clean");
        Self::apply(&mut engine, &self.records);
        self.assert_state(&engine, &self.records, step);
        floor
    }

    /// Freezes, persists and installs, all of which must work.
    fn flush(engine: &mut S::Engine, watermark: Lsn, log: &TestLog) {
        let Some(frozen) = engine.freeze(watermark) else {
            return;
        };
        assert_eq!(frozen.watermark(), watermark, "nothing older was frozen");
        engine.install(frozen.persist(log).expect("nothing is in the way of the flush"));
        assert_eq!(engine.flushed().floor(), Some(watermark), "the floor is the watermark");
    }

    /// The first `count` records.
    fn first(&self, count: usize) -> &[Record] {
        self.records.split_at(count).0
    }

    /// The position of the last of the first `count` records.
    fn watermark(&self, count: usize) -> Lsn {
        let last = self.first(count).last().expect("at least one record");
        last.at.lsn
    }
}
