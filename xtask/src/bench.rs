//! `cargo xtask bench`: groups of cases beside their limits, and what criterion measures.

use crate::layers::peers;
use anyhow::{Result, bail};
use lexopt::{Arg, Parser};
use xshell::{Shell, cmd};

/// The bench of the log, a target of its own.
const LOG: &str = "wal";
/// The bench of the cores, likewise.
const CORES: &str = "cores";
/// Groups that one target runs: its first word names one.
const GROUPS: [&str; 6] = ["bridge", "document", "vector", "crdt", "facade", "checkpoint"];
const GROUPS_TARGET: &str = "groups";

/// Those that peers have something to set beside.
const WITH_PEERS: [&str; 2] = [LOG, "facade"];

/// What peers are built in. Cargo ignores it in every other build, and so does git.
const PEERS_TARGET: &str = "target/compare";

pub(crate) fn run(shell: &Shell, arguments: Parser) -> Result<()> {
    let plan = Plan::parse(arguments)?;
    let (targets, options) = (plan.targets(), plan.options());
    if plan.peers {
        // A workspace of its own, so that nothing else ever builds a peer.
        let _target = shell.push_env("CARGO_TARGET_DIR", PEERS_TARGET);
        let manifest = format!("{}/Cargo.toml", peers::FOLDER);
        let group = plan.subsystem.as_deref().unwrap_or(LOG);
        cmd!(shell, "cargo run --release --manifest-path {manifest} -- {group} {options...}")
            .run()?;
    } else {
        let group = plan.group();
        cmd!(shell, "cargo bench --package nodedb-bench {targets...} -- {group...} {options...}")
            .run()?;
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
        let group = plan.subsystem.as_deref();
        let has_cases =
            group.is_some_and(|name| name == LOG || name == CORES || GROUPS.contains(&name));
        if !has_cases && (plan.json || !plan.cases.is_empty()) {
            bail!("--json and cases belong to `cargo xtask bench {LOG}|{}`", GROUPS.join("|"));
        }
        if plan.peers && !group.is_some_and(|name| WITH_PEERS.contains(&name)) {
            bail!("--peers belongs to `cargo xtask bench {}`", WITH_PEERS.join("|"));
        }
        Ok(plan)
    }

    /// The word by which the target of all groups knows which one is meant.
    fn group(&self) -> Option<String> {
        self.subsystem.clone().filter(|name| GROUPS.contains(&name.as_str()))
    }

    fn targets(&self) -> Vec<String> {
        match &self.subsystem {
            Some(name) => {
                let target = if self.group().is_some() { GROUPS_TARGET } else { name };
                vec!["--bench".to_owned(), target.to_owned()]
            }
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
    fn groups_are_words_of_one_target() {
        let plan = parse(&["facade", "put-64", "--quick"]).expect("known");
        assert_eq!(plan.targets(), ["--bench", "groups"]);
        assert_eq!(plan.group().as_deref(), Some("facade"));
        assert_eq!(plan.options(), ["--quick", "put-64"]);
        assert!(parse(&["facade", "--peers", "--json"]).expect("it has peers").peers);
        let plan = parse(&["cold", "--quick"]).expect("criterion's");
        assert_eq!((plan.targets(), plan.group()), (vec!["--bench".into(), "cold".into()], None));
    }

    #[test]
    fn what_only_groups_have_is_refused_elsewhere() {
        for words in [&["--json"][..], &["bridge", "--peers"], &["cold", "encode"]] {
            let error = parse(words).expect_err("not of that bench").to_string();
            assert!(error.contains("cargo xtask bench wal|"), "{error}");
        }
        assert!(parse(&["wal", "--fast"]).is_err());
    }
}
