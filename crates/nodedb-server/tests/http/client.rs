//! A database that is served, and a client of a few lines.

use nodedb::{CreateOptions, Database};
use nodedb_server::{ServeOptions, Server};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tempfile::TempDir;

/// A served database in a directory of its own.
pub(crate) struct Served {
    pub(crate) database: Database,
    pub(crate) server: Server,
    _dir: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts a refusal and answers its message.
    pub(crate) fn refused(&self, status: u16, kind: &str) -> String {
        let body = self.json();
        assert_eq!((self.status, body["error"]["kind"].as_str()), (status, Some(kind)), "{self:?}");
        body["error"]["message"].as_str().expect("a message").to_owned()
    }

    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::with(ServeOptions::default())
    }

    pub(crate) fn with(options: ServeOptions) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let create =
            CreateOptions { vshards: 2, segment_bytes: 1 << 20, ..CreateOptions::default() };
        let database = Database::create(dir.path().join("db"), create).expect("a database");
        let listen = "127.0.0.1:0".parse().expect("an address");
        let options = ServeOptions { listen, ..options };
        let server = Server::start(database.clone(), options).expect("a server");
        Self { database, server, _dir: dir }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Sends a request with the headers that every client sends.
    pub(crate) fn send(&self, line: &str, headers: &[&str], body: &[u8]) -> TcpStream {
        let host = format!("Host: {}", self.address());
        self.send_raw(line, &[&[host.as_str()], headers].concat(), body)
    }

    pub(crate) fn send_raw(&self, line: &str, headers: &[&str], body: &[u8]) -> TcpStream {
        let length = format!("Content-Length: {}", body.len());
        let mut stream = self.send_without_length(line, &[&[length.as_str()], headers].concat());
        // A body that is refused by its length is not read to its end.
        drop(stream.write_all(body));
        stream
    }

    /// Sends a head with these headers only.
    pub(crate) fn send_without_length(&self, line: &str, headers: &[&str]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a limit");
        let head = format!("{line} HTTP/1.1\r\n{}\r\n\r\n", headers.join("\r\n"));
        stream.write_all(head.as_bytes()).expect("the head is sent");
        stream
    }

    pub(crate) fn ask(&self, line: &str, headers: &[&str], body: &[u8]) -> Response {
        read(self.send(line, headers, body))
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.ask(&format!("GET {path}"), &[], b"")
    }

    /// Sends JSON.
    pub(crate) fn post(&self, path: &str, body: &str) -> Response {
        let headers = ["Content-Type: application/json"];
        self.ask(&format!("POST {path}"), &headers, body.as_bytes())
    }
}

/// Reads one response.
pub(crate) fn read(stream: TcpStream) -> Response {
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader);
    let mut body = vec![0; content_length(&head).unwrap_or(0)];
    reader.read_exact(&mut body).expect("a whole body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Response {
        status: status.expect("a status"),
        head,
        body: String::from_utf8(body).expect("a body of text"),
    }
}

/// Up to the empty line.
pub(crate) fn read_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let bytes = reader.read_line(&mut head).expect("a line of the head");
        assert_ne!(bytes, 0, "the connection ended in its head: {head}");
    }
    head.to_ascii_lowercase()
}

fn content_length(head: &str) -> Option<usize> {
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    line.trim().parse().ok()
}
