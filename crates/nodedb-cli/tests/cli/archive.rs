//! Checkpoints, restore points, archives, restore.

use crate::harness::{Database, document, json, refused, run};
use serde_json::Value;

fn restore(database: &Database, name: &str, to: &str) -> (Value, String) {
    let into = database.path(name).display().to_string();
    let url = database.archive_url();
    let report = json(&["restore", "--archive", &url, "--into", &into, "--to", to]);
    (report, into)
}

fn get(dir: &str, key: &str) -> String {
    run(&["--dir", dir, "get", "c", key]).stdout
}

#[test]
fn a_checkpoint_has_its_fields_and_waits_for_the_archive() {
    let database = Database::with_archive();
    let put = database.json(&["put", "c", "k", "1"]);
    let report = database.json(&["checkpoint", "--wait-archive"]);
    for field in
        ["outcome", "checkpoint_lsn", "redo_lsn", "archived_lsn", "reclaimed_segments", "held_by"]
    {
        assert!(report.get(field).is_some(), "{field}: {report}");
    }
    assert_ne!(report["outcome"], "blocked", "{report}");
    assert!(report["archived_lsn"].as_u64() >= put["lsn"].as_u64(), "{report}");
    assert!(report["redo_lsn"].as_u64() > put["lsn"].as_u64(), "{report}");
    let status = database.json(&["status"]);
    assert_eq!(status["archive"]["policy"], "required", "{status}");
    let plain = Database::with_collection();
    plain.json(&["checkpoint"]);
    plain.refused(&["checkpoint", "--wait-archive"], "InvalidInput", 1);
}

#[test]
fn a_restore_reaches_every_kind_of_target() {
    let database = Database::with_archive();
    let first = database.json(&["put", "c", "k", "{\"n\": 1.10}"]);
    let point = database.json(&["restore-point", "before"]);
    assert!(point["lsn"].as_u64() > first["lsn"].as_u64(), "{point}");
    let time = point["time"].as_str().expect("a time");
    assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    database.refused(&["restore-point", "before"], "AlreadyExists", 1);
    database.refused(&["restore-point", "a b"], "InvalidInput", 1);
    database.json(&["put", "c", "k", "2"]);
    database.json(&["put", "c", "other", "3"]);
    database.json(&["checkpoint", "--wait-archive"]);

    let (report, latest) = restore(&database, "latest", "latest");
    for field in ["target_lsn", "target_time", "base_lsn", "objects", "bytes", "reached_lsn"] {
        assert!(report.get(field).is_some(), "{field}: {report}");
    }
    assert_eq!((get(&latest, "k"), get(&latest, "other")), ("2\n".into(), "3\n".into()));
    let (report, at_point) = restore(&database, "point", "point:before");
    assert!(report["reached_lsn"].as_u64() <= point["lsn"].as_u64(), "{report}");
    assert_eq!(
        (get(&at_point, "k").as_str(), get(&at_point, "other").as_str()),
        ("{\"n\":1.10}\n", "")
    );
    let (_, at_lsn) = restore(&database, "lsn", &format!("lsn:{}", first["lsn"]));
    assert_eq!(get(&at_lsn, "k"), "{\"n\":1.10}\n");
    let (_, at_time) = restore(&database, "time", &format!("time:{time}"));
    assert_eq!(get(&at_time, "k"), "{\"n\":1.10}\n");

    let status = json(&["--dir", &latest, "status"]);
    assert_eq!(status["archive"], Value::Null, "{status}");
    assert!(run(&["--dir", &latest, "put", "c", "k", "4"]).code == 0);
}

#[test]
fn a_base_image_serves_a_restore() {
    let database = Database::with_archive();
    database.json(&["put", "c", "old", "1"]);
    let report = database.json(&["checkpoint", "--base"]);
    assert_ne!(report["outcome"], "blocked", "{report}");
    database.json(&["put", "c", "new", "2"]);
    database.json(&["checkpoint", "--wait-archive"]);
    let (report, into) = restore(&database, "again", "latest");
    assert!(report["base_lsn"].is_u64(), "{report}");
    assert_eq!((get(&into, "old"), get(&into, "new")), ("1\n".into(), "2\n".into()));
    let url = database.archive_url();
    for level in ["chain", "content"] {
        let report = json(&["verify", "--archive", &url, "--level", level]);
        assert_eq!(report["ok"], true, "{report}");
        assert!(report["checked"]["files"].as_u64() > Some(0), "{report}");
    }
}

