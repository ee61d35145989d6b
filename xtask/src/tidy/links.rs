//! Relative links in documents lead somewhere.

use std::path::Path;

/// `path` is the document's, from the root; `exists` answers for paths from the root.
pub(crate) fn violations(path: &Path, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut fenced = false;
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        for target in targets(&without_code(line)) {
            if is_relative(target) && !exists(&folder.join(file_part(target))) {
                found.push(format!("{}:{number}: no file at {target}", path.display()));
            }
        }
    }
    found
}

/// The line without its `code spans`.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// What stands in the round brackets of `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?;
        target.split_whitespace().next()
    })
}

fn is_relative(target: &str) -> bool {
    let elsewhere = target.contains("://") || target.starts_with("mailto:");
    !elsewhere && !target.starts_with('#')
}

fn file_part(target: &str) -> &str {
    target.split('#').next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let there = [Path::new("docs/a.md"), Path::new("docs/../README.md")];
        let exists = |path: &Path| there.contains(&path);
        assert_eq!(violations(Path::new("docs/x.md"), text, exists), expected);
    }

    #[test]
    fn only_relative_links_outside_of_code_are_followed() {
        check("[a](a.md) and [r](../README.md#use \"title\")", &[]);
        check("[w](https://example.org) [m](mailto:a@b) [h](#here)", &[]);
        check("`[b](b.md)`\n```\n[b](b.md)\n```\n", &[]);
    }

    #[test]
    fn dead_links_are_named_with_their_line() {
        check("x\n[a](a.md) [b](b.md#c)", &["docs/x.md:2: no file at b.md#c"]);
        check("```\n```\n[c](c/d.png)", &["docs/x.md:3: no file at c/d.png"]);
    }
}
