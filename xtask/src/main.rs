//! Automation of this workspace: `cargo xtask <verb>`.
//!
//! One module per verb. What a verb decides is a pure function over text or a graph, tested beside
//! it; what it runs is an ordinary command, echoed before it starts.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool answers on stdout and complains on stderr"
)]

mod bench;
mod check;
mod layers;
mod soak;
mod sources;
mod test;
mod tidy;

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser};
use std::{env, path::PathBuf, process::ExitCode};
use xshell::Shell;

const USAGE: &str = "\
cargo xtask <verb>

  check                        all that needs no test run: fmt, clippy, layers, tidy, rustdoc
  test [-- FILTER...]          all tests and doc tests, or those that match
  layers [--print]             whether the crates depend on each other downward only
  tidy                         house rules on source files, documents and decisions
  soak [--seconds N]           vector segments under an address sanitizer, where nightly is installed
  bench [SUBSYSTEM] [--quick]  benchmarks, of one crate or of all
  bench wal [--peers] [--quick] [--json] [CASE...]
                               the log beside the bare disk, and beside its peers; `io` tells what
                               ways to write cost
";

fn main() -> ExitCode {
    // Without the backtrace that anyhow adds: a violation is no fault of this program.
    start().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn start() -> Result<ExitCode> {
    let shell = Shell::new()?;
    shell.change_dir(root()?);
    run(&shell, Parser::from_env())
}

/// The workspace that cargo runs this in; where it was built, if it is run without cargo.
fn root() -> Result<PathBuf> {
    let built_in = || env!("CARGO_MANIFEST_DIR").into();
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built_in));
    let root = folder.parent();
    Ok(root.context("the xtask folder stands in the workspace")?.to_owned())
}

fn run(shell: &Shell, mut arguments: Parser) -> Result<ExitCode> {
    let Some(verb) = arguments.next()? else {
        print!("{USAGE}");
        return Ok(ExitCode::FAILURE);
    };
    let verb = match verb {
        Arg::Value(verb) => verb.to_string_lossy().into_owned(),
        Arg::Long("help") | Arg::Short('h') => "help".to_owned(),
        other @ (Arg::Long(_) | Arg::Short(_)) => return Err(other.unexpected().into()),
    };
    match verb.as_str() {
        "check" => {
            finish(arguments)?;
            return Ok(check::run(shell));
        }
        "test" => test::run(shell, arguments)?,
        "layers" => layers::run(shell, arguments)?,
        "tidy" => {
            finish(arguments)?;
            tidy::run(shell)?;
        }
        "soak" => soak::run(shell, arguments)?,
        "bench" => bench::run(shell, arguments)?,
        "help" => print!("{USAGE}"),
        unknown => bail!("no verb {unknown:?}\n\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses arguments to a verb that takes none.
fn finish(mut arguments: Parser) -> Result<()> {
    match arguments.next()? {
        Some(extra) => Err(extra.unexpected().into()),
        None => Ok(()),
    }
}

/// The end of a verb that found `violations`.
fn verdict(verb: &str, violations: &[String]) -> Result<()> {
    for violation in violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        count => bail!("{verb}: {count} violations"),
    }
}
