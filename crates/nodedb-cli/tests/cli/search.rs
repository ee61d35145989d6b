//! Vector search.

use crate::harness::Database;

fn database() -> Database {
    let database = Database::new();
    database.json(&["collection", "create", "c", "--vector", "v:2:l2"]);
    let mut shell = database.shell();
    for number in 0..20 {
        let odd = number % 2;
        shell.ok(&format!("put c {number:02} '{{\"v\": [{number}, 0], \"odd\": {odd}}}'"));
    }
    shell.ok("put c none '{\"odd\": 1}'");
    assert!(shell.end().success());
    database
}

fn keys(answer: &serde_json::Value) -> Vec<&str> {
    let hits = answer["hits"].as_array().expect("hits").iter();
    hits.map(|hit| hit["key"].as_str().expect("a key")).collect()
}

#[test]
fn the_nearest_come_first_with_their_distance() {
    let database = database();
    let words = ["search", "c", "--field", "v", "--vector", "[-1, 0]", "-k", "3", "--exact"];
    let found = database.json(&words);
    assert_eq!(keys(&found), ["00", "01", "02"]);
    let first = &found["hits"][0];
    assert_eq!(first["distance"], 1.0);
    assert!(first["version"].is_string());
    assert_eq!(first["value"].to_string(), r#"{"v":[0,0],"odd":0}"#);
    let words = ["search", "c", "--field", "v", "--vector", "[-1, 0]", "-k", "3", "--ef", "50"];
    assert_eq!(database.json(&words)["hits"], found["hits"]);
    let none = ["search", "c", "--field", "v", "--vector", "[-1, 0]", "--ef", "0"];
    database.refused(&none, "InvalidInput", 1);
    let found = database.json(&["search", "c", "--field", "v", "--like", "07", "-k", "1"]);
    assert_eq!(keys(&found), ["07"]);
    let filtered =
        database.json(&["search", "c", "--field", "v", "--vector", "[0,0]", "--filter", "odd = 1"]);
    assert_eq!(keys(&filtered), ["01", "03", "05", "07", "09", "11", "13", "15", "17", "19"]);
    let file = database.write("query.json", "[19, 0]");
    let file = format!("@{}", file.display());
    let text = database.text(&["search", "c", "--field", "v", "--vector", &file, "-k", "1"]);
    assert_eq!(text, "0\t19\t{\"odd\":1}\n");
}

#[test]
fn a_search_is_explained_by_partition() {
    let database = database();
    let words = ["search", "c", "--field", "v", "--vector", "[0, 0]", "--explain"];
    let plans = database.json(&words);
    let plans = plans["plans"].as_array().expect("plans");
    assert_eq!(plans.len(), 8);
    let vectors = |plan: &serde_json::Value| plan["vectors"].as_u64().expect("a number");
    assert_eq!(plans.iter().map(vectors).sum::<u64>(), 20);
    assert!(plans.iter().all(|plan| plan["access"] == "exact" && plan["segments"] == 0));
    database.json(&["index", "add", "c", "--index", "odd"]);
    let filtered = database.json(&[&words[..], &["--filter", "odd = 1"]].concat());
    let matches = |plan: &serde_json::Value| plan["matches"].as_u64().expect("a number");
    let plans = filtered["plans"].as_array().expect("plans");
    assert_eq!(plans.iter().map(matches).sum::<u64>(), 10);
    let text = database.text(&[&words[..], &["--filter", "odd = 1"]].concat());
    assert_eq!(text.lines().count(), 8);
    assert!(text.lines().all(|line| line.contains(": among ")), "{text}");
}

#[test]
fn a_changed_or_deleted_document_is_found_as_it_is_now() {
    let database = database();
    database.json(&["put", "c", "00", "{\"v\": [100, 0]}"]);
    database.json(&["delete", "c", "01"]);
    let found = database.json(&["search", "c", "--field", "v", "--vector", "[0, 0]", "-k", "1"]);
    assert_eq!(keys(&found), ["02"]);
    let found = database.json(&["search", "c", "--field", "v", "--vector", "[100,0]", "-k", "1"]);
    assert_eq!(keys(&found), ["00"]);
}

#[test]
fn what_is_no_vector_of_the_index_is_refused() {
    let database = database();
    for vector in
        ["[1]", "[1,2,3]", "[1e999,0]", "[1e39,0]", "[NaN,0]", "1", "[\"1\",0]", "[null,0]"]
    {
        let words = ["search", "c", "--field", "v", "--vector", vector];
        database.refused(&words, "InvalidInput", 1);
    }
    for value in ["[1]", "[1,2,3]", "[1e999,0]", "[1e39,0]", "\"x\"", "[\"1\",0]"] {
        let value = format!("{{\"v\": {value}}}");
        database.refused(&["put", "c", "k", &value], "InvalidInput", 1);
    }
    database.refused(&["search", "c", "--field", "w", "--vector", "[1,2]"], "NotFound", 3);
    database.refused(&["search", "c", "--field", "v", "--like", "missing"], "NotFound", 3);
    let many = ["search", "c", "--field", "v", "--vector", "[1,2]", "-k", "10001"];
    database.refused(&many, "InvalidInput", 1);
    let none = ["search", "c", "--field", "v", "--vector", "[1,2]", "-k", "0"];
    database.refused(&none, "InvalidInput", 1);
}

#[test]
fn a_zero_vector_has_no_angle() {
    let database = Database::new();
    database.json(&["collection", "create", "c", "--vector", "v:2:cosine"]);
    database.refused(&["put", "c", "k", "{\"v\": [0, 0]}"], "InvalidInput", 1);
}
