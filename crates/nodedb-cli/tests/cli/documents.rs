//! put, get, delete, batch, scan.

use crate::harness::Database;
use serde_json::json;

#[test]
fn a_value_comes_back_digit_for_digit() {
    let database = Database::with_collection();
    let mut shell = database.shell();
    let values = [
        "1.10",
        "-1",
        "-0",
        "0.1000",
        "1e-7",
        "1E+20",
        "12345678901234567890",
        "3.141592653589793238462643383279",
        r#""caf\u00e9 \ud83d\ude00 \/ \n""#,
        "null",
        "true",
        "[]",
        "{}",
        r#"[1.0,2.50,{"b":1,"a":[2e0]}]"#,
        r#"{"z":1,"a":2,"m":{"y":3.0,"b":4}}"#,
        "\"\u{e9}\u{1f600}\"",
    ];
    for value in values {
        let put = serde_json::to_string(&["put", "c", "k", value]).expect("words");
        shell.ok(&put);
        shell.send("get c k");
        let line = shell.next_line().expect("an answer");
        assert!(line.starts_with("{\"ok\":true,\"key\":\"k\","), "{line}");
        assert!(line.ends_with(&format!("\"value\":{value}}}\n")), "{value}: {line}");
    }
    assert!(shell.end().success());
    for value in values {
        database.json(&["put", "c", "k", value]);
        assert_eq!(database.text(&["get", "c", "k"]), format!("{value}\n"));
        let line = database.text(&["get", "c", "k", "--json"]);
        assert!(line.ends_with(&format!("\"value\":{value}}}\n")), "{value}: {line}");
    }
    // White space between the parts is the writer's; the answer is one line.
    database.json(&["put", "c", "k", "{\n  \"a b\" : 1.0 \n}"]);
    assert_eq!(database.text(&["get", "c", "k"]), "{\"a b\":1.0}\n");
}

#[test]
fn values_come_from_files_and_from_standard_input() {
    let database = Database::with_collection();
    let file = database.write("value.json", "[1, 2]\n");
    database.json(&["put", "c", "file", &format!("@{}", file.display())]);
    assert_eq!(database.text(&["get", "c", "file"]), "[1,2]\n");
    let ran = database.run_with_input(&["put", "c", "input", "-"], b"{\"a\": -1}");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(database.text(&["get", "c", "input"]), "{\"a\":-1}\n");
    let message = database.refused(&["put", "c", "k", "@/no/such/file"], "NotFound", 3);
    assert!(message.contains("/no/such/file"), "{message}");
}

#[test]
fn a_write_may_expect_what_the_key_holds() {
    let database = Database::with_collection();
    let first = database.json(&["put", "c", "k", "1", "--expect", "absent"]);
    let version = first["version"].as_str().expect("a version");
    assert!(first["lsn"].is_u64(), "{first}");
    database.refused(&["put", "c", "k", "2", "--expect", "absent"], "Conflict", 1);
    assert_eq!(database.json(&["get", "c", "k"])["version"], first["version"]);
    let second = database.json(&["put", "c", "k", "2", "--expect", version]);
    assert_ne!(second["version"], first["version"]);
    database.refused(&["put", "c", "k", "3", "--expect", version], "Conflict", 1);
    database.refused(&["delete", "c", "k", "--expect", version], "Conflict", 1);
    let version = second["version"].as_str().expect("a version");
    let deleted = database.json(&["delete", "c", "k", "--expect", version]);
    assert!(deleted["lsn"].as_u64() > second["lsn"].as_u64(), "{deleted}");
    let other = Database::with_collection();
    other.refused(&["put", "c", "k", "3", "--expect", version], "WrongHistory", 1);
}

#[test]
fn a_missing_key_is_not_found() {
    let database = Database::with_collection();
    for words in [&["get", "c", "k"][..], &["delete", "c", "k"]] {
        let message = database.refused(words, "NotFound", 3);
        assert!(message.contains("`k`"), "{message}");
    }
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let database = Database::with_collection();
    for value in ["", "{", "{\"a\":}", "1 2", "NaN", "1e999", "{\"a\":1e999}", "{\"a\":1,\"a\":2}"]
    {
        database.refused(&["put", "c", "k", value], "InvalidInput", 1);
    }
    let long = "k".repeat(1025);
    database.refused(&["put", "c", &long, "1"], "InvalidInput", 1);
    database.refused(&["put", "c", "", "1"], "InvalidInput", 1);
    let big = database.write("big.json", format!("\"{}\"", "x".repeat(17 << 20)));
    let big = format!("@{}", big.display());
    database.refused(&["put", "c", "k", &big], "InvalidInput", 1);
    let most = "k".repeat(1024);
    database.json(&["put", "c", &most, "1"]);
    assert_eq!(database.lines(&["scan", "c"]).len(), 1);
}

