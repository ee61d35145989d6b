//! `serve`: from its first line to its end.

use crate::harness::{Database, document};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Stdio},
};

struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Serving {
    fn start(database: &Database) -> Self {
        let mut command = database.command(&["serve", "--listen", "127.0.0.1:0", "--json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let address = document(&line)["listening"].as_str().expect("an address").to_owned();
        Self { child, stdout, address }
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        serde_json::from_str(body).expect("JSON")
    }

    fn end_by(mut self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it is there");
        let status = self.child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{status}");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "", "one document");
    }
}

#[test]
fn a_served_database_answers_and_ends_in_order_by_either_signal() {
    let database = Database::with_collection();
    database.json(&["put", "c", "k", "1"]);
    for signal in [Signal::INT, Signal::TERM] {
        let serving = Serving::start(&database);
        assert_eq!(serving.get("/healthz")["health"], "Ok");
        let status = serving.get("/v1/status");
        database.refused(&["get", "c", "k"], "Locked", 1);
        serving.end_by(signal);
        // It was closed, so this finds no more to do than a close leaves.
        let after = database.json(&["status"]);
        assert!(after["durable_lsn"].as_u64() >= status["durable_lsn"].as_u64(), "{after}");
        let keys = |value: &Value| -> Vec<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        assert_eq!(keys(&after), keys(&status), "one shape");
    }
}

#[test]
fn what_cannot_be_served_is_refused_before_the_database_is_opened() {
    let database = Database::new();
    let open = ["serve", "--listen", "0.0.0.0:0"];
    let message = database.refused(&open, "InvalidInput", 1);
    assert!(message.contains("give a token"), "{message}");
    let token = database.write("token", "0123456789abcdef\n").display().to_string();
    let with_token = [&open[..], &["--token-file", &token]].concat();
    let message = database.refused(&with_token, "InvalidInput", 1);
    assert!(message.contains("TLS"), "{message}");
    let short = database.write("short", "0123456789abcde\n").display().to_string();
    database.refused(&["serve", "--token-file", &short], "InvalidInput", 1);
    database.refused(&["serve", "--token-file", "/nowhere/at/all"], "NotFound", 3);
    database.refused(&["serve", "--request-limit-ms", "9"], "InvalidInput", 1);
    database.refused(&["serve", "--listen", "nowhere"], "InvalidInput", 64);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    database.refused(&["serve", "--listen", &address], "Io", 1);
}
