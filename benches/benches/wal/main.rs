//! The log beside the bare disk, in the same run: `cargo xtask bench wal`.
//!
//! docs/benchmarks.md says what the cases are and how to read the figures. The harness is our own:
//! many threads, percentiles and whole recoveries do not fit into criterion's loop.

use anyhow::Result;
use nodedb_bench::{Arguments, wal};

fn main() -> Result<()> {
    wal::run(&Arguments::from_env()?, &[])
}
