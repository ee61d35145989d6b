//! Bulk import of JSON lines.

use crate::{Collection, Error, Pending, WriteOptions, Written};
use nodedb_document::json;
use nodedb_engine::CollectionKind;
use nodedb_types::ErrorKind;
use std::{
    collections::VecDeque,
    io::{self, BufRead, Read},
};

/// How lines are imported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportOptions {
    /// Top-level member that becomes the key: text or a number.
    pub key_field: String,
    /// Rows under way at a time, 1 to 100,000. Default 1,000.
    pub batch: usize,
    /// What to do with a line that is refused.
    pub on_error: OnError,
}

/// What to do with a line that is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnError {
    /// End with the line's number; the lines before it are imported.
    #[default]
    Stop,
    /// Go on, and name the first 100 of them.
    Skip,
}

/// How far an import is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ImportProgress {
    /// Lines read.
    pub lines: u64,
    /// Rows acknowledged.
    pub imported: u64,
}

/// What an import did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImportReport {
    /// Rows acknowledged.
    pub imported: u64,
    /// Lines refused.
    pub skipped: u64,
    /// The first 100 refused lines.
    pub errors: Vec<LineError>,
}

/// A refused line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineError {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub message: String,
}

const ERRORS_MAX: usize = 100;
const BATCH_MAX: usize = 100_000;
/// Longest line, in bytes: the longest value and room for white space.
const LINE_BYTES_MAX: u64 = 32 << 20;

impl ImportOptions {
    /// Lines whose key stands in this member.
    pub fn keyed_by(field: impl Into<String>) -> Self {
        Self { key_field: field.into(), batch: 1000, on_error: OnError::Stop }
    }
}

impl Collection {
    /// Imports JSON lines. Each is one put of its own; a killed import leaves a prefix of the
    /// acknowledged rows plus perhaps some of the last batch, and may be run again from the start.
    ///
    /// # Errors
    /// [`Error::ImportLine`] with [`OnError::Stop`], [`Error::InvalidOption`]; [`Error::ImportEnded`] with
    /// where to go on for what a put answers for reasons of its own, such as a full disk, and for
    /// [`Error::Io`] of the input.
    pub fn import(
        &self,
        input: impl BufRead,
        options: &ImportOptions,
        progress: &mut dyn FnMut(ImportProgress),
    ) -> Result<ImportReport, Error> {
        if options.batch == 0 || options.batch > BATCH_MAX {
            return Err(Error::InvalidOption {
                option: "batch",
                value: options.batch.to_string(),
                expected: format!("1 to {BATCH_MAX}"),
            });
        }
        if self.kind() != CollectionKind::Document {
            return Err(Error::WrongCollectionKind {
                collection: self.name().to_owned(),
                kind: self.kind().name(),
                message: "import JSON lines into a collection of documents",
            });
        }
        if options.key_field.is_empty() {
            return Err(Error::InvalidOption {
                option: "key",
                value: String::new(),
                expected: "the member of every line that is its key".to_owned(),
            });
        }
        let (report, rows) = (ImportReport::default(), VecDeque::new());
        let (lines, durable) = (0, 0);
        let mut import =
            Import { collection: self, options, progress, rows, report, lines, durable };
        match import.run(input) {
            Ok(()) => Ok(import.report),
            Err(error @ Error::ImportLine { .. }) => Err(error),
            Err(error) => Err(Error::ImportEnded {
                imported: import.report.imported,
                next_line: import.durable + 1,
                source: Box::new(error),
            }),
        }
    }
}

/// An import under way.
struct Import<'a> {
    collection: &'a Collection,
    options: &'a ImportOptions,
    progress: &'a mut dyn FnMut(ImportProgress),
    /// Sent and not known to be durable, the oldest first.
    rows: VecDeque<Row>,
    report: ImportReport,
    lines: u64,
    /// The last line whose row is known to be durable, with the rows of all lines before it.
    durable: u64,
}

/// A row that has been sent and not been acknowledged.
struct Row {
    line: u64,
    key: String,
    json: Vec<u8>,
    write: Pending<Written>,
}

