//! A run of the cases.

use super::{Case, recovery, store::Subject};
use crate::{Arguments, Machine, Report};
use anyhow::{Context, Result};
use nodedb_env::Env;
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
    arguments.check_cases(&Case::ALL.map(|case| case.id))?;
    let temp = tempfile::tempdir()?;
    let effort = arguments.effort();
    let report = Report::begin(arguments, effort, &Machine::of(temp.path()))?;
    for case in Case::ALL.into_iter().filter(|case| arguments.wants(case.id)) {
        let outcomes = case.measure(temp.path(), effort, peers);
        for outcome in outcomes.with_context(|| format!("case {}", case.id))? {
            report.tell(&outcome)?;
        }
        // Only now, so that freeing the blocks of one store does not slow down another.
        let dir = temp.path().join(case.id);
        Env::real().files.remove_dir_all(&dir)?;
    }
    Ok(())
}
