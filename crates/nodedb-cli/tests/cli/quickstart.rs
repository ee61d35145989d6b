//! The quickstart.

use crate::harness::{json, run};
use std::path::Path;

#[test]
fn every_step_of_the_quickstart_holds() {
    let report = json(&["quickstart"]);
    let steps = report["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 12, "{report}");
    for step in steps {
        assert_eq!(step["ok"], true, "{step}");
        assert!(step["name"].is_string() && step["ms"].is_u64(), "{step}");
        assert!(step["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{step}");
    }
}

#[test]
fn the_kept_directory_answers_the_commands_that_were_printed() {
    let ran = run(&["quickstart", "--keep"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let last = ran.stdout.lines().last().expect("a line");
    let kept = last.strip_prefix("Everything is in ").and_then(|rest| rest.strip_suffix('.'));
    let kept = Path::new(kept.expect("a directory"));
    let db = kept.join("db").display().to_string();
    let restored = kept.join("restored").display().to_string();
    let count = |dir: &str| {
        let collections = json(&["--dir", dir, "collection", "list"]);
        collections["collections"][0]["documents"].as_u64().expect("a count")
    };
    assert_eq!(count(&restored), 4000);
    assert!(count(&db) < 4000);
    let words = ["--dir", &db, "search", "words", "--field", "embedding", "--like", "wn-00000"];
    let hits = json(&words);
    assert_eq!(hits["hits"].as_array().map(Vec::len), Some(10));
    assert!(ran.stdout.contains(&format!("--dir {db} search words")), "{}", ran.stdout);
    std::fs::remove_dir_all(kept).expect("removed");
}
