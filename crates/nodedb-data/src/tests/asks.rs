//! One request to the log for all that a turn has staged.

use super::world::{PERIODIC, World, at, options, put, vshard, written};
use crate::{TicketError, task::Task};
use nodedb_types::{Durability, Lsn};
use nodedb_wal::ReadLimit;

/// How many records the batch of the log holds that begins with this one.
fn batch_at(world: &World, first: Lsn) -> usize {
    world.wal.wait_durable(first, world.deadline()).expect("durable");
    let mut reader = world.wal.reader(first, ReadLimit::Durable).expect("readable");
    let batch = reader.next_batch().expect("readable").expect("a batch");
    batch.records().filter(|record| record.lsn >= first).count()
}

/// Each write of a turn asked for itself, so the first was synced alone while the others had only begun
/// to be staged, and those waited for a second sync.
#[test]
fn the_writes_of_one_turn_share_one_batch_from_the_first() {
    let world = World::new(2, options(1));
    let before = world.wal.appended();
    let held = world.hold(0);
    let puts: Vec<_> = (0..60_u16)
        .map(|n| world.send(vshard(n % 2), at(put(&format!("{n}"), "1"), Durability::Sync)))
        .collect();
    held.release();
    for put in puts {
        written(put.wait().expect("an answer"));
    }
    let first = Lsn::after(before);
    assert_eq!(batch_at(&world, first), 60);
}

#[test]
fn levels_of_one_turn_keep_their_meaning() {
    let world = World::new(1, options(1));
    world.faults.hold_syncs("/wal/");
    let held = world.hold(0);
    let [sync, buffered, periodic] = [Durability::Sync, Durability::Buffered, PERIODIC]
        .map(|level| world.send(vshard(0), at(put(&format!("{level:?}"), "1"), level)));
    held.release();
    // Neither waits for the sync, which hangs.
    written(periodic.wait().expect("an answer"));
    let buffered = written(buffered.wait().expect("an answer")).stamp.expect("logged");
    assert!(world.wal.written() >= Some(buffered.lsn));
    assert!(world.wal.durable() < Some(buffered.lsn));
    world.faults.release_syncs();
    written(sync.wait().expect("an answer"));
}

/// What a turn has logged before it panics is asked for all the same: its callers wait.
#[test]
fn a_panic_within_a_turn_leaves_no_record_unasked() {
    let world = World::new(1, options(1));
    let held = world.hold(0);
    let logged = world.send(vshard(0), at(put("a", "1"), Durability::Sync));
    let panic = world.send_task(0, Task::Panic);
    held.release();
    assert_eq!(panic.wait().expect_err("dropped"), TicketError::Cancelled);
    written(logged.wait().expect("an answer"));
    let world = world.kill(1);
    assert_eq!(world.text(0, "a").as_deref(), Some("1"));
}

/// The group is logged by one core at the end of its visit; the others only apply.
#[test]
fn a_group_is_asked_for_by_the_core_that_logs_it() {
    let world = World::new(3, options(3));
    let before = world.wal.appended();
    let group = world.send_group((0..3).map(|id| (id, vec![put("a", "1")])).collect());
    assert!(group.wait().expect("an answer").is_ok());
    assert_eq!(batch_at(&world, Lsn::after(before)), 3);
}

#[test]
fn closing_leaves_no_record_unasked() {
    let world = World::new(1, options(1));
    let held = world.hold(0);
    let logged = world.send(vshard(0), at(put("a", "1"), Durability::Sync));
    let (wal, deadline) = (world.wal.clone(), world.deadline());
    world.data.shared().bridge.close();
    held.release();
    written(logged.wait().expect("an answer"));
    world.plane.close(deadline).expect("closes");
    assert_eq!(wal.durable(), wal.appended());
}
