//! The tools for the log: a damaged database is looked at, cut, and opens again.

use crate::harness::{Database, contents, document};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// Five documents in a log of one life, whose process was killed.
fn killed() -> Database {
    let database = Database::with(&["--vshards", "2"]);
    let mut shell = database.shell();
    shell.ok("collection create c");
    for key in 1..=5 {
        shell.ok(&format!("put c k{key} {key}"));
    }
    shell.child.kill().expect("killed");
    shell.child.wait().expect("it ends");
    database
}

/// The lines of a dump that are records of this kind.
fn records(lines: &[Value], op: &str) -> Vec<u64> {
    let ours = lines.iter().filter(|line| line["type"] == "record" && line["op"] == op);
    ours.map(|line| line["lsn"].as_u64().expect("a number")).collect()
}

fn lines(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// Flips a bit in the batch of a record.
fn damage(database: &Database, dump: &[Value], lsn: u64) -> PathBuf {
    let at = dump.iter().position(|line| line["lsn"] == lsn).expect("the record");
    let batch = dump[..at].iter().rfind(|line| line["type"] == "batch").expect("its batch");
    let number = batch["segment"].as_u64().expect("a number");
    let segment = database.dir().join(format!("wal/wal-{number:020}.seg"));
    let mut bytes = fs::read(&segment).expect("read");
    let offset = usize::try_from(batch["offset"].as_u64().expect("a number")).expect("small");
    bytes[offset + 100] ^= 1;
    fs::write(&segment, bytes).expect("written");
    segment
}

#[test]
fn a_sound_log_is_dumped_and_verified() {
    let database = killed();
    let dump = database.lines(&["wal", "dump"]);
    let puts = records(&dump, "put");
    assert_eq!(puts.len(), 5);
    assert!(!records(&dump, "catalog").is_empty());
    let batch = dump.iter().find(|line| line["type"] == "batch").expect("a batch");
    for field in ["kind", "segment", "offset", "bytes", "first_lsn", "records", "epoch", "time"] {
        assert!(batch.get(field).is_some(), "{field}: {batch}");
    }
    let record = dump.iter().find(|line| line["type"] == "record").expect("a record");
    for field in ["lsn", "tenant", "vshard", "kind", "op", "group_first", "group_last", "hex"] {
        assert!(record.get(field).is_some(), "{field}: {record}");
    }
    let end = dump.last().expect("an end");
    assert_eq!((&end["type"], &end["last_lsn"]), (&"end".into(), &puts[4].into()), "{end}");
    let (from, to) = (puts[1].to_string(), puts[2].to_string());
    let some = database.lines(&["wal", "dump", "--from", &from, "--to", &to]);
    assert_eq!(records(&some, "put"), &puts[1..3]);
    let message =
        database.refused(&["wal", "dump", "--from", &to, "--to", &from], "InvalidInput", 1);
    assert!(message.contains("--from") && message.contains(&from), "{message}");
    let text = database.text(&["wal", "dump", "--from", &to]);
    let line = format!("  {to}  put  tenant 1 vshard ");
    assert!(text.lines().any(|found| found.starts_with(&line)), "{text}");
    assert!(text.lines().last().is_some_and(|end| end.starts_with("sound: records from 1 to ")));
    let verified = database.json(&["wal", "verify"]);
    assert_eq!(verified["ok"], true);
    assert_eq!(verified["checked"]["records"], *puts.last().expect("puts"));
}

/// The killed database with the fourth of its five documents damaged; the LSNs of all five.
fn damaged() -> (Database, Vec<u64>) {
    let database = killed();
    let dump = database.lines(&["wal", "dump"]);
    let puts = records(&dump, "put");
    damage(&database, &dump, puts[3]);
    (database, puts)
}

#[test]
fn a_damaged_log_is_named_and_shown_up_to_the_damage() {
    let (database, puts) = damaged();
    let before = contents(&database.dir());
    database.refused(&["get", "c", "k1"], "Corrupt", 2);
    database.refused(&["wal", "segments"], "Corrupt", 2);
    let ran = database.run(&["wal", "verify", "--json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let report = document(&ran.stdout);
    assert_eq!((&report["ok"], &report["problems"][0]["kind"]), (&false.into(), &"Corrupt".into()));
    assert_eq!(report["problems"][0]["lsn_range"][0], puts[3]);
    let ran = database.run(&["wal", "dump", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (2, ""));
    let shown = lines(&ran.stdout);
    assert_eq!(records(&shown, "put"), &puts[..3]);
    assert_eq!(shown.last().expect("lines")["error"]["kind"], "Corrupt");
    let ran = database.run(&["wal", "dump"]);
    assert!(ran.code == 2 && ran.stderr.starts_with("error: segment "), "{ran:?}");
    // Only the lock file notes who opened it last.
    assert_eq!(without_lock(contents(&database.dir())), without_lock(before));
}

fn without_lock(mut files: Vec<(PathBuf, Vec<u8>)>) -> Vec<(PathBuf, Vec<u8>)> {
    files.retain(|(path, _)| !path.ends_with("LOCK"));
    files
}

#[test]
fn without_consent_nothing_is_cut_and_the_loss_is_said_exactly() {
    let (database, puts) = damaged();
    let before = contents(&database.dir());
    let (at, last) = (puts[2].to_string(), puts[4]);
    let message = database.refused(&["wal", "truncate", "--at", &at], "InvalidInput", 1);
    let said =
        format!("records {} to {last} (2) would be lost: the log ends at {at} then", puts[3]);
    assert!(message.starts_with(&said) && message.contains("--accept-data-loss"), "{message}");
    let beyond = puts[3].to_string();
    let words = ["wal", "truncate", "--at", &beyond, "--accept-data-loss"];
    let message = database.refused(&words, "InvalidInput", 1);
    assert!(message.contains(&format!("readable up to {at}")), "{message}");
    assert_eq!(contents(&database.dir()), before);
}

#[test]
fn a_damaged_log_is_cut_with_the_originals_aside_and_opens_again() {
    let (database, puts) = damaged();
    let before = contents(&database.dir());
    let at = puts[2].to_string();
    let cut = database.json(&["wal", "truncate", "--at", &at, "--accept-data-loss"]);
    assert_eq!(cut["kept_lsn"], puts[2]);
    let dropped = json!({"first_lsn": puts[3], "last_lsn": puts[4], "records": 2});
    assert_eq!((&cut["dropped"], &cut["open_ended"]), (&dropped, &false.into()));
    let copies = PathBuf::from(cut["copies"].as_str().expect("copies"));
    assert!(copies.starts_with(database.dir().join("truncated")), "{cut}");
    let files = cut["files"].as_array().expect("files");
    assert!(!files.is_empty(), "{cut}");
    for file in files {
        let file = PathBuf::from(file.as_str().expect("a path"));
        let (_, original) = before.iter().find(|(path, _)| *path == file).expect("it was there");
        let copy = fs::read(copies.join(file.file_name().expect("a name"))).expect("read");
        assert_eq!(&copy, original, "{}", file.display());
    }
    assert_eq!(database.text(&["get", "c", "k3"]), "3\n");
    database.refused(&["get", "c", "k4"], "NotFound", 3);
    database.json(&["put", "c", "k4", "\"again\""]);
    assert_eq!(database.text(&["get", "c", "k4"]), "\"again\"\n");
    assert_eq!(database.json(&["verify"])["ok"], true);
}

#[test]
fn a_cut_may_go_to_a_place_of_ones_own_and_is_said_in_words() {
    let database = killed();
    let puts = records(&database.lines(&["wal", "dump"]), "put");
    let (at, copies) = (puts[0].to_string(), database.path("originals").display().to_string());
    let words = ["wal", "truncate", "--at", &at, "--accept-data-loss", "--copies", &copies];
    let text = database.text(&words);
    let said = format!("the log ends at {at}; lost: records {} to {} (4), ", puts[1], puts[4]);
    assert!(text.starts_with(&said) && text.contains(&copies), "{text}");
    assert!(!database.dir().join("truncated").exists());
    let text = database.text(&words);
    let said = format!("the log ends at {at} already, and is sound: nothing was done\n");
    assert_eq!(text, said);
    assert_eq!(database.json(&["wal", "truncate", "--at", &at])["copies"], Value::Null);
    assert_eq!(database.text(&["get", "c", "k1"]), "1\n");
}

/// A process that closes the database checkpoints it, so recovery needs nothing below its end.
#[test]
fn what_recovery_needs_is_not_cut() {
    let database = Database::with_collection();
    database.json(&["put", "c", "k", "1"]);
    let before = contents(&database.dir());
    let words = ["wal", "truncate", "--at", "1", "--accept-data-loss"];
    let message = database.refused(&words, "InvalidInput", 1);
    assert!(message.contains("restore from the archive"), "{message}");
    assert_eq!(contents(&database.dir()), before);
}

#[test]
fn an_open_database_is_dumped_and_not_cut() {
    let database = Database::with_collection();
    let mut shell = database.shell();
    let lsn = shell.ok("put c k 1")["lsn"].as_u64().expect("a number");
    assert!(records(&database.lines(&["wal", "dump"]), "put").contains(&lsn));
    for words in [&["wal", "verify"][..], &["wal", "truncate", "--at", "1", "--accept-data-loss"]] {
        database.refused(words, "Locked", 1);
    }
    assert!(shell.end().success());
}
