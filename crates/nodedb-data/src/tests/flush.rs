//! Flushes, floors and images.
#![expect(clippy::disallowed_methods, reason = "tests put older files back by hand")]

use super::copies::copy_tree;
use super::world::{
    FIELD, NOTES, TENANT, World, at, data_dir, effective, log_options, options, proven, put,
    put_vector, vshard, wal_dir,
};
use crate::{DataError, DataOptions, DataPlane, Image, Op, Outcome, Priority, vshard_dir};
use nodedb_engine::{EngineKind, Floor};
use nodedb_types::{Durability, ErrorKind, Lsn};
use nodedb_wal::{AppendClass, Record, Wal};
use std::fs;

fn own(floors: &crate::VshardFloors, engine: EngineKind) -> Option<Lsn> {
    let found = floors.floors.iter().find(|(kind, _)| *kind == engine);
    found.and_then(|(_, floor)| floor.own())
}

#[test]
fn an_idle_core_reports_the_barrier_without_writing() {
    let world = World::new(2, options(2));
    world.flush(1).expect("flushed");
    let before = own(&world.data.floors()[1], EngineKind::Documents);
    world.put(0, "a", "1");
    let barrier = world.wal.durable();
    let floors = world.flush(1).expect("flushed");
    assert!(effective(&floors).iter().all(|floor| *floor == barrier));
    assert_eq!(own(&floors, EngineKind::Documents), before, "nothing was written");
    assert_eq!(floors.dirty, None);
}

#[test]
fn a_silent_core_is_counted_at_its_last_proof() {
    let world = World::new(2, options(2));
    let proof = world.flush(1).expect("flushed");
    world.put(1, "b", "1");
    let held = world.hold(1);
    let asked = world.send(
        vshard(1),
        Op::Flush { barrier: world.wal.durable().expect("durable"), hurries: true },
    );
    world.put(0, "a", "1");
    world.flush(0).expect("flushed");
    let board = world.data.floors();
    assert_eq!(board.len(), 2, "nobody is left out");
    assert_eq!(board[1].floors, proof.floors);
    assert!(effective(&board[0]) > effective(&board[1]));
    held.release();
    let Ok(Outcome::Flushed(late)) = asked.wait().expect("an answer") else {
        panic!("flushed");
    };
    assert!(effective(&late) > effective(&proof));
}

#[test]
fn an_idle_floor_survives_a_reopen_only_with_what_was_proven() {
    let world = World::new(2, options(2));
    world.put(0, "a", "1");
    world.flush(0).expect("flushed");
    world.flush(1).expect("flushed");
    let floors = world.data.floors();
    let statements = proven(&floors);
    let (left, again) = (world.copy(), world.copy());
    drop(world);
    let world = World::open(left, 2, options(1), statements).expect("opens");
    assert_eq!(world.replayed.records, 0, "everything is below some floor");
    assert_eq!(world.data.floors()[1].floors, floors[1].floors);
    assert_eq!(world.text(0, "a").as_deref(), Some("1"));
    drop(world);
    let world = World::open(again, 2, options(1), Vec::new()).expect("opens");
    // Without the statement the own floors count; idle engines look at their records again.
    assert!(world.replayed.records > 0);
    assert_eq!(world.text(0, "a").as_deref(), Some("1"));
}

