//! Decisions are `NNNN-title.md`, numbered 1, 2, 3 ... without a gap: none disappears.

/// `names` are the files of the folder, sorted.
pub(crate) fn violations(names: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut expected = 1;
    for name in names.iter().filter(|name| *name != "README.md") {
        match number(name) {
            None => found.push(format!("docs/decisions/{name}: not named NNNN-title.md")),
            Some(number) if number == expected => expected += 1,
            Some(number) => {
                found.push(format!(
                    "docs/decisions/{name}: {expected:04} comes next, not {number:04}"
                ));
                expected = number + 1;
            }
        }
    }
    found
}

fn number(name: &str) -> Option<u32> {
    let (digits, title) = name.split_once('-')?;
    let well_formed = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !well_formed || title.len() <= ".md".len() {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &[&str]) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(violations(&names), expected);
    }

    #[test]
    fn numbers_are_dense() {
        check(&[], &[]);
        check(&["0001-a.md", "0002-b.md", "README.md"], &[]);
        check(
            &["0001-a.md", "0003-b.md", "0004-c.md"],
            &["docs/decisions/0003-b.md: 0002 comes next, not 0003"],
        );
        check(
            &["0001-a.md", "0001-b.md"],
            &["docs/decisions/0001-b.md: 0002 comes next, not 0001"],
        );
        check(
            &["1-a.md", "notes.md", "0001-.md"],
            &[
                "docs/decisions/1-a.md: not named NNNN-title.md",
                "docs/decisions/notes.md: not named NNNN-title.md",
                "docs/decisions/0001-.md: not named NNNN-title.md",
            ],
        );
    }
}
