//! The log beside the bare disk, in the same run: `cargo xtask bench wal`. With the word `io`, what the
//! ways to write a log cost, before any log is built on them.
//!
//! docs/benchmarks.md says what the cases are and how to read the figures. The harness is our own:
//! many threads, percentiles and whole recoveries do not fit into criterion's loop.

mod map;
mod probes;
mod ways;

use anyhow::Result;
use nodedb_bench::{Arguments, wal};

/// Not among the cases of the log: it says nothing about the log.
const IO: &str = "io";

fn main() -> Result<()> {
    let mut arguments = Arguments::from_env()?;
    if arguments.take(IO) {
        probes::run(&arguments)?;
        if arguments.cases.is_empty() {
            return Ok(());
        }
    }
    wal::run(&arguments, &[])
}
