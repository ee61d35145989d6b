//! Rows of a stream: lines on standard output, or members of a shell's answer.

use crate::{context::Output, failure::Failure, value_text};
use nodedb::{CollectionKind, Document};
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::{self, BufWriter, StdoutLock, Write};

/// A document as answers show it.
#[derive(Serialize, Debug)]
pub(crate) struct Row {
    pub(crate) key: Box<RawValue>,
    pub(crate) version: String,
    pub(crate) value: Box<RawValue>,
}

impl Row {
    /// # Errors
    /// [`Failure::Input`] for a stored document that is not JSON.
    pub(crate) fn of(kind: CollectionKind, document: &Document) -> Result<Self, Failure> {
        Ok(Self {
            key: value_text::key_json(&document.key)?,
            version: document.version.to_string(),
            value: value_text::value_json(kind, &document.value)?,
        })
    }
}

/// Where rows go.
pub(crate) enum Rows {
    /// Lines `KEY<tab>VALUE`.
    Text(BufWriter<StdoutLock<'static>>),
    /// JSON lines.
    Json(BufWriter<StdoutLock<'static>>),
    /// Kept for the answer.
    Kept(Vec<Row>),
}

impl Rows {
    pub(crate) fn new(output: Output) -> Self {
        let stdout = || BufWriter::with_capacity(1 << 16, io::stdout().lock());
        match output {
            Output::Text => Self::Text(stdout()),
            Output::Json => Self::Json(stdout()),
            Output::Shell => Self::Kept(Vec::new()),
        }
    }

    /// # Errors
    /// [`Failure::Output`], and those of [`Row::of`].
    pub(crate) fn push(
        &mut self,
        kind: CollectionKind,
        document: &Document,
    ) -> Result<(), Failure> {
        let row = Row::of(kind, document)?;
        match self {
            Self::Kept(rows) => {
                rows.push(row);
                Ok(())
            }
            Self::Text(out) => {
                let key = value_text::key_text(&document.key);
                writeln!(out, "{key}\t{}", row.value).map_err(Failure::Output)
            }
            Self::Json(out) => {
                serde_json::to_writer(&mut *out, &row)
                    .map_err(|error| Failure::Output(error.into()))?;
                out.write_all(b"\n").map_err(Failure::Output)
            }
        }
    }

    /// Ends the stream: the rows that a shell answers, or `None` if they are on standard output.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub(crate) fn finish(self) -> Result<Option<Vec<Row>>, Failure> {
        match self {
            Self::Kept(rows) => Ok(Some(rows)),
            Self::Text(mut out) | Self::Json(mut out) => {
                out.flush().map_err(Failure::Output).map(|()| None)
            }
        }
    }
}
