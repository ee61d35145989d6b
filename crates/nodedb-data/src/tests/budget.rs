//! The budget of I/O, and who does not wait for it.

use super::world::{World, at, options, put, vshard};
use crate::DataOptions;
use nodedb_types::{Durability, ErrorKind};

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
