//! Limits, at the limit.

use crate::client::{Served, read};
use nodedb_server::ServeOptions;
use std::time::Duration;

#[test]
fn a_body_at_the_limit_is_taken_and_a_larger_one_refused() {
    let served = Served::with(ServeOptions { body_bytes_max: 1024, ..ServeOptions::default() });
    served.post("/v1/collections", r#"{"name": "c"}"#).ok();
    let put = |bytes: usize| {
        let value = format!("\"{}\"", "x".repeat(bytes - 2));
        served.ask("PUT /v1/collections/c/documents/k", &[], value.as_bytes())
    };
    put(1024).ok();
    let message = put(1025).refused(413, "InvalidInput");
    assert!(message.contains("1024"), "{message}");
}

#[test]
fn a_request_that_takes_too_long_is_told_so() {
    let request_limit = Duration::from_millis(50);
    let served = Served::with(ServeOptions { request_limit, ..ServeOptions::default() });
    // A body that never comes whole.
    let head = ["Content-Type: application/json", "Transfer-Encoding: chunked"];
    let host = format!("Host: {}", served.address());
    let stream = served.send_without_length("POST /v1/batch", &[&head[..], &[&host]].concat());
    let message = read(stream).refused(504, "Timeout");
    assert!(message.contains("50 ms"), "{message}");
    served.get("/healthz").ok();
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    let served = Served::with(ServeOptions { connections_max: 1, ..ServeOptions::default() });
    let first = std::net::TcpStream::connect(served.address()).expect("a connection");
    let second = served.send("GET /healthz", &["Connection: close"], b"");
    // The first one holds the only place until it is gone.
    drop(first);
    read(second).ok();
}
