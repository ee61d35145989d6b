//! Deleting on a full disk.

use super::{
    machine::Machine,
    world::{TENANT, World, at, delete, options, put, vshard},
};
use crate::{Answer, DataError, DataOptions, Group, Part, Write};
use nodedb_engine::RecordKind;
use nodedb_types::{Durability, ErrorKind, TenantId, VshardId};
use nodedb_wal::{AppendClass, Record};

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
