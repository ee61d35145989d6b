//! The status page and its events.

use crate::client::{Served, read, read_head};
use nodedb_server::ServeOptions;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read},
    net::TcpStream,
};

/// A subscriber behind the head of its stream.
fn subscribe(served: &Served) -> BufReader<TcpStream> {
    let mut reader = BufReader::new(served.send("GET /v1/events", &[], b""));
    let head = read_head(&mut reader);
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    reader
}

fn next_event(reader: &mut impl BufRead) -> Value {
    loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).expect("a line"), 0, "the stream ended");
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str(data).expect("an event of JSON");
        }
    }
}

#[test]
fn the_page_asks_nobody_else_for_anything() {
    let served = Served::new();
    for (path, content_type) in
        [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")]
    {
        let response = served.get(path);
        assert_eq!(response.status, 200, "{path}");
        assert!(response.head.contains(&format!("content-type: {content_type};")), "{path}");
        let outside = response.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http:") && !outside.contains("https:"), "{path}");
    }
    let html = served.get("/").body;
    let script = served.get("/page.js").body;
    // Every element that the script fills is there, and named for those who do not see it.
    for call in ["at(\"", "say(\"", "rows(\""] {
        let ids = script.split(call).skip(1).filter_map(|rest| rest.split('"').next());
        let missing: Vec<_> = ids.filter(|id| !html.contains(&format!("id=\"{id}\""))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
    assert!(!html.contains("<style") && !html.contains("style="), "the policy forbids it");
    assert!(html.contains("lang=\"en\"") && html.contains("aria-live=\"polite\""));
}

#[test]
fn events_follow_the_database() {
    let served = Served::new();
    let mut reader = subscribe(&served);
    let before = next_event(&mut reader);
    assert_eq!(before["health"], "Ok", "{before}");
    assert!(before["unix_ms"].as_u64() > Some(1_600_000_000_000), "{before}");
    let point = served.database.restore_point("now").expect("a record");
    let reached = |event: &Value| event["durable_lsn"].as_u64() >= Some(point.lsn.get());
    while !reached(&next_event(&mut reader)) {}
}

#[test]
fn subscribers_up_to_the_limit_are_served_and_leave_their_place() {
    let served = Served::with(ServeOptions { subscribers_max: 2, ..ServeOptions::default() });
    let (first, _second) = (subscribe(&served), subscribe(&served));
    let refused = served.get("/v1/events");
    refused.refused(503, "Busy");
    assert!(refused.head.contains("retry-after: 1"), "{refused:?}");
    drop(first);
    // The server learns of the end when it writes the next event.
    loop {
        let mut reader = BufReader::new(served.send("GET /v1/events", &[], b""));
        if read_head(&mut reader).starts_with("http/1.1 200 ") {
            break;
        }
    }
}

#[test]
fn an_open_stream_does_not_hold_up_the_end() {
    let served = Served::new();
    let mut reader = subscribe(&served);
    next_event(&mut reader);
    let address = served.address();
    served.server.stop();
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("an end in order, with the last chunk");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    served.database.close().expect("it closes");
}

#[test]
fn a_client_that_sends_no_request_does_not_hold_up_the_end() {
    let served = Served::new();
    let idle = TcpStream::connect(served.address()).expect("a connection");
    read(served.send("GET /healthz", &[], b"")).ok();
    served.server.stop();
    drop(idle);
}
