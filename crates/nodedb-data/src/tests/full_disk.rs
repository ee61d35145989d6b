//! Deleting on a full disk.

use super::{
    machine::Machine,
    world::{FIELD, NOTES, TENANT, World, at, delete, options, put, put_vector, vshard},
};
use crate::{Answer, DataError, DataOptions, Effort, Group, Op, Outcome, Part, Search, Write};
use nodedb_engine::{Metric, RecordKind};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, ErrorKind, TenantId, VshardId};
use nodedb_wal::{AppendClass, Record};
use std::path::Path;

const BALLAST: &str = "/vshards/ballast-7";

/// A group in the only vshard.
fn group(world: &World<Machine>, writes: Vec<Write>) -> Answer {
    let parts = vec![Part { vshard: vshard(0), writes }];
    let group = Group { parts, durability: Durability::Sync, idempotency: None };
    let sent = world.data.send_group(TENANT, group, world.deadline());
    sent.expect("there is room").wait().expect("an answer")
}

fn try_put(world: &World<Machine>, key: &str) -> Result<(), DataError> {
    let value = format!("\"{}\"", "x".repeat(1000));
    world.ask(vshard(0), at(put(key, &value), Durability::Sync)).map(drop)
}

/// Puts the same key until the log says that the disk is full.
fn fill(world: &World<Machine>) {
    loop {
        match try_put(world, "filler") {
            Ok(()) => {}
            // The log has not met the full disk yet.
            Err(error) if error.kind() == ErrorKind::Busy => {}
            Err(error) => return assert!(matches!(error, DataError::LogFull), "{error}"),
        }
    }
}

/// What a checkpoint does once everything is flushed.
fn checkpoint(world: &World<Machine>) {
    world.flush(0).expect("there is room for a few rows");
    let record = Record {
        tenant: TenantId::SYSTEM,
        vshard: VshardId::new(0),
        kind: RecordKind::Checkpoint.code(),
        payload: b"",
    };
    let class = AppendClass::Housekeeping;
    let range = world.wal.append(&[record], Durability::Sync, class).expect("room is kept for it");
    let last = range.start();
    world.wal_reaches(last);
    world.wal.record_checkpoint(range.end(), last, None).expect("no new file is needed");
    world.wal.truncate(world.wal.plan_truncation(&[])).expect("no new file is needed");
}

/// On a full disk reads and deletes go on, and what puts something does not.
fn assert_only_deletes(world: &World<Machine>, key: &str) {
    assert!(world.text(0, key).is_some());
    let deleted = world.ask(vshard(0), at(delete(key), Durability::Sync));
    assert!(deleted.is_ok(), "{key}: {deleted:?}");
    assert_eq!(world.text(0, key), None);
    // Also not into the file that the delete may have begun, once users have filled their share of it.
    fill(world);
    let value = format!("\"{}\"", "x".repeat(1000));
    let mixed = group(world, vec![delete("k7"), put("k6", &value)]);
    assert!(matches!(mixed, Err(DataError::LogFull)), "{mixed:?}");
    assert!(world.text(0, "k7").is_some(), "nothing of it was done");
}

/// P10: the log was full, and a delete is a write: nothing freed a byte, not even opening it again.
#[test]
fn a_full_disk_is_freed_by_deleting() {
    let disk = World::new_disk(1);
    let mut world = World::start(disk, 1, options(1));
    for key in 0..8 {
        world.put(0, &format!("k{key}"), "1");
    }
    let held: usize = world.root.disk.snapshot().files().values().map(Vec::len).sum();
    // Room for flushes, not for another file of the log.
    world.root.disk.set_quota(Some(held as u64 + (40 << 10)));
    for round in 0..3 {
        fill(&world);
        let key = format!("k{round}");
        assert_only_deletes(&world, &key);
        let left = world.root.disk.crash_keeping_all();
        drop(world);
        world = World::start(left, 1, options(1));
        assert_eq!(world.text(0, &key), None);
    }
    let deletes = vec![delete("k3"), delete("k4"), delete("nothing")];
    assert!(group(&world, deletes).is_ok());
    checkpoint(&world);
    // The log prepares a file on its own thread.
    while let Err(error) = try_put(&world, "resumed") {
        assert!(matches!(error.kind(), ErrorKind::Busy | ErrorKind::NoSpace), "{error}");
    }
    let left = world.root.disk.crash_losing_all();
    drop(world);
    let world = World::start(left, 1, options(1));
    assert!(world.text(0, "resumed").is_some());
    for gone in 0..5 {
        assert_eq!(world.text(0, &format!("k{gone}")), None);
    }
}

