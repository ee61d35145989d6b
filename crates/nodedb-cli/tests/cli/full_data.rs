//! The whole data sets, where they are.
#![expect(clippy::print_stderr, reason = "figures and skipped tests are told to whoever runs them")]

use crate::harness::Database;
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

#[derive(Deserialize)]
struct Query {
    query: serde_json::Value,
    top10: Vec<String>,
}

/// The file unpacked beside the database, or `None` where the data is not.
fn unpacked(database: &Database, name: &str) -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    let Ok(packed) = std::fs::read(&data) else {
        eprintln!("SKIPPED: {} is not there", data.display());
        return None;
    };
    let bytes = zstd::decode_all(&packed[..]).expect("unpacked");
    Some(database.write("data.jsonl", bytes))
}

fn import(database: &Database, collection: &str, file: &Path, rows: u64) {
    let started = Instant::now();
    let file = file.display().to_string();
    let report = database.json(&["import", collection, &file, "--key", "id"]);
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{rows} rows into {collection} in {seconds:.1} s");
    assert_eq!(report["imported"].as_u64(), Some(rows), "{report}");
    assert_eq!(report["skipped"], 0);
}

#[test]
fn twenty_thousand_embeddings_are_found_again() {
    let database = Database::created(&[]);
    let Some(rows) = unpacked(&database, "wordnet-minilm-20k.jsonl.zst") else {
        return;
    };
    database.json(&["collection", "create", "words", "--vector", "embedding:384:cosine"]);
    import(&database, "words", &rows, 20_000);
    let queries = unpacked(&database, "wordnet-minilm-queries-200.jsonl.zst").expect("queries");
    let queries = std::fs::read_to_string(queries).expect("read");
    let mut shell = database.shell();
    let (mut right, started) = (0, Instant::now());
    for line in queries.lines() {
        let query: Query = serde_json::from_str(line).expect("a query");
        let vector = query.query.to_string();
        let words = ["search", "words", "--field", "embedding", "--vector", &vector, "-k", "10"];
        let found = shell.ok(&serde_json::to_string(&words).expect("words"));
        let hits = found["hits"].as_array().expect("hits");
        assert_eq!(hits.len(), 10);
        right += query
            .top10
            .iter()
            .filter(|key| hits.iter().any(|hit| hit["key"] == key.as_str()))
            .count();
    }
    let each = started.elapsed().as_secs_f64() * 1000.0 / 200.0;
    eprintln!("recall@10 {right} of 2000, {each:.2} ms per query with its answer as text");
    assert!(right >= 1900, "recall@10 is {right} of 2000");
    assert!(shell.end().success());
}

#[test]
fn two_hundred_thousand_flights_come_back_as_they_were() {
    let database = Database::created(&[]);
    let Some(rows) = unpacked(&database, "flights-200k.jsonl.zst") else {
        return;
    };
    database.json(&["collection", "create", "flights"]);
    import(&database, "flights", &rows, 200_000);
    let started = Instant::now();
    let exported = database.text(&["export", "flights"]);
    eprintln!("exported in {:.1} s", started.elapsed().as_secs_f64());
    let rows = std::fs::read_to_string(rows).expect("read");
    // The flights stand in the order of their keys.
    let wanted = rows.lines().map(|line| {
        let key: String = line.chars().skip(7).take(7).collect();
        format!("{{\"key\":\"{key}\",\"value\":{line}}}")
    });
    assert!(exported.lines().eq(wanted));
    let late = database.lines(&["scan", "flights", "--filter", "delay > 600 AND distance < 300"]);
    assert!(late.iter().all(|row| row["value"]["delay"].as_i64() > Some(600)));
    assert!(!late.is_empty());
}
