//! The port of approximate indexes: what a library must do to stand behind a segment.

use super::{error::SegmentError, filter::Filter, header::Checked, spec::SegmentSpec};
use nodedb_engine::EngineError;
use std::fmt::Debug;

/// What a builder of graphs knows of all rows before the first comes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Shape {
    pub(super) spec: SegmentSpec,
    pub(super) rows: u32,
    /// The largest magnitude that is told from larger ones.
    pub(super) reach: f32,
}

/// A question to a graph. The vector passed `check_vector` of the index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) vector: &'a [f32],
    /// How many slots to answer at most, at least 1.
    pub(super) wanted: usize,
    /// How many candidates are kept while looking, at least `wanted`.
    pub(super) ef: usize,
}

/// An approximate index over the rows of a segment, which it knows by slot: 0, 1, 2 and so on.
pub(super) trait VectorIndex: Sized + Send + Sync + Debug {
    /// Builds one.
    type Builder: VectorIndexBuilder;

    /// Starts an index with room for all rows.
    fn builder(shape: Shape) -> Result<Self::Builder, SegmentError>;

    /// Opens what a builder saved, in place: `checked` is kept, none of it is copied.
    fn view(checked: &Checked) -> Result<Self, EngineError>;

    /// Slots near the vector that the filter takes, in no order. One search at a time: a second one is
    /// `Busy`.
    fn search(
        &self,
        question: Question<'_>,
        filter: Option<&Filter<'_, '_>>,
    ) -> Result<Vec<u32>, SegmentError>;

    /// Whether there is something to search: a flat segment has rows and no graph.
    fn is_built(&self) -> bool;

    /// Bytes of the heap.
    fn memory_bytes(&self) -> usize;
}

/// An index in the making, on one thread.
pub(super) trait VectorIndexBuilder: Send + Debug {
    /// Adds the vector of the next slot.
    fn add(&mut self, slot: u32, vector: &[f32]) -> Result<(), SegmentError>;

    /// Appends the bytes that `view` takes to `file`.
    fn save(self, file: &mut Vec<u8>) -> Result<(), SegmentError>;
}
