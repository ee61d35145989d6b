//! Searching the head and the parts of an index.

use crate::{
    Neighbour, Query, SearchMode, SearchPlan,
    flat::Near,
    kernel::Probe,
    live_index::{Found, LiveIndex},
    part::{Part, PartId, PartRows},
    plan::{self, Seen},
    query,
    segment::{Segment, SegmentQuery},
};
use bytes::Bytes;
use roaring::RoaringBitmap;
use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap},
};

/// Whether a key may be an answer.
pub(crate) type Accept<'a, E> = dyn FnMut(&[u8]) -> Result<bool, E> + 'a;

/// A row on its way to the answer. Ascends by distance, then by key.
#[derive(Clone, Copy, Debug)]
struct Candidate<'a> {
    distance: f32,
    key: &'a [u8],
}

impl LiveIndex {
    /// The nearest rows that are accepted. Rows are asked for in the order of distance, each once.
    pub(crate) fn nearest<E>(
        &self,
        query: &Query<'_>,
        accept: &mut Accept<'_, E>,
    ) -> Result<query::Found, E> {
        let probe = self.probe(query);
        let rows = self.len();
        let mut verdicts = Verdicts::default();
        let mut fetch = plan::first_fetch(query.k, query.mode).min(rows);
        let mut plan = self.plan(fetch, query.ef, query.mode);
        loop {
            let candidates = self.candidates(query, &probe, (plan, fetch));
            let neighbours = verdicts.take(&candidates, query.k, accept)?;
            // All rows are the candidates of an exact round only: a graph may miss some.
            if neighbours.len() == query.k || fetch >= rows {
                return Ok(query::Found { neighbours, plan });
            }
            fetch = plan::next_fetch(query.k, verdicts.seen()).min(rows);
            plan = match plan {
                SearchPlan::Graph { .. } => self.plan(fetch, query.ef, query.mode),
                SearchPlan::Exact | SearchPlan::Among { .. } => SearchPlan::Exact,
            };
            if plan == SearchPlan::Exact {
                // More candidates cost little then, and another round would measure all rows again.
                fetch = fetch.max(plan::EXACT_FETCH).min(rows);
            }
        }
    }

    /// How a search for `k` rows begins.
    pub(crate) fn first_plan(&self, k: usize, ef: Option<usize>, mode: SearchMode) -> SearchPlan {
        self.plan(plan::first_fetch(k, mode).min(self.len()), ef, mode)
    }

    /// The nearest of some keys that are accepted.
    pub(crate) fn nearest_among<E>(
        &self,
        query: &Query<'_>,
        keys: &mut dyn Iterator<Item = Bytes>,
        accept: &mut Accept<'_, E>,
    ) -> Result<query::Found, E> {
        let probe = self.probe(query);
        let mut near = Vec::new();
        let mut slots: BTreeMap<PartId, Vec<u32>> = BTreeMap::new();
        for key in keys {
            match self.find(&key) {
                Some(Found::Head(row)) => near.extend(self.head.near(&probe, row)),
                Some(Found::Part(part, slot)) => slots.entry(part.id).or_default().push(slot),
                None => {}
            }
        }
        let mut near: Vec<_> = near.into_iter().map(Candidate::from).collect();
        for part in &self.parts {
            near.extend(measure(part, query, &probe, slots.get(&part.id)));
        }
        let plan = SearchPlan::Among { matches: near.len() };
        // A heap: most of them are never asked for.
        let mut nearest: BinaryHeap<_> = near.into_iter().map(Reverse).collect();
        let mut neighbours: Vec<Neighbour> = Vec::new();
        while neighbours.len() < query.k
            && let Some(Reverse(candidate)) = nearest.pop()
        {
            if accept(candidate.key)? {
                neighbours.push(candidate.neighbour());
            }
        }
        Ok(query::Found { neighbours, plan })
    }

