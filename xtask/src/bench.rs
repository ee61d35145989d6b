//! `cargo xtask bench`: one bench target per crate, named without its prefix.

use anyhow::Result;
use lexopt::{Arg, Parser};
use xshell::{Shell, cmd};

pub(crate) fn run(shell: &Shell, mut arguments: Parser) -> Result<()> {
    let mut targets = vec!["--benches".to_owned()];
    let mut options = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(subsystem) => {
                let name = subsystem.to_string_lossy().into_owned();
                targets = vec!["--bench".to_owned(), name];
            }
            // Criterion's own: fewer samples, wider intervals, no claim to be quoted.
            Arg::Long("quick") => options.push("--quick"),
            Arg::Long(_) | Arg::Short(_) => return Err(argument.unexpected().into()),
        }
    }
    cmd!(shell, "cargo bench --package nodedb-bench {targets...} -- {options...}").run()?;
    Ok(())
}
