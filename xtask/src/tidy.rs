//! `cargo xtask tidy`: house rules that no compiler knows.

mod decisions;
mod evidence;
mod links;
mod rust;

use crate::{sources, verdict};
use anyhow::Result;
use std::collections::BTreeSet;
use xshell::Shell;

pub(crate) fn run(shell: &Shell) -> Result<()> {
    let mut violations = Vec::new();
    let mut functions = BTreeSet::new();
    for source in sources::under(shell, &["crates", "xtask", "benches"], "rs")? {
        let path = source.path.to_string_lossy().into_owned();
        violations.extend(rust::violations(&path, &source.text));
        functions.extend(evidence::functions(&source.text));
    }
    let mut documents = sources::at_root(shell, "md")?;
    documents.extend(sources::under(shell, &["docs", "crates", "xtask", "benches"], "md")?);
    for document in documents {
        let exists = |path: &std::path::Path| shell.path_exists(path);
        violations.extend(links::violations(&document.path, &document.text, exists));
        if ["docs/durability.md", "docs/limits.md"].iter().any(|it| document.path.ends_with(it)) {
            let path = document.path.to_string_lossy();
            violations.extend(evidence::violations(&path, &document.text, &functions));
        }
    }
    violations.extend(decisions::violations(&decision_names(shell)?));
    verdict("tidy", &violations)
}

fn decision_names(shell: &Shell) -> Result<Vec<String>> {
    let decisions = sources::under(shell, &["docs/decisions"], "md")?.into_iter();
    Ok(decisions
        .filter_map(|source| Some(source.path.file_name()?.to_string_lossy().into_owned()))
        .collect())
}
