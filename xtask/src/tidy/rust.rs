//! Rules on one source file.

use std::path::Path;

/// Lines of a file without its tests.
const LINES_MAX: usize = 500;

/// The files that may say `unsafe`: a read-only map of log segments, the view of a vector index over its
/// file, and the mapped writer that a bench holds against the log's way to write.
const UNSAFE_FILES: [&str; 3] = [
    "crates/nodedb-wal/src/segment/map.rs",
    "crates/nodedb-vector/src/segment/view.rs",
    "benches/benches/wal/map.rs",
];

/// Names that tell nothing of what is in the file.
const EMPTY_NAMES: [&str; 7] = ["manager", "helper", "helpers", "util", "utils", "misc", "common"];

/// Marks of unfinished work. Joined here, so that this file does not carry them itself.
const MARKS: [&str; 4] =
    [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("X", "XX"), concat!("HA", "CK")];

const DEBUG_MACRO: &str = concat!("db", "g!");
const IGNORE: &str = concat!("#[ig", "nore");
const SLEEPS: [&str; 2] = [concat!("thread::", "sleep"), concat!("time::", "sleep")];
const UNSAFE: &str = concat!("un", "safe");
const UNSAFE_FOLLOWERS: [&str; 5] = [" {", " fn", " impl", " trait", " extern"];

/// `path` is from the root of the workspace.
pub(crate) fn violations(path: &str, text: &str) -> Vec<String> {
    let mut found: Vec<String> = of_path(path).into_iter().collect();
    let tests_start = first_test_line(path, text);
    let lines = text.lines().count().min(tests_start);
    if lines > LINES_MAX {
        found.push(format!("{path}: {lines} lines; split it at {LINES_MAX}"));
    }
    for (index, line) in text.lines().enumerate() {
        let in_tests = index >= tests_start;
        for why in of_line(path, line, in_tests) {
            found.push(format!("{path}:{}: {why}", index + 1));
        }
    }
    found
}

fn of_path(path: &str) -> Option<String> {
    let mut parts = Path::new(path).iter().filter_map(|part| part.to_str());
    let empty = |part: &str| {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        stem.split(['_', '-']).any(|word| EMPTY_NAMES.contains(&word))
    };
    let part = parts.find(|part| empty(part))?;
    Some(format!("{path}: name it after its noun, not {part}"))
}

/// Index of the first line that belongs to tests; the number of lines if none does.
fn first_test_line(path: &str, text: &str) -> usize {
    if path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests") {
        return 0;
    }
    let lines: Vec<&str> = text.lines().collect();
    let inline = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    });
    inline.unwrap_or(lines.len())
}

fn of_line(path: &str, line: &str, in_tests: bool) -> Vec<String> {
    let mut found = Vec::new();
    if !line.is_ascii() {
        found.push("write it in ASCII".to_owned());
    }
    if line.ends_with([' ', '\t']) {
        found.push("space at the end".to_owned());
    }
    let indentation = line.len() - line.trim_start().len();
    if line[..indentation].contains('\t') {
        found.push("indent by spaces".to_owned());
    }
    if line.trim_start().starts_with(IGNORE) {
        found.push("no test is ignored".to_owned());
    }
    if has_word(line, DEBUG_MACRO) {
        found.push(format!("take out {DEBUG_MACRO}"));
    }
    let marks = MARKS.into_iter().filter(|mark| has_word(line, mark));
    found.extend(marks.map(|mark| format!("{mark}: do it, or open an issue")));
    let (code, comment) = split_comment(line);
    if in_tests && SLEEPS.iter().any(|sleep| code.contains(sleep)) {
        found.push("tests wait on a condition, they do not sleep".to_owned());
    }
    if comment.is_some_and(is_numbered_step) {
        found.push("steps that need numbers need names: extract functions".to_owned());
    }
    if !UNSAFE_FILES.contains(&path) && is_unsafe(&code) {
        found.push(format!("{UNSAFE} stands in {} only", UNSAFE_FILES.join(", ")));
    }
    found
}

/// The code of a line without the contents of its strings, and the text of a comment that is not
/// documentation. A string over several lines is taken for code from its second line on.
fn split_comment(line: &str) -> (String, Option<&str>) {
    let mut code = String::with_capacity(line.len());
    let mut in_string = false;
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if in_string && first == '\\' || rest.starts_with("'\"'") {
            // An escaped character, or a quotation mark that opens no string.
            rest = rest.get(2..).unwrap_or_default();
            continue;
        }
        if !in_string && let Some(comment) = rest.strip_prefix("//") {
            let documentation = comment.starts_with(['/', '!']);
            return (code, (!documentation).then_some(comment));
        }
        in_string ^= first == '"';
        if !in_string {
            code.push(first);
        }
        rest = &rest[first.len_utf8()..];
    }
    (code, None)
}

fn is_numbered_step(comment: &str) -> bool {
    let text = comment.trim_start();
    let lower = text.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix("step ") {
        return rest.starts_with(|first: char| first.is_ascii_digit());
    }
    let rest = text.trim_start_matches(|first: char| first.is_ascii_digit());
    let numbered = rest.len() < text.len();
    // "// 1.5 times" and "// 512)" within a sentence are no list.
    numbered && [". ", ") ", ": "].iter().any(|end| rest.starts_with(end))
}

fn is_unsafe(code: &str) -> bool {
    let mut rest = code;
    while let Some(at) = rest.find(UNSAFE) {
        let behind = &rest[at + UNSAFE.len()..];
        if UNSAFE_FOLLOWERS.iter().any(|next| behind.starts_with(next)) {
            return true;
        }
        rest = behind;
    }
    // An exemption from the lint is the other way in.
    code.contains("expect(unsafe_code")
}

/// Whether `word` stands in the line, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

#[cfg(test)]
mod tests;
