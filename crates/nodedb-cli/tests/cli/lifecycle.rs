//! Creating, opening, and everything that keeps a directory from opening.

use crate::harness::{Database, SEGMENT, contents, json, refused};

#[test]
fn a_created_database_opens_and_is_not_created_twice() {
    let database = Database::with(&["--vshards", "3", "--durability", "periodic:50"]);
    let status = database.json(&["status"]);
    assert_eq!(status["vshards"].as_array().map(Vec::len), Some(3), "{status}");
    database.refused(&["init"], "AlreadyExists", 1);
}

#[test]
fn an_option_out_of_range_is_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("db").display().to_string();
    for words in [
        &["--vshards", "0"][..],
        &["--vshards", "1025"],
        &["--segment-bytes", "4096"],
        &["--segment-bytes", "1000001"],
        &["--archive", "gopher://x/y"],
    ] {
        let words: Vec<_> = ["--dir", &dir, "init"].iter().chain(words).copied().collect();
        refused(&words, "InvalidInput", 1);
    }
}

#[test]
fn a_foreign_directory_is_refused_and_left_as_it_is() {
    let root = tempfile::tempdir().expect("a directory");
    std::fs::write(root.path().join("thesis.txt"), "years of work").expect("written");
    let before = contents(root.path());
    let dir = root.path().display().to_string();
    for words in [&["init"][..], &["status"], &["get", "c", "k"], &["verify"]] {
        let words: Vec<_> = ["--dir", &dir].iter().chain(words).copied().collect();
        let message = refused(&words, "UnsupportedFormat", 1);
        assert!(message.contains("thesis.txt"), "{message}");
    }
    assert_eq!(contents(root.path()), before);
}

#[test]
fn what_is_not_there_is_not_found_and_not_created() {
    let root = tempfile::tempdir().expect("a directory");
    let missing = root.path().join("db");
    let dir = missing.display().to_string();
    for words in
        [&["status"][..], &["get", "c", "k"], &["shell"], &["verify"], &["wal", "segments"]]
    {
        let words: Vec<_> = ["--dir", &dir].iter().chain(words).copied().collect();
        refused(&words, "NotFound", 3);
    }
    assert!(!missing.exists());
}

#[test]
fn a_directory_that_another_process_has_open_names_it() {
    let database = Database::with_collection();
    let mut shell = database.shell();
    shell.ok("put c k 1");
    let process = shell.child.id().to_string();
    for words in [&["get", "c", "k"][..], &["status"], &["verify"]] {
        let message = database.refused(words, "Locked", 1);
        assert!(message.contains(&process), "{message} names not {process}");
    }
    assert!(shell.end().success());
    assert_eq!(database.text(&["get", "c", "k"]), "1\n");
}

#[test]
fn damage_exits_2_and_changes_nothing() {
    let database = Database::with_collection();
    database.json(&["put", "c", "k", "1"]);
    let segment = database.json(&["wal", "segments"])["segments"][0]["file"]
        .as_str()
        .expect("a file")
        .to_owned();
    let whole = std::fs::read(&segment).expect("read");
    std::fs::write(&segment, whole.get(..whole.len() - 512).expect("half")).expect("written");
    let damaged = std::fs::read(&segment).expect("read");
    let ran = database.run(&["get", "c", "k", "--json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = database.run(&["verify", "--json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let report = crate::harness::document(&ran.stdout);
    assert_eq!(report["ok"], false, "{report}");
    let problem = &report["problems"][0];
    for field in ["kind", "path", "lsn_range", "message"] {
        assert!(problem.get(field).is_some(), "{field}: {report}");
    }
    assert_eq!(std::fs::read(&segment).expect("read"), damaged);
    std::fs::write(&segment, whole).expect("written");
    assert_eq!(database.text(&["get", "c", "k"]), "1\n");
}

#[test]
fn a_damaged_identity_exits_2() {
    let database = Database::with_collection();
    let path = database.dir().join("NODEDB");
    let mut bytes = std::fs::read(&path).expect("read");
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).expect("a byte") ^= 1;
    std::fs::write(&path, &bytes).expect("written");
    database.refused(&["status"], "Corrupt", 2);
}

#[test]
fn a_sound_database_verifies() {
    let database = Database::with_collection();
    database.json(&["put", "c", "k", "1"]);
    let report = database.json(&["verify"]);
    assert_eq!((&report["ok"], &report["problems"]), (&true.into(), &serde_json::json!([])));
    for field in ["files", "bytes", "records"] {
        assert!(report["checked"][field].as_u64() > Some(0), "{field}: {report}");
    }
}

#[test]
fn status_has_its_fields() {
    let database = Database::with_collection();
    let status = database.json(&["status"]);
    for field in [
        "health",
        "durable_lsn",
        "redo_lsn",
        "archived_lsn",
        "oldest_lsn",
        "wal_bytes",
        "holds",
        "vshards",
        "estimated_recovery_ms",
        "checkpoint",
    ] {
        assert!(status.get(field).is_some(), "{field}: {status}");
    }
    assert_eq!(status["archived_lsn"], serde_json::Value::Null);
    let checkpoint = &status["checkpoint"];
    assert_eq!((&checkpoint["phase"], &checkpoint["log_age"]), (&"idle".into(), &"young".into()));
    let holds = status["holds"].as_array().expect("holds");
    assert!(!holds.is_empty());
    for field in ["name", "lsn", "bytes", "since_ms", "reason"] {
        assert!(holds.iter().all(|hold| hold.get(field).is_some()), "{field}: {status}");
    }
    let text = database.text(&["status"]);
    assert!(text.contains("health") && text.contains("vshard 0"), "{text}");
}

#[test]
fn the_segments_of_the_log_are_listed() {
    let database = Database::with_collection();
    let segments = database.json(&["wal", "segments"]);
    let first = &segments["segments"][0];
    for field in ["number", "file", "first_lsn", "last_lsn", "bytes", "sealed", "created"] {
        assert!(first.get(field).is_some(), "{field}: {segments}");
    }
}

#[test]
fn an_archive_that_cannot_be_reached_is_an_error() {
    let root = tempfile::tempdir().expect("a directory");
    let blocker = root.path().join("blocker");
    std::fs::write(&blocker, "a file where a directory should be").expect("written");
    let url = format!("file://{}/archive", blocker.display());
    let dir = root.path().join("db").display().to_string();
    let words = ["--dir", &dir, "init", "--segment-bytes", SEGMENT, "--archive", &url];
    let ran = crate::harness::run(&words);
    assert_eq!((ran.code, ran.stderr.starts_with("error: ")), (1, true), "{ran:?}");
    // What the refused creation left does not stand in the way of the next one.
    let words = ["--dir", &dir, "init", "--segment-bytes", SEGMENT];
    assert!(json(&words).get("database_id").is_some());
}
