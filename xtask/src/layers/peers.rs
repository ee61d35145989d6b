//! The package that holds the log against its peers: no member, and yet it keeps the rules of one.

use anyhow::Result;
use xshell::Shell;

/// Where it stands, from the root.
pub(crate) const FOLDER: &str = "benches/compare";

pub(crate) fn check(shell: &Shell) -> Result<Vec<String>> {
    let workspace = shell.read_file("Cargo.toml")?;
    let peers = shell.read_file(format!("{FOLDER}/Cargo.toml"))?;
    Ok(violations(&workspace, &peers))
}

/// Every breach, one line each.
fn violations(workspace: &str, peers: &str) -> Vec<String> {
    let mut found = Vec::new();
    for table in ["rust", "rustdoc", "clippy"] {
        let theirs = lines_of(peers, &format!("[lints.{table}]"));
        if theirs.is_empty() || theirs != lines_of(workspace, &format!("[workspace.lints.{table}]"))
        {
            found.push(format!("{FOLDER}: [lints.{table}] is not that of the workspace"));
        }
    }
    if !lines_of(peers, "[package]").contains(&"publish = false") {
        found.push(format!("{FOLDER}: publish = false is missing"));
    }
    found
}

/// What a table holds, without comments, up to the next one.
fn lines_of<'a>(manifest: &'a str, head: &str) -> Vec<&'a str> {
    let lines = manifest.lines().map(str::trim).skip_while(|line| *line != head).skip(1);
    let table = lines.take_while(|line| !line.starts_with('['));
    table.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "\
[workspace.lints.rust]
unsafe_code = \"deny\"

# Why.
[workspace.lints.rustdoc]
links = \"deny\"
[workspace.lints.clippy]
panic = \"warn\"
";
    const PEERS: &str = "\
[package]
publish = false
[lints.rust]
unsafe_code = \"deny\"
[lints.rustdoc]
links = \"deny\"
[lints.clippy]
panic = \"warn\"
";

    #[test]
    fn the_lints_are_those_of_the_workspace() {
        assert!(violations(WORKSPACE, PEERS).is_empty());
        let weaker = PEERS.replace("panic = \"warn\"", "panic = \"allow\"");
        let expected = ["benches/compare: [lints.clippy] is not that of the workspace"];
        assert_eq!(violations(WORKSPACE, &weaker), expected);
        let without = PEERS.replace("publish = false", "").replace("[lints.rust]", "[else]");
        assert_eq!(violations(WORKSPACE, &without).len(), 2);
    }
}
