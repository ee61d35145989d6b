//! The JSON API.

use crate::client::Served;
use serde_json::json;

const C: &str = "/v1/collections/c";

fn with_collection() -> Served {
    let served = Served::new();
    served.post("/v1/collections", r#"{"name": "c"}"#).ok();
    served
}

fn put(served: &Served, key: &str, value: &str) -> serde_json::Value {
    served.ask(&format!("PUT {C}/documents/{key}"), &[], value.as_bytes()).ok()
}

#[test]
fn collections_are_created_listed_and_dropped() {
    let served = Served::new();
    let created = served.post(
        "/v1/collections",
        r#"{"name": "c", "partitions": 1, "vectors": [{"field": "v", "dimensions": 2, "metric": "l2",
            "storage": "f32"}], "indexes": [{"path": "a.b", "unique": true}]}"#,
    );
    let created = created.ok();
    let listed = served.get("/v1/collections").ok();
    assert_eq!(created, listed);
    let collection = &listed["collections"][0];
    assert_eq!(collection["name"], "c", "{listed}");
    assert_eq!(collection["indexes"][0]["storage"], "f32", "{listed}");
    assert_eq!(collection["indexes"][1]["unique"], true, "{listed}");
    served.post("/v1/collections", r#"{"name": "c"}"#).refused(409, "AlreadyExists");
    assert!(served.ask(&format!("DELETE {C}"), &[], b"").ok()["lsn"].is_u64());
    served.ask(&format!("DELETE {C}"), &[], b"").refused(404, "NotFound");
    assert_eq!(served.get("/v1/collections").ok()["collections"], json!([]));
}

#[test]
fn a_document_comes_back_digit_for_digit_until_it_is_deleted() {
    let served = with_collection();
    let value = r#"{"z":1.10,"a":-0.0,"big":12345678901234567890123}"#;
    let written = put(&served, "a%2Fb%20c", value);
    let path = format!("{C}/documents/a%2Fb%20c");
    let read = served.get(&path);
    assert!(read.body.contains(&format!("\"value\":{value}")), "{read:?}");
    assert_eq!(read.ok()["key"], "a/b c");
    assert_eq!(read.ok()["version"], written["version"]);
    assert_eq!(served.get(&format!("{path}?consistency=eventual")).ok()["key"], "a/b c");
    let deleted = served.ask(&format!("DELETE {path}"), &[], b"").ok();
    assert_eq!(deleted["deleted"], 1);
    served.get(&path).refused(404, "NotFound");
    served.ask(&format!("DELETE {path}"), &[], b"").refused(404, "NotFound");
}

#[test]
fn an_expectation_that_does_not_hold_is_a_conflict() {
    let served = with_collection();
    let line = |expect: &str| format!("PUT {C}/documents/k?expect={expect}");
    let first = served.ask(&line("absent"), &[], b"1").ok();
    served.ask(&line("absent"), &[], b"2").refused(409, "Conflict");
    let version = first["version"].as_str().expect("a version");
    served.ask(&line(version), &[], b"2").ok();
    served.ask(&line(version), &[], b"3").refused(409, "Conflict");
    served.ask(&line("yesterday"), &[], b"3").refused(400, "InvalidInput");
    assert_eq!(served.get(&format!("{C}/documents/k")).ok()["value"], 2);
}

#[test]
fn a_write_that_is_sent_again_by_its_name_is_done_once() {
    let served = with_collection();
    let line = format!("PUT {C}/documents/k?expect=absent&idempotency=once");
    let first = served.ask(&line, &[], b"1").ok();
    assert_eq!(served.ask(&line, &[], b"1").ok(), first);
}

