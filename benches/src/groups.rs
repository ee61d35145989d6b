//! The groups that are run through one binary, by their names.

use crate::{Arguments, Case, bridge, crdt, document, facade, run_cases, vector, wal};
use anyhow::{Result, bail};

/// The groups, in the order in which they run if none is named.
pub const GROUPS: [&str; 6] = ["bridge", "document", "vector", "crdt", "facade", "checkpoint"];

/// Runs the group that the first word names, or all of them without words. Peers take part where they have
/// something to set beside.
///
/// # Errors
/// If the group or a case of it is unknown, or somebody could not do its work.
pub fn run_group(arguments: &Arguments, peers: &[&dyn wal::Subject]) -> Result<()> {
    if facade::is_child(arguments)? {
        return Ok(());
    }
    let Some((group, cases)) = arguments.cases.split_first() else {
        return GROUPS
            .iter()
            .try_for_each(|group| run_cases(group, &cases_of(group, peers), arguments));
    };
    let Some(group) = GROUPS.into_iter().find(|known| known == group) else {
        bail!("there is no group {group:?}; there are {}", GROUPS.join(", "));
    };
    let arguments = Arguments { cases: cases.to_vec(), ..arguments.clone() };
    run_cases(group, &cases_of(group, peers), &arguments)
}

fn cases_of<'a>(group: &str, peers: &'a [&'a dyn wal::Subject]) -> Vec<Case<'a>> {
    match group {
        "bridge" => bridge::cases(),
        "document" => document::cases(),
        "vector" => vector::cases(),
        "crdt" => crdt::cases(),
        "facade" => facade::cases(peers),
        "checkpoint" => facade::checkpoint_cases(),
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_that_others_compare_by() {
        let ids = |group| cases_of(group, &[]).iter().map(Case::id).collect::<Vec<_>>();
        assert_eq!(ids("bridge"), ["round-trip", "throughput"]);
        assert_eq!(ids("document"), ["scan-filter"]);
        assert_eq!(ids("crdt"), ["crdt-trace"]);
        assert_eq!(ids("checkpoint"), ["writes", "paced", "recovery"]);
        assert_eq!(
            ids("facade"),
            [
                "put-1",
                "put-8",
                "put-64",
                "get-1",
                "get-64",
                "import-flights",
                "memory",
                "stalls-paced",
                "stalls-closed",
                "stalls-vectors"
            ]
        );
        assert!(GROUPS.iter().all(|group| !ids(group).is_empty()), "a group without a case");
    }

    #[test]
    fn a_word_that_names_no_group_is_refused() {
        let arguments = Arguments { cases: vec!["bridges".to_owned()], ..Arguments::default() };
        let error = run_group(&arguments, &[]).expect_err("unknown").to_string();
        assert!(error.contains("\"bridges\"") && error.contains("facade"), "{error}");
    }
}
