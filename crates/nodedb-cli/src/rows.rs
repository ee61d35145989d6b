//! Rows of a stream: lines on standard output, or members of a shell's answer.

use crate::{context::Output, failure::Failure};
use nodedb::{CollectionKind, Document};
use nodedb_server::answer::{Row, value_text};
use std::io::{self, BufWriter, StdoutLock, Write};

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
