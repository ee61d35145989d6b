//! The shell.

use crate::harness::{Database, document, run};
use std::collections::BTreeSet;

#[test]
fn every_command_is_answered_in_order_by_one_line() {
    let database = Database::new();
    let input = concat!(
        "collection create c\n",
        "\n",
        "put c a '{\"text\": \"it is\"}'\n",
        "[\"put\", \"c\", \"b\", \"{\\\"n\\\": 1.10}\"]\n",
        "get c b\n",
        "get c missing\n",
        "fly away\n",
        "put c 'open\n",
        "scan c\n",
        "export c\n",
        "status --json\n",
        "verify --help\n",
        "put c last -1",
    );
    let ran = database.run_with_input(&["shell"], input.as_bytes());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    let answers: Vec<_> = lines.iter().map(|line| document(&format!("{line}\n"))).collect();
    let ok: Vec<_> = answers.iter().map(|answer| answer["ok"] == true).collect();
    let wanted = [true, true, true, true, false, false, false, true, true, true, true, true];
    assert_eq!(ok, wanted, "{}", ran.stdout);
    assert!(lines.get(3).is_some_and(|line| line.ends_with("\"value\":{\"n\":1.10}}")));
    let kinds: Vec<_> =
        answers.iter().filter_map(|answer| answer["error"]["kind"].as_str()).collect();
    assert_eq!(kinds, ["NotFound", "InvalidInput", "InvalidInput"]);
    assert_eq!(answers[7]["rows"].as_array().map(Vec::len), Some(2));
    assert_eq!(answers[8]["rows"][1]["key"], "b");
    assert!(answers[9]["durable_lsn"].is_u64());
    assert_eq!(database.text(&["get", "c", "last"]), "-1\n");
}

#[test]
fn an_answer_comes_before_the_next_command_is_sent() {
    let database = Database::with_collection();
    let mut shell = database.shell();
    for number in 0..50 {
        let put = shell.ok(&format!("put c k {number}"));
        let version = put["version"].as_str().expect("a version").to_owned();
        let get = shell.ok("get c k");
        assert_eq!(
            (get["value"].as_u64(), get["version"].as_str()),
            (Some(number), Some(&*version))
        );
    }
    let created = shell.ok("collection create c --tenant acme");
    assert_eq!(created["collections"][0]["name"], "c");
    shell.ok("put c k '\"acme\"' --tenant acme");
    assert_eq!(shell.ok("get c k --tenant acme")["value"], "acme");
    assert_eq!(shell.ok("get c k")["value"], 49);
    assert!(shell.end().success());
}

#[test]
fn the_directory_of_the_environment_does_not_reach_into_a_shell() {
    let (database, elsewhere) = (Database::with_collection(), Database::new());
    let mut command = database.command(&["shell"]);
    command.env("NODEDB_DIR", elsewhere.dir());
    let ran = crate::harness::run_command(command, b"put c k 1\n");
    assert_eq!(document(&ran.stdout)["ok"], true, "{ran:?}");
}

#[test]
fn the_json_switch_does_not_change_its_lines() {
    let database = Database::with_collection();
    let ran = database.run_with_input(&["shell", "--json"], b"get c k\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(document(&ran.stdout)["error"]["kind"], "NotFound");
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("db").display().to_string();
    assert_eq!(run(&["--dir", &dir, "shell"]).code, 3);
}

#[test]
fn a_killed_shell_has_everything_that_it_acknowledged() {
    let database = Database::with_collection();
    let mut shell = database.shell();
    // Ahead of the answers, so that the kill falls into the middle; less than the pipes hold.
    for number in 0..400 {
        shell.send(&format!("put c key-{number:04} '{{\"n\": {number}}}'"));
    }
    let mut acknowledged = 0;
    while let Some(answer) = shell.next() {
        assert_eq!(answer["ok"], true, "{answer}");
        acknowledged += 1;
        if acknowledged == 200 {
            shell.child.kill().expect("killed");
        }
    }
    shell.child.wait().expect("ended");
    assert!(acknowledged >= 200);
    let stored: BTreeSet<_> = database
        .lines(&["scan", "c"])
        .iter()
        .map(|row| {
            let key = row["key"].as_str().expect("a key").to_owned();
            let number = row["value"]["n"].as_u64().expect("a number");
            assert_eq!(key, format!("key-{number:04}"));
            number
        })
        .collect();
    // One writer, in order: what is stored is a prefix of what was sent, all acknowledged in it.
    assert!(stored.iter().copied().eq(0..stored.len() as u64), "{stored:?}");
    assert!((acknowledged..=400).contains(&stored.len()), "{acknowledged} of {}", stored.len());
    let report = database.json(&["verify"]);
    assert_eq!(report["ok"], true, "{report}");
}
