//! Approximate search of a segment, with exact distances.

use super::{
    Segment,
    error::SegmentError,
    graph::{Accept, Question, VectorIndex},
    nearest::Hit,
};
use crate::{check_vector, kernel::Probe};
use nodedb_engine::VectorStorage;

/// What to look for in a segment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct SegmentQuery<'a> {
    /// Near what.
    pub(crate) vector: &'a [f32],
    /// How many rows at most.
    pub(crate) k: usize,
    /// How many candidates are kept while looking: more find better and take longer. Raised to what
    /// `k` needs.
    pub(crate) ef: usize,
}

impl Segment {
    /// The rows nearest to a vector, nearly always, with their exact distances; nearest first.
    ///
    /// `accept` is asked for each slot on the way that may become a hit, in no order, some not at all.
    /// The fewer it takes the more of the graph is walked: a filter that takes less than a tenth is
    /// answered faster by [`exact`](Self::exact) over what it takes. It must not search this segment.
    ///
    /// # Errors
    /// `Query` if the vector is none of this index, `FilterPanicked`, `Busy` while another search of
    /// this segment runs, `Graph` if the library fails.
    pub(crate) fn search(
        &self,
        query: SegmentQuery<'_>,
        accept: Option<&mut Accept<'_>>,
    ) -> Result<Vec<Hit>, SegmentError> {
        check_vector(self.spec.dimensions, self.spec.metric, query.vector)?;
        let k = query.k.min(self.rows.len());
        if k == 0 {
            return Ok(Vec::new());
        }
        // What of the rows is never looked at cannot be found: bound by the rows that there are.
        let wanted = candidates(self.spec.storage, k).min(self.rows.len());
        let ef = query.ef.clamp(wanted, self.rows.len());
        let question = Question { vector: query.vector, wanted, ef };
        let slots = self.graph.search(question, accept)?;
        let probe = Probe::new(self.spec.metric, query.vector);
        let mut hits = Vec::with_capacity(slots.len());
        for slot in slots {
            if slot >= self.len() {
                let message = format!("it knows a row {slot} of {}", self.len());
                return Err(SegmentError::Graph { action: "searching", message });
            }
            hits.push(Hit { slot, distance: self.vectors.distance(&probe, slot) });
        }
        hits.sort_unstable();
        hits.truncate(k);
        Ok(hits)
    }
}

/// How many candidates are fetched, to be measured in full, for `k` hits: rounding in the graph puts
/// some of the nearest behind others.
const fn candidates(storage: VectorStorage, k: usize) -> usize {
    match storage {
        VectorStorage::F32 => k,
        VectorStorage::Bf16 => k + k / 2,
        VectorStorage::I8 => k.saturating_mul(3),
    }
}
