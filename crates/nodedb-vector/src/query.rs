//! A nearest-neighbour question and its answers.

use bytes::Bytes;
use nodedb_engine::Metric;
use nodedb_types::IndexId;
use std::cmp::Ordering;

/// What to look for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Query<'a> {
    /// In which index.
    pub index: IndexId,
    /// Near what; passed [`check_vector`](crate::check_vector) of that index.
    pub vector: &'a [f32],
    /// How distance is measured.
    pub metric: Metric,
    /// How many neighbours at most.
    pub k: usize,
}

/// One answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Neighbour {
    /// Whose vector it is.
    pub key: Bytes,
    /// How far it is, in the unit of the [`Metric`].
    pub distance: f32,
}

/// A row on its way through the heap. The greatest is the nearest: a heap hands out the greatest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) distance: f32,
    pub(crate) key: &'a Bytes,
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let distance = other.distance.total_cmp(&self.distance);
        distance.then_with(|| other.key.cmp(self.key))
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate<'_> {}
