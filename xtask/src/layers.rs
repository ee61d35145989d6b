//! `cargo xtask layers`: arrows between crates go strictly downward.

mod graph;
pub(crate) mod peers;
mod rules;

use crate::verdict;
use anyhow::Result;
use graph::Graph;
use lexopt::{Arg, Parser};
use xshell::Shell;

pub(crate) fn run(shell: &Shell, mut arguments: Parser) -> Result<()> {
    let mut print = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("print") => print = true,
            Arg::Long(_) | Arg::Short(_) | Arg::Value(_) => {
                return Err(argument.unexpected().into());
            }
        }
    }
    if print {
        print!("{}", Graph::load(shell)?);
    }
    check(shell)
}

pub(crate) fn check(shell: &Shell) -> Result<()> {
    let mut violations = rules::violations(&Graph::load(shell)?);
    violations.extend(peers::check(shell)?);
    verdict("layers", &violations)
}
