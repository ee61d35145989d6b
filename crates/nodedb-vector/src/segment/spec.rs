//! What a segment holds.

use nodedb_engine::{Metric, VectorStorage};
use nodedb_types::IndexId;

/// Which index a segment belongs to, and how its rows are measured and stored. Stands in the header of
/// each of its files; a file with another one is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentSpec {
    pub(crate) index: IndexId,
    /// Numbers per vector, 1 to [`VECTOR_DIMENSIONS_MAX`](nodedb_types::limits::VECTOR_DIMENSIONS_MAX).
    pub(crate) dimensions: u32,
    pub(crate) metric: Metric,
    /// How the graph keeps the vectors. The originals are kept beside it in full.
    pub(crate) storage: VectorStorage,
}

impl SegmentSpec {
    /// Numbers per vector, as lengths of slices count.
    #[expect(clippy::expect_used, reason = "a vector has at most 16,384 numbers")]
    pub(crate) fn width(&self) -> usize {
        usize::try_from(self.dimensions).expect("dimensions fit into a length")
    }
}
