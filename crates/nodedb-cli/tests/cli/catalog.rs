//! Collections and tenants.

use crate::harness::Database;
use serde_json::json;

#[test]
fn collections_are_created_listed_and_dropped() {
    let database = Database::new();
    let words = ["collection", "create", "words", "--vector", "v:3:cosine", "--partitions", "2"];
    let created = database.json(&words);
    let wanted = json!({
        "name": "words", "kind": "document", "partitions": 2, "documents": 0,
        "key_bytes": 0, "value_bytes": 0,
        "indexes": [
            {"field": "v", "dimensions": 3, "metric": "cosine", "storage": "bf16", "state": "ready"}
        ],
    });
    assert_eq!(created["collections"], json!([wanted]));
    database.json(&["collection", "create", "raw", "--kind", "bytes"]);
    database.json(&["collection", "create", "notes", "--kind", "crdt"]);
    let listed = database.json(&["collection", "list"]);
    let names: Vec<_> = listed["collections"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["name"].as_str().expect("a name"), one["kind"].as_str().expect("a kind")))
        .collect();
    assert_eq!(names, [("words", "document"), ("raw", "bytes"), ("notes", "crdt")]);
    database.json(&["put", "words", "k", "{}"]);
    let listed = database.json(&["collection", "list"]);
    assert_eq!(listed["collections"][0]["documents"], 1);
    assert!(database.json(&["collection", "drop", "words"])["lsn"].is_u64());
    database.refused(&["get", "words", "k"], "NotFound", 3);
    database.json(&["collection", "create", "words"]);
    database.refused(&["get", "words", "k"], "NotFound", 3);
}

#[test]
fn a_collection_says_how_much_it_and_its_indexes_hold() {
    let database = Database::new();
    let words = ["collection", "create", "c", "--vector", "v:2:l2", "--index", "n"];
    database.json(&words);
    database.json(&["put", "c", "ab", "{\"v\":[1,2],\"n\":1}"]);
    database.json(&["put", "c", "cd", "{\"n\":1}"]);
    let wanted = json!({
        "name": "c", "kind": "document", "documents": 2, "key_bytes": 4, "value_bytes": 24,
        "indexes": [
            {
                "field": "v", "dimensions": 2, "metric": "l2", "storage": "bf16", "state": "ready",
                "entries": 1, "segments": 0,
            },
            {"field": "n", "unique": false, "state": "ready", "entries": 2},
        ],
    });
    assert_eq!(database.json(&["collection", "info", "c"]), wanted);
    let text = database.text(&["collection", "info", "c"]);
    assert_eq!(
        text,
        "c, document\n2 documents, 4 bytes of keys, 24 bytes of values\n\
         index v:2:l2:bf16: 1 vectors, 0 segments\nindex n: 2 entries\n"
    );
    let listed = &database.json(&["collection", "list"])["collections"][0];
    assert_eq!((&listed["key_bytes"], &listed["value_bytes"]), (&json!(4), &json!(24)));
    database.refused(&["collection", "info", "x"], "NotFound", 3);
    let message = database.refused(&["index", "drop", "c", "x"], "NotFound", 3);
    assert!(message.contains("no index over `x`") && message.contains("`v`, `n`"), "{message}");
}

#[test]
fn wrong_collections_are_refused() {
    let database = Database::with_collection();
    database.refused(&["collection", "create", "c"], "AlreadyExists", 1);
    database.refused(&["collection", "create", "a/b"], "InvalidInput", 1);
    database.refused(&["collection", "create", "d", "--partitions", "9"], "InvalidInput", 1);
    database.refused(&["collection", "create", "d", "--vector", "v:0:dot"], "InvalidInput", 1);
    database.refused(&["collection", "drop", "d"], "NotFound", 3);
    let crdt = ["collection", "create", "d", "--kind", "crdt", "--vector", "v:3:dot"];
    database.refused(&crdt, "InvalidInput", 1);
}

