//! The coordinator under faults: the defects of the sketch that this project began with, each as a
//! test that fails on the naive rule.
#![expect(clippy::disallowed_methods, reason = "a test has a second caller")]

use crate::{
    CheckpointOutcome, CheckpointReport, CheckpointRequest, CreateOptions, Database, Error,
    ErrorKind, NewCollection, OpenOptions, Trigger,
    open::{Existing, open},
};
use nodedb_engine::EngineKind;
use nodedb_env::Env;
use nodedb_testkit::{FaultyFiles, PathFaults};
use nodedb_types::VshardId;
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_millis(400);

struct World {
    root: TempDir,
    env: Env,
    faults: Arc<PathFaults>,
}

impl World {
    fn new() -> Self {
        let files = FaultyFiles::default();
        let faults = files.faults();
        let env = Env { files: Arc::new(files), ..Env::real() };
        Self { root: tempfile::tempdir().expect("a directory"), env, faults }
    }

    fn open(&self) -> Result<Database, Error> {
        self.open_with(&OpenOptions { checkpoint_deadline: DEADLINE, ..OpenOptions::default() })
    }

    fn open_with(&self, options: &OpenOptions) -> Result<Database, Error> {
        let create =
            CreateOptions { vshards: 4, segment_bytes: 64 << 10, ..CreateOptions::default() };
        let options = OpenOptions { create: Some(create), cores: Some(2), ..options.clone() };
        open(&self.env, &self.root.path().join("db"), options, Existing::Open)
    }

    /// A database with some documents in every vshard and a checkpoint of the first of them.
    fn filled(&self) -> Database {
        let database = self.open().expect("created");
        database.create_collection(NewCollection::named("notes")).expect("created");
        fill(&database, 0..100);
        checkpoint(&database).expect("checkpoint");
        fill(&database, 100..300);
        database
    }
}

fn fill(database: &Database, keys: std::ops::Range<u32>) {
    let notes = database.collection("notes").expect("found");
    let value = "x".repeat(400);
    for key in keys {
        notes.put(key.to_string(), &value).expect("put");
    }
}

fn checkpoint(database: &Database) -> Result<CheckpointReport, Error> {
    database.checkpoint(CheckpointRequest::default())
}

/// D-1, S1: a vshard that stays silent counts at its last proof. Leaving it out of the minimum would
/// delete the only copy of its data.
#[test]
fn a_silent_vshard_keeps_its_log_and_is_named() {
    let world = World::new();
    let database = world.filled();
    let before = database.status().expect("status");
    world.faults.hold_syncs("vshards/0001");
    let report = checkpoint(&database).expect("the others go on");
    let CheckpointOutcome::Blocked { behind, .. } = &report.outcome else {
        panic!("a silent vshard blocks: {report:?}");
    };
    // Vshard 3 shares its maintenance thread; the vshards of the other core are not held up.
    let named = |vshard| behind.iter().any(|who| who.vshard == VshardId::new(vshard));
    assert!(named(1) && !named(0) && !named(2), "{behind:?}");
    assert_eq!(report.redo_lsn, before.redo_lsn, "its last proof is the barrier before");
    let held = database.status().expect("status");
    assert!(held.oldest_lsn <= before.redo_lsn, "{held:?}");
    world.faults.release_syncs();
    // Its late answer went to the board; nothing has to be flushed again for it to count.
    let report = checkpoint(&database).expect("checkpoint");
    assert_eq!(report.outcome, CheckpointOutcome::Advanced { redo: report.redo_lsn });
    assert!(report.redo_lsn > before.redo_lsn);
}

/// D-9, S6: all vshards share one deadline; waiting for them one after another took as many.
#[test]
fn all_vshards_share_one_deadline() {
    let world = World::new();
    let database = world.filled();
    world.faults.hold_syncs("vshards/");
    let begun = world.env.clock.now();
    let report = checkpoint(&database).expect("ends at its deadline");
    let took = world.env.clock.now().saturating_sub(begun);
    world.faults.release_syncs();
    let CheckpointOutcome::Blocked { behind, .. } = report.outcome else {
        panic!("all are silent")
    };
    assert_eq!(behind.len(), 4, "{behind:?}");
    assert!(took >= DEADLINE && took < DEADLINE * 3, "took {took:?}");
}

/// D-10, S4: when the checkpoint record cannot be made durable, the caller is told, the log is
/// poisoned, CONTROL stays as it was, and nothing is deleted.
#[test]
fn a_failed_sync_of_the_record_reclaims_nothing() {
    let world = World::new();
    let database = world.filled();
    let before = database.status().expect("status");
    // Everything is durable, so the fence has nothing to sync: the record is the first to fail.
    world.faults.fail_syncs(Some("/wal/"));
    let error = checkpoint(&database).expect_err("the record cannot be synced");
    assert!(matches!(error, Error::Checkpoint { .. }), "{error:?}");
    let after = database.status().expect("status");
    assert_eq!((after.redo_lsn, after.oldest_lsn), (before.redo_lsn, before.oldest_lsn));
    assert_eq!(after.health.name(), "Poisoned");
    let notes = database.collection("notes").expect("found");
    assert_eq!(notes.put("late", &1).expect_err("poisoned").kind(), ErrorKind::Poisoned);
    assert!(notes.get("299").expect("what is durable can be read").is_some());
    // The checkpointer has stopped, and says why.
    assert_eq!(checkpoint(&database).expect_err("poisoned").kind(), ErrorKind::Poisoned);
    assert!(database.close().is_err(), "the last checkpoint fails too");
    drop((notes, database));
    world.faults.fail_syncs(None);
    let database = world.open().expect("opened again");
    assert_eq!(database.collections().expect("listed")[0].documents, 300);
}

