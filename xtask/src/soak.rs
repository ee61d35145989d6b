//! `cargo xtask soak`: vector segments under an address sanitizer over Rust and C++.
//!
//! The library of the index reads mapped files without checks of its own, so what keeps it in bounds is
//! proved by running it. Needs the nightly toolchain, and says loudly when there is none.

use anyhow::{Context, Result};
use lexopt::{Arg, Parser};
use xshell::{Shell, cmd};

/// How long segments are opened, searched and dropped, in seconds, unless asked otherwise.
const SECONDS: u64 = 120;
const TARGET: &str = "x86_64-unknown-linux-gnu";

pub(crate) fn run(shell: &Shell, arguments: Parser) -> Result<()> {
    let seconds = seconds(arguments)?.to_string();
    let nightly = cmd!(shell, "rustc +nightly --version").quiet().ignore_stdout().ignore_stderr();
    if nightly.run().is_err() {
        println!(
            "SKIPPED: the address sanitizer needs the nightly toolchain, which is not installed"
        );
        return Ok(());
    }
    let _rust = shell.push_env("RUSTFLAGS", "-Zsanitizer=address");
    // The C of the kernels is left alone: to instrument its generated code takes compilers very long.
    let _cpp = shell.push_env("CXXFLAGS", "-fsanitize=address -g1");
    // What is freed is kept aside to notice later uses; less of it, so that memory can be seen to stay.
    let _options = shell.push_env("ASAN_OPTIONS", "quarantine_size_mb=16");
    let _seconds = shell.push_env("NODEDB_SOAK_SECONDS", seconds);
    let command = cmd!(
        shell,
        "cargo +nightly test --release --package nodedb-vector --lib --target {TARGET}
            --target-dir target/asan -- segment::tests --test-threads 1 --nocapture"
    );
    Ok(command.run()?)
}

fn seconds(mut arguments: Parser) -> Result<u64> {
    let mut seconds = SECONDS;
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("seconds") => {
                let value = arguments.value()?.to_string_lossy().into_owned();
                seconds = value.parse().with_context(|| format!("--seconds {value}"))?;
            }
            other @ (Arg::Long(_) | Arg::Short(_) | Arg::Value(_)) => {
                return Err(other.unexpected().into());
            }
        }
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_asked_for_by_name() {
        let of = |words: &[&str]| seconds(Parser::from_args(words));
        assert_eq!(of(&[]).ok(), Some(SECONDS));
        assert_eq!(of(&["--seconds", "7"]).ok(), Some(7));
        assert!(of(&["--seconds", "many"]).is_err());
        assert!(of(&["7"]).is_err());
    }
}
