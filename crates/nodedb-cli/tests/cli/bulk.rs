//! import and export.

use crate::harness::Database;
use rustix::process::{Pid, Signal, kill_process};
use std::{io::Write, process::Stdio};

fn text(count: usize, line: impl Fn(usize) -> String) -> String {
    let lines: Vec<_> = (0..count).map(line).collect();
    lines.concat()
}

fn rows(count: usize) -> String {
    text(count, |n| format!("{{\"id\": \"r{n:05}\", \"n\": {n}.0}}\n"))
}

#[test]
fn what_is_imported_is_exported_in_key_order() {
    let database = Database::with_collection();
    let mut lines: Vec<_> = rows(500).lines().map(str::to_owned).collect();
    lines.reverse();
    let file = database.write("rows.jsonl", lines.join("\n"));
    let file = file.display().to_string();
    let report = database.json(&["import", "c", &file, "--key", "id", "--batch", "7"]);
    assert_eq!(report.to_string(), r#"{"imported":500,"skipped":0,"errors":[]}"#);
    let wanted = text(500, |n| {
        format!("{{\"key\":\"r{n:05}\",\"value\":{{\"id\":\"r{n:05}\",\"n\":{n}.0}}}}\n")
    });
    assert_eq!(database.text(&["export", "c"]), wanted);
    assert_eq!(database.text(&["export", "c", "-"]), wanted);
    let out = database.path("out.jsonl");
    let exported = database.json(&["export", "c", out.to_str().expect("a path")]);
    assert_eq!(exported["exported"], 500);
    assert_eq!(std::fs::read_to_string(&out).expect("read"), wanted);
    // Again is harmless: keys keep their values.
    database.json(&["import", "c", &file, "--key", "id"]);
    assert_eq!(database.text(&["export", "c"]), wanted);
}

#[test]
fn a_bad_line_stops_with_its_number_and_what_stands_before_it_is_there() {
    let database = Database::with_collection();
    let input = format!("{}\n{{\"id\": broken}}\n{{\"id\": \"z\"}}\n", rows(3));
    let file = database.write("rows.jsonl", input);
    let file = file.display().to_string();
    let message = database.refused(&["import", "c", &file, "--key", "id"], "InvalidInput", 1);
    assert!(message.contains("line 5"), "{message}");
    assert_eq!(database.lines(&["scan", "c"]).len(), 3);
}

#[test]
fn bad_lines_may_be_left_out_and_are_reported() {
    let database = Database::new();
    database.json(&["collection", "create", "c", "--vector", "v:2:l2"]);
    let input = concat!(
        "{\"id\": \"a\"}\n",
        "not json\n",
        "{\"name\": \"no key\"}\n",
        "{\"id\": \"b\", \"v\": [1, 2, 3]}\n",
        "{\"id\": \"c\", \"v\": [1e999, 2]}\n",
        "{\"id\": \"d\", \"v\": [1, 2]}\n",
        "{\"id\": 7}",
    );
    let words = ["import", "c", "-", "--key", "id", "--on-error", "skip", "--json"];
    let ran = database.run_with_input(&words, input.as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    let report = crate::harness::document(&ran.stdout);
    assert_eq!((&report["imported"], &report["skipped"]), (&3.into(), &4.into()), "{report}");
    let lines: Vec<_> = report["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| (error["line"].as_u64(), error["message"].is_string()))
        .collect();
    assert_eq!(lines, [2, 3, 4, 5].map(|line| (Some(line), true)));
    let keys: Vec<_> =
        database.lines(&["scan", "c"]).iter().map(|row| row["key"].clone()).collect();
    assert_eq!(keys, ["7", "a", "d"]);
}

#[test]
fn wrong_words_of_an_import_are_refused() {
    let database = Database::with_collection();
    database.refused(&["import", "c", "/no/such/file", "--key", "id"], "NotFound", 3);
    let file = database.write("rows.jsonl", rows(1));
    let file = file.display().to_string();
    database.refused(&["import", "c", &file, "--key", "id", "--batch", "0"], "InvalidInput", 1);
    database.json(&["collection", "create", "notes", "--kind", "crdt"]);
    database.refused(&["import", "notes", &file, "--key", "id"], "InvalidInput", 1);
}

#[test]
fn an_export_that_fails_leaves_the_file_as_it_was() {
    let database = Database::with_collection();
    let out = database.write("out.jsonl", "precious");
    let out = out.display().to_string();
    database.refused(&["export", "missing", &out], "NotFound", 3);
    assert_eq!(std::fs::read_to_string(&out).expect("read"), "precious");
    database.refused(&["export", "c", "/no/such/directory/file"], "NotFound", 3);
}

#[test]
fn ctrl_c_ends_an_import_cleanly_and_says_how_to_go_on() {
    let database = Database::with_collection();
    let mut command = database.command(&["import", "c", "-", "--key", "id", "--batch", "100"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // More than pipe and buffer hold: the import is reading, so it listens for Ctrl-C.
    let input = rows(10_000);
    assert!(input.len() > 4 * (64 << 10));
    stdin.write_all(input.as_bytes()).expect("the import reads");
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::INT).expect("signalled");
    drop(stdin);
    let output = child.wait_with_output().expect("the import ends");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: import interrupted after line "), "{stderr}");
    let line = stderr.split("after line ").nth(1).and_then(|rest| rest.split(' ').next());
    let line: usize = line.expect("a number").parse().expect("a number");
    assert!(stderr.contains(&format!("tail -n +{}", line + 1)), "{stderr}");
    assert_eq!(database.lines(&["scan", "c"]).len(), line, "what was said is there, no more");
}
