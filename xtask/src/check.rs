//! `cargo xtask check`: every check that needs no test run. All of them run, then a table tells.

use crate::{
    layers::{self, peers},
    tidy,
};
use anyhow::Result;
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};
use xshell::{Shell, cmd};

type Check = fn(&Shell) -> Result<()>;

const CHECKS: [(&str, Check); 5] = [
    ("fmt", format),
    ("layers", layers::check),
    ("tidy", tidy::run),
    ("clippy", clippy),
    ("rustdoc", rustdoc),
];

struct Outcome {
    name: &'static str,
    elapsed: Duration,
    failure: Option<String>,
}

pub(crate) fn run(shell: &Shell) -> ExitCode {
    let outcomes: Vec<Outcome> =
        CHECKS.into_iter().map(|(name, check)| measure(shell, name, check)).collect();
    print!("\n{}", table(&outcomes));
    if outcomes.iter().any(|outcome| outcome.failure.is_some()) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn measure(shell: &Shell, name: &'static str, check: Check) -> Outcome {
    #[expect(clippy::disallowed_methods, reason = "automation has no simulated clock")]
    let start = Instant::now();
    let failure = check(shell).err().map(|error| error.to_string());
    Outcome { name, elapsed: start.elapsed(), failure }
}

fn table(outcomes: &[Outcome]) -> String {
    let row = |outcome: &Outcome| {
        let seconds = outcome.elapsed.as_secs_f64();
        let result = match &outcome.failure {
            None => "ok".to_owned(),
            Some(failure) => format!("FAILED: {}", failure.lines().next().unwrap_or_default()),
        };
        format!("{:<8} {seconds:>7.1} s  {result}\n", outcome.name)
    };
    outcomes.iter().map(row).collect()
}

fn format(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    // No member, so that nothing else of it is built here; to look at its form takes no build.
    let manifest = format!("{}/Cargo.toml", peers::FOLDER);
    Ok(cmd!(shell, "cargo fmt --manifest-path {manifest} --check").run()?)
}

fn clippy(shell: &Shell) -> Result<()> {
    // In the release profile, so that the tests find the dependencies built.
    let command =
        cmd!(shell, "cargo clippy --release --workspace --all-targets --keep-going -- -D warnings");
    Ok(command.run()?)
}

fn rustdoc(shell: &Shell) -> Result<()> {
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    Ok(cmd!(shell, "cargo doc --release --workspace --no-deps --keep-going").run()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_failure_on_one_line() {
        let outcome = |name, failure: Option<&str>| Outcome {
            name,
            elapsed: Duration::from_millis(1_250),
            failure: failure.map(str::to_owned),
        };
        let outcomes = [outcome("fmt", None), outcome("tidy", Some("3 violations\nmore"))];
        let expected = "fmt          1.2 s  ok\ntidy         1.2 s  FAILED: 3 violations\n";
        assert_eq!(table(&outcomes), expected);
    }
}
