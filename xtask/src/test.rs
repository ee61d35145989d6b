//! `cargo xtask test`: every test in the release profile, then the doc tests, then the model checks.

use anyhow::Result;
use lexopt::{Arg, Parser};
use std::{ffi::OsString, time::Instant};
use xshell::{Shell, cmd};

pub(crate) fn run(shell: &Shell, mut arguments: Parser) -> Result<()> {
    let mut filters: Vec<OsString> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(filter) => filters.push(filter),
            Arg::Long(_) | Arg::Short(_) => return Err(argument.unexpected().into()),
        }
    }
    timed("tests", || unit_and_integration(shell, &filters))?;
    timed("doc tests", || {
        let filters = &filters;
        Ok(cmd!(shell, "cargo test --release --workspace --doc -- {filters...}").run()?)
    })?;
    timed("model checks", || model_checks(shell, &filters))
}

/// The threads of the log and of the bridge in thousands of orders. Another scheduler is compiled into the
/// crates for it, so it has a target folder of its own.
fn model_checks(shell: &Shell, filters: &[OsString]) -> Result<()> {
    let _flags = shell.push_env("RUSTFLAGS", "--cfg shuttle");
    let command = cmd!(
        shell,
        "cargo test --release --package nodedb-wal --package nodedb-bridge --test model --target-dir target/shuttle -- {filters...}"
    );
    Ok(command.run()?)
}

/// Nextest runs each test in a process of its own; without it, cargo's runner does.
fn unit_and_integration(shell: &Shell, filters: &[OsString]) -> Result<()> {
    let nextest =
        cmd!(shell, "cargo nextest --version").quiet().ignore_stdout().ignore_stderr().run();
    if nextest.is_ok() {
        cmd!(shell, "cargo nextest run --release --workspace --no-fail-fast {filters...}").run()?;
    } else {
        println!("cargo-nextest is not installed: running cargo test instead");
        // Without doc tests, which come next, and without benches.
        cmd!(
            shell,
            "cargo test --release --workspace --lib --bins --tests --examples -- {filters...}"
        )
        .run()?;
    }
    Ok(())
}

fn timed(name: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "automation has no simulated clock")]
    let start = Instant::now();
    let result = body();
    let outcome = if result.is_ok() { "passed" } else { "FAILED" };
    println!("{name} {outcome} in {:.1} s", start.elapsed().as_secs_f64());
    result
}