/// On a full disk nothing is flushed, so memory is full as well.
#[test]
fn a_delete_is_taken_where_memory_is_full_of_what_cannot_be_flushed() {
    let bounds =
        DataOptions { memtable_bytes: 32 << 10, memtable_bytes_max: 64 << 10, ..options(1) };
    let world = World::new(1, bounds);
    world.faults.fail_creates(Some("/vshards/"));
    let value = "x".repeat(8 << 10);
    let full = (0..64).find_map(|round| {
        world.ask(vshard(0), at(put(&format!("{round}"), &value), Durability::Sync)).err()
    });
    let full = full.expect("the limit is reached");
    assert!(matches!(full, DataError::MemtableFull { .. }), "{full}");
    let deleted = world.ask(vshard(0), at(delete("0"), Durability::Sync));
    assert!(deleted.is_ok(), "{deleted:?}");
    assert_eq!(world.text(0, "0"), None);
    world.faults.fail_creates(None);
    world.flush(0).expect("flushed when asked");
    world.put(0, "again", "1");
}

/// A replay with more in the log than memory should hold.
fn narrow() -> DataOptions {
    DataOptions { memtable_bytes: 64 << 10, unsealed_bytes_max: 1 << 20, ..options(1) }
}

fn nearest(world: &World<Machine>, x: f32) -> String {
    let search = Search {
        collection: NOTES,
        index: FIELD,
        vector: vec![x, 0.0],
        metric: Metric::L2,
        k: 1,
        filter: None,
        effort: Effort::Usual,
    };
    match world.ask(vshard(0), Op::Search(search)).expect("hits") {
        Outcome::Hits(hits) => String::from_utf8(hits[0].key.to_vec()).expect("text"),
        other => panic!("{other:?}"),
    }
}

/// Opening it needed room for what replay wrote to keep its memory small, so a database on a full disk could
/// not even be read.
#[test]
fn a_database_opens_on_a_full_disk_with_more_to_replay_than_is_kept_in_memory() {
    let world = World::start(World::new_disk(1), 1, options(1));
    let rows: u16 = 3000;
    for first in (0..rows).step_by(100) {
        let write = |row| put_vector(&format!("{row:04}"), "{}", Some(vec![f32::from(row), 0.0]));
        // The log prepares a file on its own thread.
        while let Err(error) = group(&world, (first..first + 100).map(write).collect()) {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        }
    }
    let mut left = world.root.disk.crash_keeping_all();
    drop(world);
    for round in 0..3 {
        let held: usize = left.snapshot().files().values().map(Vec::len).sum();
        left.set_quota(Some(held as u64));
        let world = World::start(left, 1, narrow());
        assert_eq!(nearest(&world, 1234.2), "1234");
        assert!(world.status(0).unsealed_bytes > 256 << 10, "nothing could be sealed");
        let deleted = world.ask(vshard(0), at(delete(&format!("{round:04}")), Durability::Sync));
        assert!(deleted.is_ok(), "{deleted:?}");
        left = world.root.disk.crash_keeping_all();
        drop(world);
    }
    left.set_quota(None);
    let world = World::start(left, 1, narrow());
    assert!(world.status(0).unsealed_bytes < 256 << 10, "sealed, now that there is room");
    assert_eq!((nearest(&world, 0.0), nearest(&world, 2999.0)), ("0003".into(), "2999".into()));
    world.flush(0).expect("flushed");
    world.close();
}

/// On a disk full to the last byte deletes were answered and freed nothing: their flush found no room, and so
/// did the merge behind it. A kill in the middle of such a flush left a database that could not be opened.
#[test]
fn the_ballast_lets_a_disk_that_is_full_to_the_last_byte_be_freed_by_deleting() {
    let kept = DataOptions { ballast_bytes: 96 << 10, ..options(1) };
    let world = World::start(World::new_disk(1), 1, kept.clone());
    let value = format!("\"{}\"", "x".repeat(5_000));
    for key in 0..8 {
        while let Err(error) = world.ask(vshard(0), Op::Write(put(&format!("k{key}"), &value))) {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        }
    }
    world.flush(0).expect("flushed");
    let held = |disk: &SimFiles| disk.snapshot().files().values().map(Vec::len).sum::<usize>();
    let ballast = |disk: &SimFiles| disk.snapshot().files().contains_key(Path::new(BALLAST));
    assert!(ballast(&world.root.disk), "made after the first flush");
    let mut left = world.root.disk.crash_keeping_all();
    drop(world);
    left.set_quota(Some(held(&left) as u64));
    // A kill at each of the changes that the flush of a delete makes to the full disk.
    for step in 0.. {
        let disk = left.crash_keeping_all();
        disk.set_quota(Some(held(&disk) as u64));
        let world = World::start(disk, 1, kept.clone());
        let deleted = world.ask(vshard(0), at(delete("k0"), Durability::Sync));
        assert!(deleted.is_ok(), "{deleted:?}");
        world.root.disk.crash_after(step);
        let flushed = world.flush(0);
        let killed = world.root.disk.crash_keeping_all();
        killed.set_quota(Some(held(&left) as u64));
        drop(world);
        let world = World::start(killed, 1, kept.clone());
        assert_eq!((world.text(0, "k0"), world.text(0, "k7")), (None, Some(value.clone())));
        world.flush(0).expect("there is room for it");
        left = world.root.disk.crash_keeping_all();
        drop(world);
        if flushed.is_ok() {
            break;
        }
    }
}
