//! `docs/durability.md` names a test for every rule and fault, `docs/limits.md` one for every limit; each of them must exist.

use std::collections::BTreeSet;

/// `functions` are the names of all functions of the workspace.
pub(crate) fn violations(path: &str, text: &str, functions: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(tests) = last_cell(line) else {
            continue;
        };
        for name in tests.split('`').skip(1).step_by(2).filter(|name| is_function(name)) {
            if !functions.contains(name) {
                found.push(format!("{path}:{}: there is no test `{name}`", index + 1));
            }
        }
    }
    found
}

/// The functions that a Rust source defines.
pub(crate) fn functions(source: &str) -> impl Iterator<Item = String> + '_ {
    source.lines().filter_map(|line| {
        let (_, rest) = line.split_once("fn ")?;
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        is_function(&name).then_some(name)
    })
}

/// The last cell of a table row; tests stand nowhere else.
fn last_cell(line: &str) -> Option<&str> {
    line.trim().strip_prefix('|')?.strip_suffix('|')?.rsplit('|').next()
}

/// Test names are sentences, so that a code word in a cell is not taken for one.
fn is_function(name: &str) -> bool {
    name.matches('_').count() >= 2
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_names_no_test_is_found() {
        let source = "#[test]\nfn a_test_that_exists() {}\n    async fn another_one_here() {}\n";
        let known: BTreeSet<String> = functions(source).collect();
        assert_eq!(known.len(), 2);
        let text = "| rule | tests |\n|---|---|\n| `one_two_three` | `a_test_that_exists`, `Sync` |\n\
                    | x | `another_one_here`, `a_test_that_went` |\n";
        let expected = ["table.md:4: there is no test `a_test_that_went`"];
        assert_eq!(violations("table.md", text, &known), expected);
    }
}
