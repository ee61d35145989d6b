//! What can go wrong with documents, by situation.

use nodedb_engine::{EngineError, SnapshotExpired};
use nodedb_types::ErrorKind;

/// Failure of a read, of a document's text, or of a filter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The tables hold newer records than the snapshot may see.
    #[error(transparent)]
    SnapshotExpired(#[from] SnapshotExpired),
    /// The tables could not be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A document is no JSON text.
    #[error("the document is not valid JSON: {message}; send one JSON value as UTF-8 text")]
    NotJson {
        /// What is wrong, with line and column.
        message: String,
    },
    /// A document names a member twice, so that readers would disagree about it.
    #[error("the document is ambiguous: {message}; name each member of an object once")]
    DuplicateMember {
        /// Which member, with line and column.
        message: String,
    },
    /// A vector field holds something else.
    #[error("field `{field}` holds {found} where {expected} is expected: correct the document")]
    NotVector {
        /// The indexed field.
        field: String,
        /// What the index needs.
        expected: String,
        /// What the document holds.
        found: String,
    },
    /// A text in a unique index is longer than an index keeps.
    #[error(
        "the text at `{path}` is {bytes} bytes long and its index is unique: {limit} are the limit"
    )]
    ValueTooLong {
        /// The indexed path.
        path: String,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// So many documents have had a unique value and given it up that looking for its holder would keep
    /// everybody else waiting; nothing was done. A flush and a merge remove what they left.
    #[error(
        "more than {limit} documents have had this unique value since the tables were merged: try \
         again later"
    )]
    Crowded {
        /// How many entries may be looked at.
        limit: usize,
    },
    /// A filter expression is too long to be parsed.
    #[error("the filter is {bytes} bytes long, the limit is {limit}: shorten it")]
    FilterTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A filter expression nests too deeply.
    #[error("the filter nests deeper than {limit} levels: flatten it")]
    FilterTooDeep {
        /// The limit.
        limit: usize,
    },
    /// A filter expression is no SQL expression.
    #[error(
        "the filter cannot be parsed: {message}; give a condition such as lang = 'en' AND year >= 2020"
    )]
    FilterSyntax {
        /// What is wrong, with line and column.
        message: String,
    },
    /// A filter expression uses SQL that is not supported.
    #[error("{what} is not supported in a filter; supported are {supported}")]
    FilterUnsupported {
        /// Which part of the expression.
        what: String,
        /// What may be used.
        supported: &'static str,
    },
}

impl DocumentError {
    /// How a caller reacts to it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::SnapshotExpired(_) => ErrorKind::SnapshotExpired,
            Self::Engine(error) => error.kind(),
            Self::Crowded { .. } => ErrorKind::Busy,
            Self::NotJson { .. }
            | Self::DuplicateMember { .. }
            | Self::NotVector { .. }
            | Self::ValueTooLong { .. }
            | Self::FilterTooLong { .. }
            | Self::FilterTooDeep { .. }
            | Self::FilterSyntax { .. }
            | Self::FilterUnsupported { .. } => ErrorKind::InvalidInput,
        }
    }
}
