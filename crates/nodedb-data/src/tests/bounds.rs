//! Back-pressure before memory ends, and reads that may be stale.

use super::world::{
    NOTES, PERIODIC, TENANT, World, at, get, options, put, text, value, vshard, written,
};
use crate::{Consistency, DataError, DataOptions, Op, Priority};
use nodedb_bridge::BridgeOptions;
use nodedb_engine::EngineKind;
use nodedb_types::{Durability, ErrorKind};
use std::time::Duration;

#[test]
fn writes_meet_busy_while_too_many_answers_wait_for_the_log() {
    let world = World::new(1, DataOptions { parked_answers_max: 4, ..options(1) });
    world.put(0, "a", "1");
    world.faults.hold_syncs("/wal/");
    let put = |n: u16| world.send(vshard(0), at(put(&format!("{n}"), "1"), Durability::Sync));
    let parked: Vec<_> = (0..4).map(put).collect();
    let refused = put(9).wait().expect("an answer").expect_err("full");
    assert!(matches!(refused, DataError::ParkedFull), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Busy);
    // A read of what is durable waits for nothing, so it is answered.
    assert_eq!(world.text(0, "a").as_deref(), Some("1"));
    world.faults.release_syncs();
    for put in parked {
        written(put.wait().expect("an answer"));
    }
    assert_eq!(world.text(0, "9"), None, "what is refused was not done");
    written(put(9).wait().expect("an answer"));
}

/// Limits in requests alone would be 64 GiB of values in an inbox.
#[test]
fn inboxes_and_paused_queues_are_bounded_in_bytes() {
    let bridge = BridgeOptions { capacity_bytes: 100 << 10, ..BridgeOptions::default() };
    let world = World::new(2, DataOptions { bridge, paused_bytes_max: 100 << 10, ..options(2) });
    let large = "x".repeat(40 << 10);
    let write = |id: u16, key: &str| {
        let op = at(put(key, &large), Durability::Sync);
        let deadline = world.deadline();
        world.data.send(TENANT, vshard(id), op, deadline, Priority::Foreground)
    };
    let held = world.hold(1);
    // Vshard 0 is paused for it until core 1 goes on.
    let group = world.send_group(vec![(0, vec![put("a", "1")]), (1, vec![put("b", "1")])]);
    world.settle(0);
    let waiting = ["c", "d"].map(|key| write(1, key).expect("80 KiB"));
    let full = write(1, "e").expect_err("120 KiB");
    assert!(matches!(full, DataError::InboxFull { .. }), "{full}");
    // A read takes no bytes, and a group is as heavy as all of its values, wherever it waits.
    let read = world.send(vshard(1), get(NOTES, "b", Consistency::Strong));
    let paused = ["h", "i"].map(|key| write(0, key).expect("the inbox is empty"));
    world.settle(0);
    let heavy = world.send_group(vec![(0, vec![put("f", "1")]), (1, vec![put("g", &large)])]);
    let heavy = heavy.wait().expect("an answer").expect_err("80 KiB wait for vshard 0");
    assert!(matches!(heavy, DataError::PausedFull { .. }), "{heavy}");
    let refused = write(0, "j").expect("the inbox is empty").wait().expect("an answer");
    let refused = refused.expect_err("120 KiB wait for the group");
    assert!(matches!(refused, DataError::PausedFull { .. }), "{refused}");
    held.release();
    for ticket in [group].into_iter().chain(waiting).chain(paused) {
        assert!(ticket.wait().expect("an answer").is_ok());
    }
    assert!(read.wait().expect("an answer").is_ok());
    assert_eq!((world.text(0, "j"), world.text(1, "e"), world.text(0, "f")), (None, None, None));
}

#[test]
fn parked_answers_are_bounded_in_bytes_too() {
    let world = World::new(1, DataOptions { parked_bytes_max: 1 << 20, ..options(1) });
    let large = "x".repeat(400 << 10);
    world.put(0, "a", &large);
    world.faults.hold_syncs("/wal/");
    written(world.ask(vshard(0), at(put("b", "1"), PERIODIC)));
    // Each carries the value while it waits for the weak write to become durable.
    let read = || world.send(vshard(0), get(NOTES, "a", Consistency::Strong));
    let parked = [read(), read(), read()];
    let refused = read().wait().expect("an answer").expect_err("1.2 MB wait");
    assert!(matches!(refused, DataError::ParkedFull), "{refused}");
    world.faults.release_syncs();
    for read in parked {
        assert!(value(read.wait().expect("an answer")).is_some());
    }
}