#[test]
fn a_bytes_collection_keeps_every_byte() {
    let database = Database::new();
    database.json(&["collection", "create", "raw", "--kind", "bytes"]);
    let bytes: Vec<u8> = (0..=255).collect();
    let file = database.write("bytes", &bytes);
    database.json(&["put", "raw", "all", &format!("@{}", file.display())]);
    let output = database.command(&["get", "raw", "all"]).output().expect("the binary runs");
    assert_eq!(output.stdout, bytes);
    let hex = database.json(&["get", "raw", "all"])["value"]["hex"].clone();
    assert!(hex.as_str().is_some_and(|hex| hex.starts_with("000102")), "{hex}");
    database.json(&["put", "raw", "text", "12"]);
    assert_eq!(database.json(&["get", "raw", "text"])["value"], "12");
    let batch = r#"[{"put": {"collection": "raw", "key": "b", "value": {"hex": "ff00"}}}]"#;
    database.json(&["batch", batch]);
    let output = database.command(&["get", "raw", "b"]).output().expect("the binary runs");
    assert_eq!(output.stdout, [0xff, 0]);
    let batch = r#"[{"put": {"collection": "raw", "key": "b", "value": 1}}]"#;
    database.refused(&["batch", batch], "InvalidInput", 1);
}

#[test]
fn a_batch_is_all_or_nothing() {
    let database = Database::with_collection();
    database.json(&["collection", "create", "d"]);
    database.json(&["put", "c", "old", "0"]);
    let text = r#"[{"put": {"collection": "c", "key": "a", "value": {"n": 1.10}}},
                   {"put": {"collection": "d", "key": "b", "value": [2]}},
                   {"delete": {"collection": "c", "key": "old"}}]"#;
    let file = database.write("batch.json", text);
    let written = database.json(&["batch", file.to_str().expect("a path")]);
    assert!(written["lsn"].is_u64(), "{written}");
    assert_eq!(database.text(&["get", "c", "a"]), "{\"n\":1.10}\n");
    assert_eq!(database.text(&["get", "d", "b"]), "[2]\n");
    database.refused(&["get", "c", "old"], "NotFound", 3);
    let conflict = r#"[{"put": {"collection": "d", "key": "new", "value": 1}},
                       {"put": {"collection": "c", "key": "a", "value": 2, "expect": "absent"}}]"#;
    database.refused(&["batch", conflict], "Conflict", 1);
    database.refused(&["get", "d", "new"], "NotFound", 3);
    let ran = database.run_with_input(&["batch", "-"], conflict.replace("absent", "?").as_bytes());
    assert_eq!(ran.code, 1, "{ran:?}");
    for bad in ["[1]", "[{\"put\": {}}]", "["] {
        database.refused(&["batch", bad], "InvalidInput", 1);
    }
}