impl Import<'_> {
    fn run(&mut self, mut input: impl BufRead) -> Result<(), Error> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            if self.or_settle(read.map_err(Error::io("reading", "the input")))? == 0 {
                break;
            }
            self.lines += 1;
            if !line.ends_with(b"\n") && line.len() as u64 == LINE_BYTES_MAX {
                let skipped = skip_line(&mut input).map_err(Error::io("reading", "the input"));
                self.or_settle(skipped)?;
                let message = format!("the line has more than {LINE_BYTES_MAX} bytes");
                self.refuse(&Error::NotJson { message })?;
                continue;
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match self.send(&line) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::InvalidInput => self.refuse(&error)?,
                Err(error) => return self.or_settle(Err(error)),
            }
            if self.rows.len() == self.options.batch {
                // The cores have the younger half to do meanwhile.
                self.settle(self.options.batch / 2)?;
            }
        }
        self.settle(0)
    }

    /// Before an error that is not that of a row under way, what becomes of those is waited for.
    fn or_settle<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() {
            self.settle(0)?;
        }
        result
    }

    fn send(&mut self, line: &[u8]) -> Result<(), Error> {
        let key = self.key(line)?;
        let write = match self.put(&key, line) {
            // The inboxes are full, perhaps of our own rows; once those are through, their order is
            // safe and this one may wait for the rows of others.
            Err(error) if error.kind() == ErrorKind::Busy => {
                self.settle(0)?;
                self.collection.inner().patiently(|| self.put(&key, line))?
            }
            result => result?,
        };
        self.rows.push_back(Row { line: self.lines, key, json: line.to_vec(), write });
        Ok(())
    }

    fn put(&self, key: &str, line: &[u8]) -> Result<Pending<Written>, Error> {
        self.collection.put_async(key, line, WriteOptions::default())
    }

    fn key(&self, line: &[u8]) -> Result<String, Error> {
        let field = &self.options.key_field;
        let not_json = |message: String| Error::NotJson { message };
        // As text: a number that became a float would be the key of its neighbours too.
        let Some(member) = json::field(line, field)? else {
            return Err(not_json(format!("there is no member `{field}`")));
        };
        match member.as_bytes().first() {
            Some(b'"') => serde_json::from_str(member).map_err(|error| not_json(error.to_string())),
            Some(b'-' | b'0'..=b'9') => Ok(member.to_owned()),
            _ => Err(not_json(format!("member `{field}` is no text or number"))),
        }
    }

    fn refuse(&mut self, error: &Error) -> Result<(), Error> {
        let (line, message) = (self.lines, error.to_string());
        if self.options.on_error == OnError::Stop {
            self.settle(0)?;
            return Err(Error::ImportLine { line, imported: self.report.imported, message });
        }
        self.report.skipped += 1;
        if self.report.errors.len() < ERRORS_MAX {
            self.report.errors.push(LineError { line, message });
        }
        Ok(())
    }

    /// Waits for the oldest rows that are under way until only so many are left. From the first one that
    /// the database was too busy for, all are sent again one by one, in their order, and none is left: a
    /// key that stands in two lines must end with the value of the later one.
    fn settle(&mut self, leave: usize) -> Result<(), Error> {
        let mut busy = false;
        while (busy || self.rows.len() > leave)
            && let Some(row) = self.rows.pop_front()
        {
            match row.write.wait() {
                Ok(_) if !busy => {}
                Err(error) if error.kind() != ErrorKind::Busy => return Err(error),
                Ok(_) | Err(_) => {
                    busy = true;
                    self.put_patiently(&row.key, &row.json)?;
                }
            }
            self.report.imported += 1;
            assert!(row.line > self.durable, "rows are acknowledged in the order of their lines");
            self.durable = row.line;
        }
        (self.progress)(ImportProgress { lines: self.lines, imported: self.report.imported });
        Ok(())
    }

    fn put_patiently(&self, key: &str, json: &[u8]) -> Result<(), Error> {
        self.collection.put_raw(key, json, WriteOptions::default()).map(|_written| ())
    }
}

/// Reads on to the end of a line that is too long to be kept.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    let mut piece = Vec::new();
    loop {
        piece.clear();
        let read = input.take(1 << 20).read_until(b'\n', &mut piece)?;
        if read == 0 || piece.ends_with(b"\n") {
            return Ok(());
        }
    }
}