/// Each vshard is far below its own limit; together they would be above that of the core.
#[test]
fn the_largest_memtable_is_flushed_before_the_memory_of_a_core_ends() {
    let bounds =
        DataOptions { memtable_bytes: 256 << 10, memory_bytes_max: 512 << 10, ..options(1) };
    let world = World::new(8, bounds);
    let value = "x".repeat(8 << 10);
    let deadline = world.deadline();
    let mut busy = 0;
    for round in 0..320_u16 {
        // The first vshard gets the most.
        let id = if round % 2 == 0 { 0 } else { round % 8 };
        while let Err(error) =
            world.ask(vshard(id), at(put(&format!("{round}"), &value), Durability::Buffered))
        {
            assert!(matches!(error, DataError::MemoryFull { .. }), "{error}");
            assert_eq!(error.kind(), ErrorKind::Busy);
            busy += 1;
            assert!(world.env.clock.now() < deadline, "nothing is flushed");
        }
    }
    let floors = world.data.floors();
    let flushed = |id: usize| {
        floors[id]
            .floors
            .iter()
            .any(|(kind, floor)| *kind == EngineKind::Documents && floor.own().is_some())
    };
    assert!(flushed(0), "the largest, after {busy} refusals");
    let world = world.kill(2);
    assert_eq!(world.scan(0, 100).len(), 160);
}

#[test]
fn a_core_whose_flushes_fail_refuses_writes_and_still_reads() {
    let bounds =
        DataOptions { memtable_bytes: 64 << 10, memory_bytes_max: 128 << 10, ..options(1) };
    let world = World::new(2, bounds);
    world.faults.fail_creates(Some("/vshards/"));
    let value = "x".repeat(8 << 10);
    let refused = (0..64).find_map(|round| {
        let id = vshard(round % 2);
        world.ask(id, at(put(&format!("{round}"), &value), Durability::Sync)).err()
    });
    let error = refused.expect("the limit is reached");
    assert!(matches!(error, DataError::MemoryFull { .. }), "{error}");
    assert!(world.text(0, "0").is_some() && world.text(1, "1").is_some());
    world.faults.fail_creates(None);
    for id in 0..2 {
        world.flush(id).expect("flushed when asked");
    }
    world.put(0, "again", "1");
}

fn bounded(world: &World, key: &str, bound: Duration) -> crate::Ticket<crate::Answer> {
    world.send(vshard(0), get(NOTES, key, Consistency::BoundedStaleness(bound)))
}

/// The write is acknowledged and not durable. A read that may be an hour old does not wait for it; one that
/// may not be old at all does.
#[test]
fn a_bounded_read_waits_only_for_what_is_older_than_its_bound() {
    let world = World::new(2, options(1));
    world.put(0, "a", "1");
    world.faults.hold_syncs("/wal/");
    world.put_weak(0, "a", "2");
    let hour = Duration::from_hours(1);
    let stale = value(bounded(&world, "a", hour).wait().expect("an answer"));
    assert_eq!(text(&stale.expect("durable")), "1");
    let fresh = bounded(&world, "a", Duration::ZERO);
    // A snapshot of all vshards by the same rule.
    let relaxed = [Consistency::BoundedStaleness(hour), Consistency::Eventual];
    for consistency in relaxed {
        let now = world.env.clock.now();
        let snapshot = world.data.snapshot_at(consistency, now).expect("waits for nothing");
        assert_eq!(snapshot.map(|snapshot| snapshot.lsn()), world.wal.durable());
    }
    let strict = Consistency::BoundedStaleness(Duration::ZERO);
    let now = world.env.clock.now();
    assert!(matches!(world.data.snapshot_at(strict, now), Err(DataError::TimedOut)));
    world.faults.release_syncs();
    let fresh = value(fresh.wait().expect("an answer"));
    assert_eq!(text(&fresh.expect("acknowledged")), "2");
}

/// Writes at `Sync` are never missing from a bounded read, whatever its bound.
#[test]
fn a_bounded_read_sees_every_sync_write() {
    let world = World::new(1, options(1));
    for round in 0..50 {
        world.put(0, "a", &format!("{round}"));
        let op: Op = get(NOTES, "a", Consistency::BoundedStaleness(Duration::from_hours(1)));
        let row = value(world.ask(vshard(0), op)).expect("written");
        assert_eq!(text(&row), format!("{round}"));
    }
}
