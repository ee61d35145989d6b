//! The budget of I/O, and who does not wait for it.

use super::world::{World, at, options, put, put_vector, vshard};
use crate::DataOptions;
use nodedb_engine::EngineKind;
use nodedb_types::{Durability, ErrorKind};
use std::time::Duration;

/// A flush that had begun kept to the budget though a checkpoint waited for it. The simulated clock stands
/// still: whoever waits for the budget here waits for ever.
#[test]
fn a_flush_that_somebody_waits_for_does_not_wait_for_the_budget() {
    let slow = DataOptions { io_bytes_per_second: Some(1), ..options(1) };
    let world = World::start(World::new_disk(1), 1, slow);
    let value = "x".repeat(48_000);
    // More in all than passes before the budget is looked at.
    for round in 0..8 {
        let write = || at(put(&format!("k{round}"), &value), Durability::Sync);
        while let Err(error) = world.ask(vshard(0), write()) {
            // The next file of the log is not prepared yet.
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        }
    }
    let floors = world.flush(0).expect("flushed");
    assert!(floors.floors.iter().any(|(_, floor)| floor.own() >= world.wal.durable()));
}

/// Flushes of vectors and of the catalog were written as fast as the disk took them.
#[test]
fn flushes_of_vectors_keep_to_the_budget() {
    let rate = 16 << 10;
    let paced =
        DataOptions { io_bytes_per_second: Some(rate), memtable_bytes: 48 << 10, ..options(1) };
    let world = World::new(1, paced);
    let begun = world.env.clock.now();
    let deadline = world.deadline();
    let write = |row: u16| put_vector(&format!("{row:04}"), "{}", Some(vec![f32::from(row), 0.0]));
    let floor = || {
        let floors = world.status(0).floors.floors;
        floors
            .iter()
            .find(|(kind, _)| *kind == EngineKind::Vectors)
            .and_then(|(_, floor)| floor.own())
    };
    let created = floor();
    for first in (0..500).step_by(100) {
        let ticket = world.send_group(vec![(0, (first..first + 100).map(write).collect())]);
        ticket.wait().expect("an answer").expect("written");
    }
    while floor() == created {
        assert!(world.env.clock.now() < deadline, "it is flushed");
    }
    // Documents and vectors together, less what may be saved up.
    let took = world.env.clock.now().saturating_sub(begun);
    assert!(took >= Duration::from_millis(300), "{took:?}");
}