#[test]
fn a_scan_goes_in_key_order_and_on_from_a_cursor() {
    let database = Database::with_collection();
    let mut shell = database.shell();
    for number in (0..30).rev() {
        shell.ok(&format!("put c key-{number:02} '{{\"n\": {number}, \"odd\": {}}}'", number % 2));
    }
    shell.ok("put c other 1");
    let keys = |answer: &serde_json::Value| -> Vec<String> {
        let rows = answer["rows"].as_array().expect("rows").iter();
        rows.map(|row| row["key"].as_str().expect("a key").to_owned()).collect()
    };
    let all = keys(&shell.ok("scan c --prefix key-"));
    assert_eq!(all.len(), 30);
    assert!(all.is_sorted());
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = shell.ok(&format!("scan c --prefix key- --limit 7 {cursor}"));
        seen.extend(keys(&page));
        let Some(next) = page["cursor"].as_str() else {
            break;
        };
        cursor = format!("--cursor {next}");
    }
    assert_eq!(seen, all);
    let odd = shell.ok("scan c --filter 'odd = 1 AND n >= 20'");
    assert_eq!(keys(&odd), ["key-21", "key-23", "key-25", "key-27", "key-29"]);
    let down = shell.ok("scan c --from key-05 --to key-09 --reverse --limit 3");
    assert_eq!(keys(&down), ["key-08", "key-07", "key-06"]);
    let cursor = down["cursor"].as_str().expect("one is left");
    let rest = format!("scan c --from key-05 --to key-09 --reverse --cursor {cursor}");
    assert_eq!(keys(&shell.ok(&rest)), ["key-05"]);
    let other_way = shell.ask(&format!("scan c --cursor {cursor}"));
    assert_eq!(other_way["error"]["kind"], "InvalidInput");
    assert!(shell.end().success());
    let lines = database.lines(&["scan", "c", "--prefix", "key-0"]);
    assert_eq!(lines.len(), 10);
    assert_eq!(lines[3]["value"], json!({"n": 3, "odd": 1}));
    assert!(lines.iter().all(|line| line["version"].is_string()));
    let text = database.text(&["scan", "c", "--prefix", "key-03"]);
    assert_eq!(text, "key-03\t{\"n\":3,\"odd\":1}\n");
    let ran = database.run(&["scan", "c", "--limit", "2", "--json"]);
    assert!(ran.stderr.starts_with("more: --cursor "), "{ran:?}");
    database.refused(&["scan", "c", "--filter", "n >"], "InvalidInput", 1);
    database.refused(&["scan", "c", "--cursor", "xyz"], "InvalidInput", 1);
}

#[test]
fn a_filter_deletes_what_it_matches() {
    let database = Database::with_collection();
    let mut shell = database.shell();
    for number in 0..20 {
        shell.ok(&format!("put c {number:02} '{{\"n\": {number}}}'"));
    }
    assert!(shell.end().success());
    let deleted = database.json(&["delete", "c", "--filter", "n < 5"]);
    assert_eq!(deleted["deleted"], 5);
    assert!(deleted["lsn"].is_u64());
    assert_eq!(database.json(&["delete", "c", "--filter", "n < 5"])["deleted"], 0);
    assert_eq!(database.lines(&["scan", "c"]).len(), 15);
    database.refused(&["delete", "c", "--filter", "n ="], "InvalidInput", 1);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let database = Database::with_collection();
    let value = format!("\"{}\"", "x".repeat(60_000));
    let mut shell = database.shell();
    for number in 0..40 {
        shell.ok(&format!("put c {number} '{value}'"));
    }
    assert!(shell.end().success());
    for words in [&["scan", "c"][..], &["export", "c"]] {
        let mut command = database.command(words);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the child ends");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(1), 0), "{output:?}");
    }
}

#[test]
fn a_document_expires() {
    let database = Database::with_collection();
    let mut shell = database.shell();
    shell.ok("put c kept 1 --ttl 3600");
    shell.ok("put c gone 1 --ttl 1");
    while shell.ask("get c gone")["ok"] == true {}
    shell.ok("get c kept");
    assert_eq!(shell.ok("scan c")["rows"].as_array().expect("rows").len(), 1);
    assert!(shell.end().success());
    database.refused(&["put", "c", "k", "1", "--ttl", "0"], "InvalidInput", 1);
    let message = database.refused(&["put", "c", "k", "1", "--ttl", "-5"], "InvalidInput", 64);
    assert!(message.contains("'-5' for '--ttl"), "{message}");
}

#[test]
fn a_named_write_is_done_once() {
    let database = Database::with_collection();
    let put = ["put", "c", "k", "1", "--idempotency", "order-17"];
    let first = database.json(&put);
    database.json(&["put", "c", "k", "2"]);
    assert_eq!(database.json(&put), first);
    for consistency in ["strong", "bounded:100", "eventual"] {
        let get = ["get", "c", "k", "--consistency", consistency];
        assert_eq!(database.text(&get), "2\n");
    }
    assert_eq!(database.run(&["get", "c", "k", "--consistency", "most"]).code, 64);
    assert_eq!(database.text(&["get", "c", "k"]), "2\n");
    database.refused(&["put", "c", "k", "3", "--idempotency", "order-17"], "Conflict", 1);
    let old = ["put", "c", "k", "1", "--idempotency", "1000000000000:order"];
    database.refused(&old, "IdempotencyExpired", 1);
    let batch = r#"[{"put": {"collection": "c", "key": "b", "value": 1}}]"#;
    let batch = ["batch", batch, "--idempotency", "batch-1"];
    assert_eq!(database.json(&batch), database.json(&batch));
}