    fn probe<'a>(&self, query: &Query<'a>) -> Probe<'a> {
        assert_eq!(query.metric, self.definition.metric, "an index has one metric");
        assert_eq!(query.vector.len(), self.definition.width(), "queries are checked");
        Probe::new(query.metric, query.vector)
    }

    fn plan(&self, fetch: usize, ef: Option<usize>, mode: SearchMode) -> SearchPlan {
        let segments = self.graphs().count();
        if mode == SearchMode::Exact || segments == 0 {
            return SearchPlan::Exact;
        }
        let ef = plan::ef(ef, segments, fetch);
        let rows: u64 = self.graphs().map(|part| u64::from(part.slots())).sum();
        if plan::is_exact_faster(rows, segments, ef) || fetch >= self.len() {
            return SearchPlan::Exact;
        }
        SearchPlan::Graph { segments, ef }
    }

    /// The nearest rows by a plan, nearest first.
    fn candidates(
        &self,
        query: &Query<'_>,
        probe: &Probe<'_>,
        (plan, fetch): (SearchPlan, usize),
    ) -> Vec<Candidate<'_>> {
        let head = self.head.nearest(probe, None, fetch);
        let mut candidates: Vec<_> = head.into_iter().map(Candidate::from).collect();
        for part in &self.parts {
            match &part.rows {
                PartRows::Aside { flat, .. } => {
                    let near = flat.nearest(probe, Some(&part.dead), fetch);
                    candidates.extend(near.into_iter().map(Candidate::from));
                }
                PartRows::Sealed(segment) => {
                    let hits = search(segment, &part.dead, query, (plan, fetch));
                    candidates.extend(
                        hits.map(|(slot, distance)| Candidate { distance, key: segment.key(slot) }),
                    );
                }
            }
        }
        candidates.sort_unstable();
        candidates.truncate(fetch);
        candidates
    }
}

/// Some rows of a part with their distances.
fn measure<'a>(
    part: &'a Part,
    query: &Query<'_>,
    probe: &Probe<'_>,
    slots: Option<&Vec<u32>>,
) -> Vec<Candidate<'a>> {
    let Some(slots) = slots else {
        return Vec::new();
    };
    match &part.rows {
        PartRows::Aside { flat, .. } => {
            let rows = slots.iter().filter_map(|slot| usize::try_from(*slot).ok());
            rows.filter_map(|row| flat.near(probe, row)).map(Candidate::from).collect()
        }
        PartRows::Sealed(segment) => {
            let hits = segment.exact(query.vector, slots.iter().copied(), slots.len());
            assert!(hits.is_ok(), "the query was checked before it came here");
            let hits = hits.unwrap_or_default().into_iter();
            hits.map(|hit| Candidate { distance: hit.distance, key: segment.key(hit.slot) })
                .collect()
        }
    }
}

/// The nearest live rows of a segment. Where its graph fails, for want of memory for example, all rows
/// are measured: an answer later is better than none.
fn search(
    segment: &Segment,
    dead: &RoaringBitmap,
    query: &Query<'_>,
    (plan, k): (SearchPlan, usize),
) -> impl Iterator<Item = (u32, f32)> {
    let walked = match plan {
        SearchPlan::Graph { ef, .. } => {
            let question = SegmentQuery { vector: query.vector, k, ef };
            let mut lives = |slot| !dead.contains(slot);
            let lives: Option<&mut dyn FnMut(u32) -> bool> =
                if dead.is_empty() { None } else { Some(&mut lives) };
            segment.search(question, lives).ok()
        }
        SearchPlan::Exact | SearchPlan::Among { .. } => None,
    };
    let hits = walked.or_else(|| segment.exact_except(query.vector, dead, k).ok());
    assert!(hits.is_some(), "the query was checked before it came here");
    hits.into_iter().flatten().map(|hit| (hit.slot, hit.distance))
}

/// What `accept` has said, so that each key is asked for once.
#[derive(Debug, Default)]
struct Verdicts {
    /// Of the rounds before.
    said: BTreeMap<Vec<u8>, bool>,
    accepted: usize,
}

impl Verdicts {
    /// The first `k` of the candidates that are accepted.
    fn take<E>(
        &mut self,
        candidates: &[Candidate<'_>],
        k: usize,
        accept: &mut Accept<'_, E>,
    ) -> Result<Vec<Neighbour>, E> {
        let mut neighbours = Vec::with_capacity(k.min(candidates.len()));
        let mut news = Vec::new();
        for candidate in candidates {
            if neighbours.len() == k {
                return Ok(neighbours);
            }
            let accepted = if let Some(accepted) = self.said.get(candidate.key) {
                *accepted
            } else {
                let accepted = accept(candidate.key)?;
                news.push((candidate.key, accepted));
                accepted
            };
            if accepted {
                neighbours.push(candidate.neighbour());
            }
        }
        if neighbours.len() < k {
            self.accepted += news.iter().filter(|(_, accepted)| *accepted).count();
            self.said.extend(news.into_iter().map(|(key, accepted)| (key.to_vec(), accepted)));
        }
        Ok(neighbours)
    }

    fn seen(&self) -> Seen {
        Seen { asked: self.said.len(), accepted: self.accepted }
    }
}

impl<'a> From<Near<'a>> for Candidate<'a> {
    fn from(near: Near<'a>) -> Self {
        Self { distance: near.distance, key: near.key }
    }
}

impl Candidate<'_> {
    fn neighbour(&self) -> Neighbour {
        Neighbour { key: Bytes::copy_from_slice(self.key), distance: self.distance }
    }
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then_with(|| self.key.cmp(other.key))
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
