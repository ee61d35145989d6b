use super::*;

const FILE: &str = "crates/nodedb-wal/src/wal.rs";
const TESTS: &str = "crates/nodedb-wal/tests/crash.rs";

fn check(path: &str, text: &str, expected: &[&str]) {
    let found = violations(path, text);
    let expected: Vec<String> = expected.iter().map(|why| format!("{path}{why}")).collect();
    assert_eq!(found, expected, "{text:?}");
}

#[test]
fn plain_source_passes() {
    check(FILE, "//! Doc.\n\nfn a() {} // why\n", &[]);
    check(FILE, "/// 1. a list in documentation\nfn a() {}\n", &[]);
    check(FILE, "let url = \"s3://2. bucket\";\n", &[]);
    check(FILE, "let quoted = \"\\\"// 1. One\";\n", &[]);
}

#[test]
fn characters_are_plain() {
    check(FILE, "// caf\u{e9}\n", &[":1: write it in ASCII"]);
    check(FILE, "a \n\nb\t\n", &[":1: space at the end", ":3: space at the end"]);
    check(FILE, "\tlet a = 1;\n", &[":1: indent by spaces"]);
}

#[test]
fn steps_have_names() {
    let why = ":1: steps that need numbers need names: extract functions";
    for text in ["// 1. Open", "a(); // 2) close", "// Step 3", "// step 12: sync", "// 4: go"] {
        check(FILE, text, &[why]);
    }
    for text in ["// 512 bytes", "// 1.5 times", "// stepwise", "// step by step", "// 10.0.0.1"] {
        check(FILE, text, &[]);
    }
}

#[test]
fn nothing_is_left_for_later() {
    for mark in MARKS {
        let line = format!("// {mark}: later");
        check(FILE, &line, &[&format!(":1: {mark}: do it, or open an issue")]);
        check(FILE, &format!("let a = \"A{mark}B\";"), &[]);
    }
    let line = format!("    {DEBUG_MACRO}(a);");
    check(FILE, &line, &[&format!(":1: take out {DEBUG_MACRO}")]);
    check(TESTS, &format!("    {IGNORE} = \"slow\"]"), &[":1: no test is ignored"]);
}

#[test]
fn tests_do_not_sleep() {
    let why = "tests wait on a condition, they do not sleep";
    for sleep in SLEEPS {
        let line = format!("    {sleep}(a);");
        check(TESTS, &line, &[&format!(":1: {why}")]);
        check("crates/a/src/a/tests.rs", &line, &[&format!(":1: {why}")]);
        let inline = format!("{line}\n#[cfg(test)]\nmod tests {{\n{line}\n}}\n");
        check(FILE, &inline, &[&format!(":4: {why}")]);
    }
}

#[test]
fn only_named_files_touch_memory() {
    let why = format!(":1: unsafe stands in {} only", UNSAFE_FILES.join(", "));
    let lines = [
        format!("let a = {UNSAFE} {{ b() }};"),
        format!("{UNSAFE} impl Send for A {{}}"),
        "#![expect(unsafe_code, reason = \"a map\")]".to_owned(),
    ];
    for line in lines {
        check(FILE, &line, &[&why]);
        for file in UNSAFE_FILES {
            check(file, &line, &[]);
        }
    }
    check(
        FILE,
        "let a = (\"unsafe { }\", '\"', \"unsafe fn\");\n#![forbid(unsafe_code)]\n// unsafe { } is elsewhere\n",
        &[],
    );
}

#[test]
fn files_are_short_and_tests_count_apart() {
    let long = "a\n".repeat(LINES_MAX + 1);
    check(FILE, &long, &[": 501 lines; split it at 500"]);
    check(TESTS, &long, &[]);
    let tested = format!("{}#[cfg(test)]\nmod tests {{\n{long}}}\n", "a\n".repeat(LINES_MAX));
    check(FILE, &tested, &[]);
}

#[test]
fn names_say_something() {
    for name in EMPTY_NAMES {
        let path = format!("crates/a/src/{name}.rs");
        check(&path, "", &[&format!(": name it after its noun, not {name}.rs")]);
    }
    let path = "crates/a/src/pool_manager/a.rs";
    check(path, "", &[": name it after its noun, not pool_manager"]);
    check("crates/a/src/commonality.rs", "", &[]);
}
