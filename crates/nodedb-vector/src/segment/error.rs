//! What can go wrong with a segment in memory. Damage of its files is an `EngineError`.

use crate::VectorError;

/// Failure of building or searching a segment.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    /// The query is no vector of this index. Nothing was searched.
    #[error("the query cannot be searched for: {0}")]
    Query(#[from] VectorError),
    /// The filter panicked; what it panicked with was caught before it could leave foreign code.
    #[error("the filter of a vector search panicked: {message}")]
    FilterPanicked {
        /// What it said, or that it said nothing readable.
        message: String,
    },
    /// Another search of the same segment runs, on another thread or around this one.
    #[error("a segment is searched by one thread at a time: search again later")]
    Busy,
    /// The library of the approximate index refused.
    #[error("{action} the graph of a segment failed: {message}")]
    Graph {
        /// What was tried, such as "building".
        action: &'static str,
        /// What the library said.
        message: String,
    },
}