/// D-3: a flush that fails proves nothing; the floor stays, and the vshard is named.
#[test]
fn a_failed_flush_moves_no_floor() {
    let world = World::new();
    let database = world.filled();
    let before = database.status().expect("status");
    world.faults.fail_creates(Some("vshards/0002/documents"));
    let report = checkpoint(&database).expect("the others go on");
    assert_eq!(report.outcome.name(), "blocked", "{report:?}");
    assert_eq!(report.redo_lsn, before.redo_lsn);
    let health = database.status().expect("status").health;
    assert!(health.reasons().iter().any(|reason| reason.contains("vshard 2")), "{health:?}");
    world.faults.fail_creates(None);
    assert_eq!(checkpoint(&database).expect("again").outcome.name(), "advanced");
    assert_eq!(database.status().expect("status").health.name(), "Ok");
}

/// D-13: dropping the last handle is a shutdown in order, also while a checkpoint runs.
#[test]
fn dropping_everything_in_the_middle_of_a_checkpoint_ends() {
    let world = World::new();
    let database = world.filled();
    world.faults.hold_syncs("vshards/0003");
    let other = database.clone();
    let running = std::thread::spawn(move || checkpoint(&other));
    drop(database);
    world.faults.release_syncs();
    running.join().expect("no panic").expect("it ends");
    let database = world.open().expect("opened again");
    assert_eq!(database.collections().expect("listed")[0].documents, 300);
}

/// D-12: whoever holds up three checkpoints in a row is named in the health, with since when; once it
/// flushes again it is forgotten.
#[test]
fn a_vshard_that_holds_up_three_checkpoints_degrades_the_health() {
    let world = World::new();
    let database = world.filled();
    world.faults.fail_creates(Some("vshards/0002/documents"));
    let held_up = |database: &Database| {
        let reasons = database.status().expect("status").health.reasons().to_vec();
        reasons.iter().any(|reason| reason.contains("documents held back 3 checkpoints"))
    };
    let mut since = Vec::new();
    for _ in 0..3 {
        assert!(!held_up(&database));
        let report = checkpoint(&database).expect("the others go on");
        let CheckpointOutcome::Blocked { vshard, engine, since_unix_ms, .. } = report.outcome
        else {
            panic!("vshard 2 cannot flush: {report:?}");
        };
        assert_eq!((vshard, engine), (VshardId::new(2), EngineKind::Documents));
        since.push(since_unix_ms);
    }
    assert!(since.iter().all(|at| at.abs_diff(since[0]) < 1000), "the first of them: {since:?}");
    assert!(held_up(&database));
    let last = database.status().expect("status").checkpoint.last.expect("one has run");
    assert_eq!(last.outcome.expect("no failure").name(), "blocked");
    world.faults.fail_creates(None);
    assert_eq!(checkpoint(&database).expect("again").outcome.name(), "advanced");
    assert_eq!(database.status().expect("status").health.name(), "Ok");
}

/// D-3, P13: a checkpoint that moves nothing records nothing, so a stuck vshard does not fill the log.
#[test]
fn a_blocked_checkpoint_writes_nothing() {
    let world = World::new();
    let database = world.filled();
    world.faults.fail_creates(Some("vshards/0002/documents"));
    let before = database.status().expect("status").durable_lsn;
    for _ in 0..3 {
        assert_eq!(checkpoint(&database).expect("the others go on").outcome.name(), "blocked");
    }
    assert_eq!(database.status().expect("status").durable_lsn, before);
    world.faults.fail_creates(None);
}

/// D-12: the log is not left to the timer alone: a checkpoint begins when there is much of it.
#[test]
fn a_checkpoint_begins_by_itself_when_the_log_grows() {
    let world = World::new();
    let options = OpenOptions { log_bytes_max: 256 << 10, ..OpenOptions::default() };
    let database = world.open_with(&options).expect("created");
    database.create_collection(NewCollection::named("notes")).expect("created");
    let begun = world.env.clock.now();
    let mut keys = 0..;
    loop {
        let from = keys.next().unwrap_or(0) * 100;
        fill(&database, from..from + 100);
        let status = database.status().expect("status");
        if let Some(last) = status.checkpoint.last {
            assert_eq!(last.trigger, Trigger::LogBytes);
            assert_eq!(last.outcome.expect("no failure").name(), "advanced");
            break;
        }
        let waited = world.env.clock.now().saturating_sub(begun);
        assert!(waited < Duration::from_mins(1), "{status:?}");
    }
}

mod throttle;