#[test]
fn an_unknown_collection_is_not_found_by_every_command() {
    let database = Database::new();
    let empty = database.write("empty", "");
    let empty = empty.to_str().expect("a path");
    for words in [
        &["put", "x", "k", "1"][..],
        &["get", "x", "k"],
        &["delete", "x", "k"],
        &["delete", "x", "--filter", "a = 1"],
        &["batch", r#"[{"put": {"collection": "x", "key": "k", "value": 1}}]"#],
        &["import", "x", empty, "--key", "id"],
        &["export", "x"],
        &["scan", "x"],
        &["search", "x", "--field", "v", "--vector", "[1]"],
        &["crdt", "export", "x", "k", "/dev/null"],
        &["crdt", "merge", "x", "k", empty],
    ] {
        let message = database.refused(words, "NotFound", 3);
        assert!(message.contains("`x`"), "{words:?}: {message}");
    }
}

#[test]
fn no_tenant_sees_what_another_has() {
    let database = Database::with_collection();
    database.json(&["put", "c", "k", "1"]);
    database.refused(&["get", "c", "k", "--tenant", "acme"], "NotFound", 3);
    database.json(&["--tenant", "acme", "collection", "create", "c"]);
    database.refused(&["get", "c", "k", "--tenant", "acme"], "NotFound", 3);
    database.json(&["put", "c", "k", "2", "--tenant", "acme"]);
    assert_eq!(database.text(&["get", "c", "k"]), "1\n");
    assert_eq!(database.text(&["get", "c", "k", "--tenant", "acme"]), "2\n");
    database.refused(&["get", "c", "k", "--tenant", "a b"], "InvalidInput", 1);
}

#[test]
fn indexes_are_added_to_filled_collections_and_dropped() {
    let database = Database::with_collection();
    for number in 0..20 {
        let value = format!("{{\"v\": [{number}, 0]}}");
        database.json(&["put", "c", &number.to_string(), &value]);
    }
    let added = database.json(&["index", "add", "c", "--vector", "v:2:l2:i8"]);
    let index = json!({
        "field": "v", "dimensions": 2, "metric": "l2", "storage": "i8", "state": "ready"
    });
    assert_eq!(added, json!({"index": index, "documents": 20}));
    let listed = database.json(&["collection", "list"]);
    assert_eq!(listed["collections"][0]["indexes"], json!([index]));
    let found = database.json(&["search", "c", "--field", "v", "--vector", "[7,0]", "-k", "1"]);
    assert_eq!(found["hits"][0]["key"], "7");
    database.refused(&["index", "add", "c", "--vector", "v:2:l2"], "AlreadyExists", 1);
    assert!(database.json(&["index", "drop", "c", "v"])["lsn"].is_u64());
    database.refused(&["index", "drop", "c", "v"], "NotFound", 3);
    database.refused(&["search", "c", "--field", "v", "--vector", "[7,0]"], "NotFound", 3);
    let message = database.refused(&["index", "add", "c", "--vector", "v:3:l2"], "InvalidInput", 1);
    assert!(message.contains("key `"), "{message}");
    let listed = database.json(&["collection", "list"]);
    assert_eq!(listed["collections"][0]["indexes"], json!([]));
    database.refused(&["index", "add", "x", "--vector", "v:3:l2"], "NotFound", 3);
}

#[test]
fn filters_are_answered_by_indexes_and_explained() {
    let database = Database::new();
    let words = ["collection", "create", "c", "--index", "a.b", "--index", "id:unique"];
    database.refused(&words, "InvalidInput", 1);
    let created = database.json(&[&words[..], &["--partitions", "1"]].concat());
    let wanted = json!([
        {"field": "a.b", "unique": false, "state": "ready"},
        {"field": "id", "unique": true, "state": "ready"},
    ]);
    assert_eq!(created["collections"][0]["indexes"], wanted);
    for number in 0..20 {
        let value = format!("{{\"id\": {number}, \"a\": {{\"b\": {}}}}}", number % 5);
        database.json(&["put", "c", &number.to_string(), &value]);
    }
    database.refused(&["put", "c", "other", "{\"id\": 7}"], "AlreadyExists", 1);
    let scan = ["scan", "c", "--filter", "a.b = 3"];
    assert_eq!(database.lines(&scan).len(), 4);
    let plan = &database.json(&[&scan[..], &["--explain"]].concat())["plans"][0];
    assert_eq!((&plan["access"], &plan["index"]), (&json!("index"), &json!("a.b")));
    database.json(&["index", "drop", "c", "a.b"]);
    let text = database.text(&[&scan[..], &["--explain"]].concat());
    assert_eq!(text, "scan: every document is looked at\n");
    let added = database.json(&["index", "add", "c", "--index", "a.b"]);
    assert_eq!((&added["index"]["state"], &added["documents"]), (&json!("ready"), &json!(20)));
    assert_eq!(database.lines(&scan).len(), 4);
    let twice = database.refused(&["index", "add", "c", "--index", "a.b"], "AlreadyExists", 1);
    assert!(twice.contains("a.b"), "{twice}");
}