/// P2: floor 50, proven 100. The higher of the two alone would silently skip 51 to 100.
#[test]
fn an_older_generation_put_back_is_refused() {
    let world = World::new(1, options(1));
    world.put(0, "a", "1");
    world.flush(0).expect("flushed");
    let older = world.copy();
    world.put(0, "a", "2");
    let floors = world.flush(0).expect("flushed");
    let left = world.copy();
    drop(world);
    let path = |root: &tempfile::TempDir| vshard_dir(&data_dir(root.path()), vshard(0));
    fs::remove_dir_all(path(&left)).expect("removes");
    fs::create_dir(path(&left)).expect("a directory");
    copy_tree(&path(&older), &path(&left));
    let refused = World::open(left, 1, options(1), proven(&[floors]));
    let error = refused.err().expect("refused");
    assert!(matches!(error, DataError::FloorFellBack { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn files_ahead_of_the_log_are_refused() {
    let world = World::new(1, options(1));
    world.flush(0).expect("flushed");
    let left = world.copy();
    drop(world);
    fs::remove_dir_all(wal_dir(left.path())).expect("removes");
    fs::create_dir(wal_dir(left.path())).expect("a directory");
    let env = nodedb_env::Env::real();
    let wal = Wal::create(&env, &wal_dir(left.path()), log_options()).expect("a new log");
    wal.close().expect("closes");
    drop(wal);
    let error = World::open(left, 1, options(1), Vec::new()).err().expect("refused");
    assert!(matches!(error, DataError::FloorAhead { .. }), "{error}");
}

#[test]
fn a_failed_flush_leaves_the_floor_and_the_other_vshards_go_on() {
    let world = World::new(2, options(2));
    let before = world.data.floors()[1].floors;
    world.faults.fail_creates(Some("0001/catalog"));
    let error = world.flush(1).expect_err("the disk fails");
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    let board = world.data.floors();
    let catalog = |floors: &[(EngineKind, Floor); 3]| floors[2].1;
    assert_eq!(catalog(&board[1].floors), catalog(&before));
    assert!(board[1].failure.is_some() && board[0].failure.is_none());
    world.flush(0).expect("the other vshard flushes");
    world.put(1, "b", "1");
    assert!(world.data.floors()[1].failure.is_some(), "nobody tries again by himself");
    world.faults.fail_creates(None);
    let floors = world.flush(1).expect("flushed when asked again");
    assert_eq!(floors.failure, None);
    let barrier = world.wal.durable();
    assert!(effective(&floors).iter().all(|floor| *floor >= barrier));
}

/// A world whose 64 documents have begun to be flushed, for which nobody asked.
fn overflowing() -> World {
    let world = World::new(1, DataOptions { memtable_bytes: 64 << 10, ..options(1) });
    let value = "x".repeat(8 << 10);
    for round in 0..64 {
        world.put(0, &format!("{round}"), &value);
    }
    // Turns pass while the maintenance thread works; each answer is a turn.
    let deadline = world.deadline();
    while own(&world.status(0).floors, EngineKind::Documents).is_none() {
        assert!(world.env.clock.now() < deadline, "it never flushes");
    }
    world
}

#[test]
fn a_full_memtable_flushes_by_itself() {
    let world = overflowing();
    let world = world.kill(1);
    assert_eq!(world.scan(0, 10).len(), 64);
}

/// P3 and P10: an open snapshot holds the ingestion back, so memory is bounded by refusing writes.
#[test]
fn a_vshard_that_cannot_flush_refuses_writes_at_its_limit() {
    let world = World::new(
        1,
        DataOptions { memtable_bytes: 16 << 10, memtable_bytes_max: 64 << 10, ..options(1) },
    );
    let snapshot = world.data.snapshot_for_scan(world.deadline());
    let snapshot = snapshot.expect("no poison").expect("durable");
    let value = "x".repeat(4 << 10);
    let refused = (0..64).find_map(|round| {
        let write = at(put(&format!("{round}"), &value), Durability::Sync);
        world.ask(vshard(0), write).err()
    });
    let error = refused.expect("the limit is reached");
    assert!(matches!(error, DataError::MemtableFull { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(world.text(0, "0").is_some(), "reads go on");
    drop(snapshot);
    world.flush(0).expect("flushed");
    world.put(0, "again", "1");
}

#[test]
fn replay_flushes_as_it_goes() {
    let world = World::new(1, options(1));
    let value = "x".repeat(8 << 10);
    for round in 0..64 {
        world.put(0, &format!("{round}"), &value);
    }
    let left = world.copy();
    drop(world);
    let small = DataOptions { memtable_bytes: 64 << 10, ..options(1) };
    let world = World::open(left, 1, small, Vec::new()).expect("opens");
    let floors = world.data.floors();
    assert!(own(&floors[0], EngineKind::Documents).is_some());
    assert!(floors[0].dirty.is_none_or(|dirty| dirty.bytes < 64 << 10));
    assert_eq!(world.scan(0, 7).len(), 64);
}

/// The documents are flushed far ahead of the vectors, whose flush fails. A replay that has to flush the
/// vectors on its way asked the documents to freeze as well, below what they hold, and panicked: the
/// database never opened again.
#[test]
fn replay_flushes_one_engine_that_lags_behind_another() {
    let world = World::new(1, options(1));
    let point = |x: u8| Some(vec![f32::from(x), 1.0]);
    let rows = 64_u8;
    world.faults.fail_creates(Some("0000/vectors"));
    for row in 0..rows {
        world
            .ask(vshard(0), Op::Write(put_vector(&format!("{row:02}"), "{}", point(row))))
            .expect("put");
    }
    world.flush(0).expect_err("the vectors fail");
    let floors = world.data.floors();
    assert!(own(&floors[0], EngineKind::Documents) > own(&floors[0], EngineKind::Vectors));
    let left = world.copy();
    drop(world);
    let small = DataOptions { memtable_bytes: 1 << 10, ..options(1) };
    let world = World::open(left, 1, small, Vec::new()).expect("opens");
    assert!(own(&world.data.floors()[0], EngineKind::Vectors).is_some(), "flushed on the way");
    assert_eq!(world.scan(0, 100).len(), usize::from(rows));
    let search = crate::Search {
        collection: NOTES,
        index: FIELD,
        vector: vec![63.0, 1.0],
        metric: nodedb_engine::Metric::L2,
        k: 100,
        filter: None,
        effort: crate::Effort::Usual,
    };
    let Ok(Outcome::Hits(hits)) = world.ask(vshard(0), Op::Search(search)) else {
        panic!("hits");
    };
    assert_eq!((hits.len(), &hits[0].key[..]), (usize::from(rows), &b"63"[..]));
}

#[test]
fn the_barrier_of_a_flush_must_be_durable() {
    let world = World::new(1, options(1));
    let barrier = world.wal.durable().expect("durable").next();
    let answer = world.ask(vshard(0), Op::Flush { barrier, hurries: true });
    assert!(matches!(answer, Err(DataError::InvalidRequest { .. })));
}

#[test]
fn an_image_opens_with_the_floors_it_states() {
    let world = World::new(1, options(1));
    world.put(0, "a", "1");
    world.flush(0).expect("flushed");
    world.put(0, "a", "2");
    let restored = tempfile::tempdir().expect("a directory");
    let dir = data_dir(restored.path());
    fs::create_dir(&dir).expect("a directory");
    let into = vshard_dir(&dir, vshard(0));
    let ask = |into: &std::path::Path| {
        let op = Op::Image { into: into.to_owned() };
        let deadline = world.deadline();
        let ticket = world.data.send(TENANT, vshard(0), op, deadline, Priority::Background);
        ticket.expect("there is room").wait().expect("an answer")
    };
    let Ok(Outcome::Image(image)) = ask(&into) else {
        panic!("an image");
    };
    let Image { floors, ceiling, files } = image;
    assert!(files.is_sorted() && files.iter().all(|file| into.join(file).is_file()));
    assert_eq!(files.iter().filter(|file| file.ends_with("MANIFEST")).count(), 3);
    let highest = floors.iter().filter_map(|(_, floor)| floor.own()).max();
    assert_eq!(ceiling, highest);
    assert!(ceiling < world.wal.durable(), "the last put is not in it");
    let again = ask(&into).expect_err("it exists");
    assert!(matches!(again, DataError::Io { .. }), "{again}");
    // The image and the log from its lowest floor on make up the database.
    let log = wal_dir(restored.path());
    fs::create_dir(&log).expect("a directory");
    copy_tree(&wal_dir(world.root.path()), &log);
    drop(world);
    let board = crate::VshardFloors { vshard: vshard(0), floors, dirty: None, failure: None };
    let world = World::open(restored, 1, options(1), proven(&[board])).expect("opens");
    assert_eq!(world.replayed.records, 1);
    assert_eq!(world.text(0, "a").as_deref(), Some("2"));
}

/// D-7: a floor is what the files hold of the records up to the barrier, never what was applied last.
#[test]
fn a_flush_looks_only_at_what_lies_at_or_below_its_barrier() {
    let world = World::new(1, options(1));
    world.flush(0).expect("flushed");
    world.faults.hold_syncs("/wal/");
    world.put_weak(0, "a", "1");
    let floors = world.flush(0).expect("nothing below the barrier is open");
    assert!(floors.dirty.is_some());
    world.faults.release_syncs();
}

/// WAL before data: the flush would hold a record that a crash takes back.
#[test]
fn a_flush_above_what_is_durable_waits_and_fails_with_the_log() {
    let world = World::new(1, options(1));
    world.put(0, "a", "1");
    world.faults.hold_syncs("/wal/");
    world.put_weak(0, "b", "1");
    let barrier = world.wal.durable().expect("durable");
    let flush = world.send(vshard(0), Op::Flush { barrier, hurries: true });
    world.faults.fail_syncs(Some("/wal/"));
    world.faults.release_syncs();
    let error = flush.wait().expect("an answer").expect_err("not durable");
    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
    assert_eq!(own(&world.data.floors()[0], EngineKind::Documents), None);
}

#[test]
fn unknown_records_are_refused_and_skippable_ones_are_skipped() {
    let start = |kind: u16, id: u16| {
        let world = World::new(1, options(1));
        let record = Record { tenant: TENANT, vshard: vshard(id), kind, payload: b"x" };
        let lsn = world
            .wal
            .append(&[record], Durability::Sync, AppendClass::User)
            .expect("appended")
            .start();
        world.wal.wait_durable(lsn, world.deadline()).expect("durable");
        let left = world.copy();
        drop(world);
        World::open(left, 1, options(1), Vec::new()).map(|_| ())
    };
    let error = start(77, 0).expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::UnsupportedFormat, "{error}");
    assert!(matches!(start(1, 0), Err(DataError::Undecodable { .. })));
    assert!(matches!(start(1, 5), Err(DataError::ForeignVshard { .. })));
    assert!(start(nodedb_wal::SKIPPABLE | 0x4d, 0).is_ok());
    assert!(start(0x100, 0).is_ok(), "housekeeping");
}

#[test]
fn the_number_of_vshards_is_checked() {
    let root = tempfile::tempdir().expect("a directory");
    let env = nodedb_env::Env::real();
    for vshards in [0, 1025] {
        let made = DataPlane::create(&env, &data_dir(root.path()), vshards);
        assert!(matches!(made, Err(DataError::InvalidRequest { .. })));
    }
}

/// D-15: the one maintenance thread of a core was inside a sync of a disk that hung, and no other vshard of that
/// core was ever flushed again.
#[test]
fn a_vshard_whose_disk_hangs_holds_up_no_other() {
    let patience = std::time::Duration::from_millis(20);
    let world = World::new(4, DataOptions { maintenance_patience: patience, ..options(1) });
    for id in 0..4 {
        world.put(id, "a", "1");
    }
    // Two of them, so that the thread that takes over is caught as well.
    world.faults.hold_syncs("/vshards/000");
    let barrier = world.wal.durable().expect("durable");
    let hung = [0, 1].map(|id| world.send(vshard(id), Op::Flush { barrier, hurries: true }));
    // Reads and writes go on meanwhile, also of the vshards that hang.
    for id in 0..4 {
        world.put(id, "a", "2");
        assert_eq!(world.text(id, "a").as_deref(), Some("2"));
    }
    world.faults.hold_syncs("/vshards/0000");
    let floors = world.flush(3).expect("another thread flushes");
    assert!(effective(&floors).iter().all(|floor| *floor >= Some(barrier)));
    world.faults.release_syncs();
    for flush in hung {
        assert!(matches!(flush.wait().expect("an answer"), Ok(Outcome::Flushed(_))));
    }
    // Who was replaced has ended, and what is left works.
    for id in 0..4 {
        world.put(id, "a", "3");
        world.flush(id).expect("flushed");
    }
    world.close();
}

/// The dirty bytes of all engines were added up, so that many vectors had the few rows beside them flushed
/// again and again.
#[test]
fn an_engine_is_flushed_for_its_own_bytes() {
    let world = overflowing();
    let catalog = own(&world.status(0).floors, EngineKind::Catalog);
    assert_eq!(catalog, None, "it has only a few bytes, and nobody asked");
}