#[test]
fn raw_bytes_go_in_as_they_are() {
    let served = Served::new();
    served.post("/v1/collections", r#"{"name": "b", "kind": "bytes"}"#).ok();
    served.ask("PUT /v1/collections/b/documents/k", &[], &[0xff, 0]).ok();
    let read = served.get("/v1/collections/b/documents/k").ok();
    assert_eq!(read["value"], json!({"hex": "ff00"}));
}

#[test]
fn pages_of_a_scan_join_without_a_gap() {
    let served = with_collection();
    for number in 0..7 {
        put(&served, &format!("k{number}"), &format!("{{\"n\": {number}}}"));
    }
    let (mut keys, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = served.get(&format!("{C}/documents?limit=2&filter=n%20%3E%201{cursor}")).ok();
        let rows = page["rows"].as_array().expect("rows");
        assert!(rows.len() <= 2, "{page}");
        keys.extend(rows.iter().map(|row| row["key"].as_str().expect("a key").to_owned()));
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(keys, ["k2", "k3", "k4", "k5", "k6"]);
    let last = served.get(&format!("{C}/documents?reverse=true&limit=1&from=k1&to=k4")).ok();
    assert_eq!(last["rows"][0]["key"], "k3", "{last}");
}

#[test]
fn a_page_ends_where_it_is_large_enough() {
    let served = with_collection();
    let value = format!("\"{}\"", "x".repeat(300_000));
    for number in 10..40 {
        put(&served, &format!("k{number}"), &value);
    }
    let page = served.get(&format!("{C}/documents")).ok();
    let rows = page["rows"].as_array().map_or(0, Vec::len);
    // 27 rows of 300 kB are less than 8 MiB, 28 are more.
    assert_eq!(rows, 28);
    let cursor = page["cursor"].as_str().expect("more");
    let rest = served.get(&format!("{C}/documents?cursor={cursor}")).ok();
    assert_eq!(rest["rows"].as_array().map(Vec::len), Some(2));
    assert!(rest["cursor"].is_null(), "that was all");
}

#[test]
fn limits_of_a_page_are_kept() {
    let served = with_collection();
    for (limit, status) in [(0, 400), (1, 200), (10_000, 200), (10_001, 400)] {
        let answer = served.get(&format!("{C}/documents?limit={limit}"));
        assert_eq!(answer.status, status, "{limit}: {answer:?}");
    }
}

#[test]
fn the_nearest_documents_are_found() {
    let served = Served::new();
    let create = r#"{"name": "c", "vectors": [{"field": "v", "dimensions": 2, "metric": "l2"}]}"#;
    served.post("/v1/collections", create).ok();
    for number in 0..5 {
        put(&served, &format!("k{number}"), &format!("{{\"v\": [{number}, 0], \"n\": 1.10}}"));
    }
    let search = |body: &str| served.post(&format!("{C}/search"), body);
    let found = search(r#"{"field": "v", "vector": [3.1, 0], "k": 2}"#);
    assert!(found.body.contains("\"n\":1.10"), "{found:?}");
    let found = found.ok();
    assert_eq!(found["hits"].as_array().map(Vec::len), Some(2), "{found}");
    assert_eq!(found["hits"][0]["key"], "k3", "{found}");
    assert!(found["hits"][0]["distance"].is_number(), "{found}");
    assert_eq!(search(r#"{"field": "v", "like": "k1"}"#).ok()["hits"][0]["key"], "k1");
    for wrong in [
        r#"{"field": "v"}"#,
        r#"{"field": "v", "vector": [1, 2], "like": "k1"}"#,
        r#"{"field": "v", "vector": [1e39, 2]}"#,
        r#"{"field": "v", "vector": [1]}"#,
        r#"{"field": "v", "like": "k1", "ef": 9, "exact": true}"#,
        r#"{"field": "v", "like": "k1", "kk": 1}"#,
    ] {
        search(wrong).refused(400, "InvalidInput");
    }
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    let served = with_collection();
    let batch = r#"[{"put": {"collection": "c", "key": "a", "value": 1}},
                    {"put": {"collection": "c", "key": "b", "value": 2, "expect": "absent"}}]"#;
    let written = served.post("/v1/batch", batch).ok();
    assert_eq!(written["versions"].as_array().map(Vec::len), Some(2), "{written}");
    let again = batch.replace("\"value\": 1", "\"value\": 3");
    served.post("/v1/batch", &again).refused(409, "Conflict");
    assert_eq!(served.get(&format!("{C}/documents/a")).ok()["value"], 1);
    served.post("/v1/batch", "[{}]").refused(400, "InvalidInput");
    served
        .post("/v1/batch", r#"[{"delete": {"collection": "nowhere", "key": "a"}}]"#)
        .refused(404, "NotFound");
}

#[test]
fn checkpoints_and_restore_points_are_made() {
    let served = with_collection();
    let point = served.post("/v1/restore-points", r#"{"name": "before"}"#).ok();
    assert_eq!(point["name"], "before");
    served.post("/v1/restore-points", r#"{"name": "before"}"#).refused(409, "AlreadyExists");
    let report = served.post("/v1/checkpoint", "{}").ok();
    assert_eq!(report["outcome"], "advanced", "{report}");
    assert!(report["redo_lsn"].as_u64() > point["lsn"].as_u64(), "{report}");
    let refused = served.post("/v1/checkpoint", r#"{"wait_archive": true}"#);
    refused.refused(400, "InvalidInput");
    let status = served.get("/v1/status").ok();
    assert_eq!(status["checkpoint"]["last"]["trigger"], "request", "{status}");
}

#[test]
fn tenants_do_not_see_each_other() {
    let served = with_collection();
    let tenant = "Nodedb-Tenant: other";
    let create = ["Content-Type: application/json", tenant];
    served.ask("POST /v1/collections", &create, br#"{"name": "d"}"#).ok();
    let listed = served.ask("GET /v1/collections", &[tenant], b"").ok();
    assert_eq!(listed["collections"][0]["name"], "d", "{listed}");
    served.ask(&format!("GET {C}/documents/k"), &[tenant], b"").refused(404, "NotFound");
    served.ask("GET /v1/collections", &["Nodedb-Tenant: a b"], b"").refused(400, "InvalidInput");
}

#[test]
fn wrong_requests_are_typed_errors() {
    let served = with_collection();
    served.get("/v1/collections/nowhere/documents").refused(404, "NotFound");
    served.get(&format!("{C}/documents?lmit=1")).refused(400, "InvalidInput");
    served.get(&format!("{C}/documents?limit=-1")).refused(400, "InvalidInput");
    served.get(&format!("{C}/documents?cursor=zz")).refused(400, "InvalidInput");
    served.get(&format!("{C}/documents?filter=n%20%3E")).refused(400, "InvalidInput");
    served.get(&format!("{C}/documents/%ff")).refused(400, "InvalidInput");
    served.ask(&format!("PUT {C}/documents/k"), &[], b"{").refused(400, "InvalidInput");
    served.ask("POST /v1/checkpoint", &[], b"{}").refused(415, "InvalidInput");
    let form = ["Content-Type: text/plain"];
    served.ask("POST /v1/collections", &form, br#"{"name": "x"}"#).refused(415, "InvalidInput");
    served.post("/v1/collections", "{").refused(400, "InvalidInput");
    served.post("/v1/collections", r#"{"name": "x", "kind": "y"}"#).refused(400, "InvalidInput");
    served.post("/v1/collections", r#"{"name": ""}"#).refused(400, "InvalidInput");
}
