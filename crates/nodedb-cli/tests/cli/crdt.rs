//! CRDT documents between databases.

use crate::harness::Database;
use nodedb::loro::{ExportMode, LoroDoc};

fn replica() -> Database {
    let database = Database::new();
    database.json(&["collection", "create", "notes", "--kind", "crdt"]);
    database
}

fn updates(peer: u64, base: &[u8], at: usize, text: &str) -> Vec<u8> {
    let document = LoroDoc::new();
    document.set_peer_id(peer).expect("a peer");
    if !base.is_empty() {
        document.import(base).expect("a base");
    }
    document.get_text("text").insert(at, text).expect("inserted");
    document.commit();
    document.export(ExportMode::all_updates()).expect("exported")
}

#[test]
fn two_replicas_merged_in_either_order_agree() {
    let (phone, laptop) = (replica(), replica());
    let base = updates(1, &[], 0, "middle");
    let first = phone.write("first", updates(2, &base, 0, "begin "));
    let second = phone.write("second", updates(3, &base, 6, " end"));
    let (first, second) = (first.display().to_string(), second.display().to_string());
    let merged = phone.json(&["crdt", "merge", "notes", "k", &first]);
    assert_eq!(merged["changed"], true);
    assert!(merged["lsn"].is_u64(), "{merged}");
    phone.json(&["crdt", "merge", "notes", "k", &second]);
    laptop.json(&["crdt", "merge", "notes", "k", &second]);
    laptop.json(&["crdt", "merge", "notes", "k", &first]);
    let text = phone.text(&["get", "notes", "k"]);
    assert_eq!(text, "{\"text\":\"begin middle end\"}\n");
    assert_eq!(laptop.text(&["get", "notes", "k"]), text);
    let again = phone.json(&["crdt", "merge", "notes", "k", &first]);
    assert_eq!((&again["changed"], &again["lsn"]), (&false.into(), &serde_json::Value::Null));
}

#[test]
fn an_export_carries_a_document_to_another_database() {
    let (phone, laptop) = (replica(), replica());
    let first = phone.write("first", updates(2, &[], 0, "hello"));
    phone.json(&["crdt", "merge", "notes", "k", &first.display().to_string()]);
    let out = phone.path("out.loro").display().to_string();
    let exported = phone.json(&["crdt", "export", "notes", "k", &out]);
    assert_eq!(exported["bytes"].as_u64(), std::fs::metadata(&out).ok().map(|file| file.len()));
    laptop.json(&["crdt", "merge", "notes", "k", &out]);
    assert_eq!(laptop.text(&["get", "notes", "k"]), "{\"text\":\"hello\"}\n");
    let piped = phone.command(&["crdt", "export", "notes", "k", "-"]).output().expect("runs");
    let ran = laptop.run_with_input(&["crdt", "merge", "notes", "k", "-", "--json"], &piped.stdout);
    assert_eq!(crate::harness::document(&ran.stdout)["changed"], false);
}

#[test]
fn wrong_updates_and_kinds_are_refused() {
    let database = replica();
    let noise = database.write("noise", "no update");
    let noise = noise.display().to_string();
    database.refused(&["crdt", "merge", "notes", "k", &noise], "InvalidInput", 1);
    database.refused(&["get", "notes", "k"], "NotFound", 3);
    database.refused(&["crdt", "export", "notes", "k", "/dev/null"], "NotFound", 3);
    database.refused(&["put", "notes", "k", "{}"], "InvalidInput", 1);
    database.json(&["collection", "create", "c"]);
    database.refused(&["crdt", "merge", "c", "k", &noise], "InvalidInput", 1);
    let since = ["crdt", "export", "notes", "k", "/dev/null", "--since", "xyz"];
    database.refused(&since, "InvalidInput", 1);
}
