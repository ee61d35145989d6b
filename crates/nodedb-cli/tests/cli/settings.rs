//! `DIR/nodedb.toml`.

use crate::harness::{Database, json, refused};

#[test]
fn options_stand_in_the_file_and_flags_win() {
    let database = Database::with_collection();
    database.json(&["collection", "create", "c", "--tenant", "acme"]);
    database.json(&["put", "c", "k", "1", "--tenant", "acme"]);
    std::fs::write(
        database.dir().join("nodedb.toml"),
        "tenant = \"acme\"\njson = true\ncores = 1\n",
    )
    .expect("written");
    let text = database.text(&["get", "c", "k"]);
    assert_eq!(crate::harness::document(&text)["value"], 1);
    database.json(&["collection", "create", "c", "--tenant", "other"]);
    let ran = database.run(&["get", "c", "k", "--tenant", "other"]);
    assert_eq!(ran.code, 3, "{ran:?}");
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let database = Database::with_collection();
    std::fs::write(database.dir().join("nodedb.toml"), "tenat = \"a\"\n").expect("written");
    let message = database.refused(&["get", "c", "k"], "InvalidInput", 1);
    assert!(message.contains("nodedb.toml") && message.contains("`tenant`"), "{message}");
    std::fs::write(database.dir().join("nodedb.toml"), "cores = \"many\"\n").expect("written");
    database.refused(&["get", "c", "k"], "InvalidInput", 1);
}

#[test]
fn a_directory_with_nothing_but_the_file_becomes_a_database() {
    let root = tempfile::tempdir().expect("a directory");
    let text = "vshards = 2\nsegment-bytes = 1048576\ndurability = \"buffered\"\n";
    std::fs::write(root.path().join("nodedb.toml"), text).expect("written");
    let dir = root.path().display().to_string();
    json(&["--dir", &dir, "init"]);
    let status = json(&["--dir", &dir, "status"]);
    assert_eq!(status["vshards"].as_array().map(Vec::len), Some(2), "{status}");
    refused(&["--dir", &dir, "init"], "AlreadyExists", 1);
}
