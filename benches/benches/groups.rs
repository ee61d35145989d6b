//! Groups of cases beside their limits, in the same run: `cargo xtask bench bridge|document|vector|crdt|facade|checkpoint`.
//! docs/benchmarks.md says what the cases are and how to read the figures.

use anyhow::Result;
use nodedb_bench::{Arguments, run_group};

fn main() -> Result<()> {
    run_group(&Arguments::from_env()?, &[])
}
