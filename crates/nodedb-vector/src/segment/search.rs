//! Approximate search of a segment, with exact distances.

use super::{
    Segment,
    error::SegmentError,
    filter::{Accept, Filter, Outcome},
    graph::{Question, VectorIndex},
    nearest::Hit,
};
use crate::{check_vector, kernel::Probe};
use nodedb_engine::VectorStorage;

/// Rows that are measured in the time that the graph takes for one candidate; twice as many, when
/// measured on a machine at rest.
const ROWS_PER_CANDIDATE: usize = 20;
/// The share of a segment's rows that a filter may be asked for on a walk. Beyond it the walk has cost
/// more than measuring every row, and has no end in sight.
const WALK_SHARE: u32 = 10;

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
    /// The rows nearest to a vector that `accept` takes, nearly always, with their exact distances;
    /// nearest first. As many as `k` or as there are: where the graph does not lead to enough of them,
    /// or is not worth walking, every row is looked at instead.
    ///
    /// `accept` is asked for slots that may become hits, in no order, some of them twice. It must not
    /// search this segment. Where what it takes is known to be less than a tenth of the rows,
    /// [`exact`](Self::exact) over that is faster.
    ///
    /// # Errors
    /// `Query` if the vector is none of this index, `FilterPanicked`, `Busy` while another search of
    /// this segment runs, `Graph` if the library fails.
    pub(crate) fn search(
        &self,
        query: SegmentQuery<'_>,
        mut accept: Option<&mut Accept<'_>>,
    ) -> Result<Vec<Hit>, SegmentError> {
        check_vector(self.spec.dimensions, self.spec.metric, query.vector)?;
        let k = query.k.min(self.rows.len());
        let candidates = query.ef.max(k).saturating_mul(ROWS_PER_CANDIDATE);
        if self.is_graph() && self.rows.len() > candidates {
            let walked = self.walk(query, accept.as_deref_mut())?;
            if let Some(hits) = walked.filter(|hits| hits.len() == k) {
                return Ok(hits);
            }
        }
        let Some(accept) = accept else {
            return Ok(self.scan(query.vector, k, |_| true));
        };
        let filter = Filter::new(accept, u32::MAX);
        let hits = self.scan(query.vector, k, |slot| filter.ask(slot));
        filter.finish().map(|_| hits)
    }

    /// What the graph finds for a checked query, or `None` if the filter takes too little for a walk.
    pub(super) fn walk(
        &self,
        query: SegmentQuery<'_>,
        accept: Option<&mut Accept<'_>>,
    ) -> Result<Option<Vec<Hit>>, SegmentError> {
        let SegmentQuery { vector, k, ef } = query;
        let k = k.min(self.rows.len());
        if k == 0 {
            return Ok(Some(Vec::new()));
        }
        // The library takes memory for as many as it is asked for, there or not.
        let wanted = candidates(self.spec.storage, k, ef).min(self.rows.len());
        let question = Question { vector, wanted, ef: ef.clamp(wanted, self.rows.len()) };
        let filter = accept.map(|accept| Filter::new(accept, self.len() / WALK_SHARE));
        let slots = self.graph.search(question, filter.as_ref());
        let outcome = filter.map_or(Ok(Outcome::Answered), Filter::finish)?;
        let slots = slots?;
        if outcome == Outcome::Exhausted {
            return Ok(None);
        }
        let (probe, matrix) = (Probe::new(self.spec.metric, vector), self.vectors.matrix());
        let mut hits = Vec::with_capacity(slots.len());
        for slot in slots {
            if slot >= self.len() {
                let message = format!("it knows a row {slot} of {}", self.len());
                return Err(SegmentError::Graph { action: "searching", message });
            }
            hits.push(Hit { slot, distance: matrix.distance(&probe, slot) });
        }
        hits.sort_unstable();
        hits.truncate(k);
        Ok(Some(hits))
    }
}

/// How many candidates are fetched, to be measured in full, for `k` hits of at most a segment's rows:
/// rounding in the graph puts some of the nearest behind others. All that were kept are fetched where it
/// rounds: measuring one takes a fraction of what finding it took.
fn candidates(storage: VectorStorage, k: usize, ef: usize) -> usize {
    match storage {
        VectorStorage::F32 => k,
        // On real vectors half as many again were enough for both to lose nothing.
        VectorStorage::Bf16 => ef.max(k + k / 2),
        VectorStorage::I8 => ef.max(k.saturating_mul(2)),
    }
}
