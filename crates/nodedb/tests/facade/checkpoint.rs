use crate::world::{World, contents, copy};
use nodedb::{CheckpointRequest, CreateOptions, Database, ErrorKind, NewCollection, WriteOptions};
use std::fs;

fn filled(world: &World) -> Database {
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("notes")).expect("created");
    fill(&database, 0..800);
    database
}

fn fill(database: &Database, keys: std::ops::Range<u32>) {
    let notes = database.collection("notes").expect("found");
    let value = format!("\"{}\"", "x".repeat(400));
    for key in keys {
        notes.put_raw(key.to_string(), value.as_bytes(), WriteOptions::default()).expect("put");
    }
}

fn checkpoint(database: &Database) -> nodedb::CheckpointReport {
    database.checkpoint(CheckpointRequest::default()).expect("checkpoint")
}

/// D-5: only an end-to-end look at a log that shrinks while the data survives finds two faults that
/// hide each other.
#[test]
fn the_log_shrinks_and_the_data_survives() {
    let world = World::new();
    let database = filled(&world);
    let before = database.status().expect("status");
    let report = checkpoint(&database);
    assert_eq!(report.outcome.name(), "advanced", "{report:?}");
    assert!(report.reclaimed_segments > 0, "{report:?}");
    let after = database.status().expect("status");
    assert!(after.wal_bytes < before.wal_bytes, "{before:?} {after:?}");
    assert!(after.oldest_lsn > before.oldest_lsn);
    drop(database);
    let database = world.reopen();
    assert_eq!(database.collections().expect("listed")[0].documents, 800);
}

/// D-6: a vshard without a single write neither pins the log nor stops a checkpoint.
#[test]
fn idle_vshards_do_not_pin_the_log() {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("notes").with_partitions(1);
    database.create_collection(new).expect("created");
    fill(&database, 0..800);
    let report = checkpoint(&database);
    assert!(report.reclaimed_segments > 0, "{report:?}");
    assert_eq!(report.redo_lsn, report.checkpoint_lsn.expect("recorded"));
}

/// D-6: with 63 of 64 vshards idle for ever, the log is no longer than what is written between two
/// checkpoints, and two segments.
#[test]
fn sixty_three_idle_vshards_leave_the_log_short() {
    let world = World::new();
    let segment_bytes = 64 << 10;
    let database = world.open(CreateOptions { vshards: 64, segment_bytes, ..World::small() });
    let new = NewCollection::named("notes").with_partitions(1);
    database.create_collection(new).expect("created");
    for round in 0..10 {
        fill(&database, round * 300..(round + 1) * 300);
        let report = checkpoint(&database);
        assert_eq!(report.outcome.name(), "advanced", "{report:?}");
        let status = database.status().expect("status");
        assert!(status.wal_bytes <= 2 * segment_bytes, "round {round}: {status:?}");
    }
    let before = database.status().expect("status").durable_lsn;
    for _ in 0..3 {
        assert_eq!(checkpoint(&database).outcome.name(), "unchanged");
    }
    assert_eq!(database.status().expect("status").durable_lsn, before, "idle, it logs nothing");
}

#[test]
fn an_idle_database_records_nothing() {
    let world = World::new();
    let database = filled(&world);
    checkpoint(&database);
    let before = database.status().expect("status").durable_lsn;
    for _ in 0..3 {
        assert_eq!(checkpoint(&database).outcome.name(), "unchanged");
    }
    assert_eq!(database.status().expect("status").durable_lsn, before);
}

/// P2: an older generation of a vshard's files is put back. Its own floor is below the proven one;
/// starting at the recorded floor would silently skip what lies between.
#[test]
fn an_older_generation_put_back_is_refused() {
    let world = World::new();
    let database = filled(&world);
    checkpoint(&database);
    database.close().expect("closed");
    copy(&world.dir().join("vshards/0001"), &world.path("old"));
    let database = world.reopen();
    fill(&database, 1000..1800);
    checkpoint(&database);
    database.close().expect("closed");
    fs::remove_dir_all(world.dir().join("vshards/0001")).expect("removed");
    copy(&world.path("old"), &world.dir().join("vshards/0001"));
    let error = Database::open_with(world.dir(), World::options(None)).expect_err("older");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

/// P13: both CONTROL slots hold the new redo before anything is deleted, so one damaged slot costs
/// nothing.
#[test]
fn one_damaged_control_slot_after_reclaim_costs_nothing() {
    for slot in [0, 4096] {
        let world = World::new();
        let database = filled(&world);
        checkpoint(&database);
        database.close().expect("closed");
        let path = world.dir().join("wal/CONTROL");
        let mut bytes = fs::read(&path).expect("read");
        bytes[slot + 40] ^= 0xff;
        fs::write(&path, bytes).expect("written");
        let database = world.reopen();
        assert_eq!(database.collections().expect("listed")[0].documents, 800);
    }
}

/// A damaged file of any engine is refused with its name, and nothing is changed.
#[test]
fn damage_is_named_and_nothing_is_changed() {
    let world = World::new();
    let database = filled(&world);
    checkpoint(&database);
    database.close().expect("closed");
    for engine in ["documents", "vectors", "catalog"] {
        let path = world.dir().join("vshards/0002").join(engine).join("MANIFEST");
        let sound = fs::read(&path).expect("read");
        let mut damaged = sound.clone();
        damaged[20] ^= 1;
        fs::write(&path, damaged).expect("written");
        let before = contents(&world.dir().join("vshards"));
        let error = Database::open_with(world.dir(), World::options(None)).expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(engine), "{error}");
        assert_eq!(contents(&world.dir().join("vshards")), before);
        let report = nodedb::verify_database(world.dir()).expect("verified");
        assert_eq!(report.problems.len(), 1, "{report:?}");
        fs::write(&path, sound).expect("written");
    }
    assert!(nodedb::verify_database(world.dir()).expect("verified").is_ok());
}

#[test]
fn writes_go_on_while_checkpoints_run() {
    let world = World::new();
    let database = filled(&world);
    let other = database.clone();
    let writer = std::thread::spawn(move || fill(&other, 1000..4000));
    while !writer.is_finished() {
        checkpoint(&database);
    }
    writer.join().expect("no panic");
    checkpoint(&database);
    drop(database);
    assert_eq!(world.reopen().collections().expect("listed")[0].documents, 3800);
}