#[test]
fn a_database_of_other_sizes_is_restored_as_it_was() {
    let root = tempfile::tempdir().expect("a directory");
    let path = |name: &str| root.path().join(name).display().to_string();
    let (dir, url) = (path("db"), format!("file://{}", path("archive")));
    std::fs::create_dir(path("archive")).expect("a directory");
    let words = ["--dir", &dir, "init", "--vshards", "3", "--segment-bytes", "131072"];
    let words: Vec<_> = words.into_iter().chain(["--archive", &url]).collect();
    json(&words);
    json(&["--dir", &dir, "collection", "create", "c"]);
    for number in 0..20 {
        json(&["--dir", &dir, "put", "c", &number.to_string(), &number.to_string()]);
    }
    json(&["--dir", &dir, "checkpoint", "--wait-archive"]);
    let into = path("again");
    json(&["restore", "--archive", &url, "--into", &into]);
    let exported = |dir: &str| run(&["--dir", dir, "export", "c"]).stdout;
    assert_eq!(exported(&into), exported(&dir));
    assert_eq!(exported(&into).lines().count(), 20);
    let status = json(&["--dir", &into, "status"]);
    assert_eq!(status["vshards"].as_array().map(Vec::len), Some(3), "{status}");
}

#[test]
fn a_restore_that_cannot_be_done_leaves_nothing() {
    let database = Database::with_archive();
    database.json(&["put", "c", "k", "1"]);
    database.json(&["checkpoint", "--wait-archive"]);
    let into = database.path("again").display().to_string();
    let url = database.archive_url();
    let words = |to: &'static str| {
        ["restore", "--archive", &url, "--into", &into, "--to", to].map(str::to_owned)
    };
    for to in ["point:nowhere", "lsn:1000000"] {
        let ran = run(&words(to).iter().map(String::as_str).collect::<Vec<_>>());
        assert!(ran.code != 0 && ran.stderr.starts_with("error: "), "{to}: {ran:?}");
        assert!(!database.path("again").exists(), "{to}");
    }
    let mut dry = words("latest").to_vec();
    dry.push("--dry-run".to_owned());
    let plan = json(&dry.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(plan["target_lsn"].is_u64() && plan["objects"].as_u64() > Some(0), "{plan}");
    assert!(!database.path("again").exists());
    let taken = database.dir().display().to_string();
    refused(&["restore", "--archive", &url, "--into", &taken], "AlreadyExists", 1);
    let nowhere = format!("file://{}", database.path("nowhere").display());
    let ran = run(&["restore", "--archive", &nowhere, "--into", &into]);
    assert!(ran.code != 0 && ran.stderr.starts_with("error: "), "{ran:?}");
}

#[test]
fn a_damaged_archive_is_found_and_never_restored_from() {
    let database = Database::with_archive();
    database.json(&["put", "c", "k", "\"something to damage\""]);
    database.json(&["checkpoint", "--wait-archive"]);
    let archive = database.path("archive");
    let largest =
        crate::harness::contents(&archive).into_iter().max_by_key(|(_, bytes)| bytes.len());
    let (path, mut bytes) = largest.expect("an object");
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).expect("a byte") ^= 0x40;
    std::fs::write(&path, bytes).expect("written");
    let url = database.archive_url();
    let ran = run(&["verify", "--archive", &url, "--level", "content", "--json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(document(&ran.stdout)["problems"].as_array().is_none_or(|found| !found.is_empty()));
    let into = database.path("again").display().to_string();
    let ran = run(&["restore", "--archive", &url, "--into", &into]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(!database.path("again").exists());
}

#[test]
fn an_archive_that_goes_away_stops_no_write_and_is_caught_up() {
    let database = Database::with_archive();
    let patience = "request-deadline-ms = 500\ncheckpoint-deadline-ms = 500\n";
    std::fs::write(database.dir().join("nodedb.toml"), patience).expect("written");
    let (archive, away) = (database.path("archive"), database.path("away"));
    std::fs::rename(&archive, &away).expect("moved away");
    let put = database.json(&["put", "c", "k", "1"]);
    let message = database.refused(&["checkpoint", "--wait-archive"], "Timeout", 1);
    assert!(message.contains("archive"), "{message}");
    assert!(!archive.exists(), "an archive was made where none is mounted");
    std::fs::rename(&away, &archive).expect("moved back");
    let report = database.json(&["checkpoint", "--wait-archive"]);
    assert!(report["archived_lsn"].as_u64() >= put["lsn"].as_u64(), "{report}");
    let (_, into) = restore(&database, "again", "latest");
    assert_eq!(get(&into, "k"), "1\n");
}
