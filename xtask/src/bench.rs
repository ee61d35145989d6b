//! `cargo xtask bench`: one bench target per crate, named without its prefix.

use crate::layers::peers;
use anyhow::{Result, bail};
use lexopt::{Arg, Parser};
use xshell::{Shell, cmd};

/// The one bench that has a harness of its own, with cases to choose, rows to print and peers.
const LOG: &str = "wal";

/// What peers are built in. Cargo ignores it in every other build, and so does git.
const PEERS_TARGET: &str = "target/compare";

pub(crate) fn run(shell: &Shell, arguments: Parser) -> Result<()> {
    let plan = Plan::parse(arguments)?;
    let (targets, options) = (plan.targets(), plan.options());
    if plan.peers {
        // A workspace of its own, so that nothing else ever builds a peer.
        let _target = shell.push_env("CARGO_TARGET_DIR", PEERS_TARGET);
        let manifest = format!("{}/Cargo.toml", peers::FOLDER);
        cmd!(shell, "cargo run --release --locked --manifest-path {manifest} -- {options...}")
            .run()?;
    } else {
        cmd!(shell, "cargo bench --package nodedb-bench {targets...} -- {options...}").run()?;
    }
    Ok(())
}

/// What is asked for.
#[derive(Default, PartialEq, Debug)]
struct Plan {
    subsystem: Option<String>,
    cases: Vec<String>,
    quick: bool,
    json: bool,
    peers: bool,
}

impl Plan {
    fn parse(mut arguments: Parser) -> Result<Self> {
        let mut plan = Self::default();
        while let Some(argument) = arguments.next()? {
            match argument {
                Arg::Value(word) => {
                    let word = word.to_string_lossy().into_owned();
                    if plan.subsystem.is_none() {
                        plan.subsystem = Some(word);
                    } else {
                        plan.cases.push(word);
                    }
                }
                Arg::Long("quick") => plan.quick = true,
                Arg::Long("json") => plan.json = true,
                Arg::Long("peers") => plan.peers = true,
                Arg::Long(_) | Arg::Short(_) => return Err(argument.unexpected().into()),
            }
        }
        let of_log = plan.json || plan.peers || !plan.cases.is_empty();
        if of_log && plan.subsystem.as_deref() != Some(LOG) {
            bail!("--json, --peers and cases belong to `cargo xtask bench {LOG}`");
        }
        Ok(plan)
    }

    fn targets(&self) -> Vec<String> {
        match &self.subsystem {
            Some(name) => vec!["--bench".to_owned(), name.clone()],
            None => vec!["--benches".to_owned()],
        }
    }

    /// What the bench itself is told. Criterion knows `--quick` too: fewer samples, nothing to quote.
    fn options(&self) -> Vec<String> {
        let flags = [("--quick", self.quick), ("--json", self.json)];
        let flags = flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag.to_owned());
        flags.chain(self.cases.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Plan> {
        Plan::parse(Parser::from_args(words))
    }

    #[test]
    fn without_words_every_bench_runs() {
        let plan = parse(&[]).expect("known");
        assert_eq!(plan.targets(), ["--benches"]);
        assert!(plan.options().is_empty() && !plan.peers);
        assert_eq!(parse(&["--quick"]).expect("known").options(), ["--quick"]);
    }

    #[test]
    fn the_log_takes_cases_rows_and_peers() {
        let words = ["wal", "--peers", "blocking-1", "--json", "io", "--quick"];
        let plan = parse(&words).expect("known");
        assert_eq!(plan.targets(), ["--bench", "wal"]);
        assert_eq!(plan.options(), ["--quick", "--json", "blocking-1", "io"]);
        assert!(plan.peers);
    }

    #[test]
    fn what_only_the_log_has_is_refused_elsewhere() {
        for words in [&["--json"][..], &["bridge", "--peers"], &["cold", "encode"]] {
            let error = parse(words).expect_err("not of that bench").to_string();
            assert!(error.contains("cargo xtask bench wal"), "{error}");
        }
        assert!(parse(&["wal", "--fast"]).is_err());
    }
}
