//! A run of the cases.

use super::{Case, recovery, store::Subject};
use crate::{Arguments, run_cases};
use anyhow::Result;
use std::io::{self, Write};

/// Runs the cases that are asked for and tells each as soon as it is measured. Temporary files go to
/// `TMPDIR`.
///
/// # Errors
/// If a case is unknown, or somebody could not do its work: then the run ends without the rest.
pub fn run(arguments: &Arguments, peers: &[&dyn Subject]) -> Result<()> {
    if let Some(dir) = &arguments.recover {
        let peak_kib = recovery::tell_peak(dir)?;
        return Ok(writeln!(io::stdout().lock(), "{peak_kib}")?);
    }
    let measured = |case: Case| crate::Case::new(case.id, move |site| case.measure(site, peers));
    run_cases("wal", &Case::ALL.map(measured), arguments)
}
