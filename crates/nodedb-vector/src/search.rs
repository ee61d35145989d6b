//! Searching the head and the parts of an index.

use crate::{
    Neighbour, Query, SearchMode, SearchPlan,
    kernel::Probe,
    live_index::{Found, LiveIndex},
    part::{Part, PartRows},
    plan::{self, Filtered, Seen},
    query,
    segment::{Segment, SegmentQuery},
};
use bytes::Bytes;
use roaring::RoaringBitmap;
use std::{cmp::Ordering, collections::BTreeMap, collections::BinaryHeap};

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
        let filtered = match query.mode {
            SearchMode::Filtered => Filtered::Yes,
            SearchMode::Auto | SearchMode::Exact => Filtered::No,
        };
        let mut verdicts = Verdicts::default();
        let mut exact = query.mode == SearchMode::Exact;
        let mut fetch = plan::first_fetch(query.k, filtered).min(rows);
        loop {
            exact |= self.segments().next().is_none();
            let plan = self.plan(query, exact, fetch);
            let candidates = self.candidates(query, &probe, (plan, fetch));
            let neighbours = verdicts.take(&candidates, query.k, accept)?;
            // Through graphs a few rows may not be met at all; those of an exact round are all.
            if neighbours.len() == query.k || fetch >= rows {
                return Ok(query::Found { neighbours, plan });
            }
            fetch = plan::next_fetch(query.k, verdicts.seen()).min(rows);
            exact |= plan::is_exact_faster(rows, fetch);
        }
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
        for key in keys {
            near.extend(self.distance(&probe, &key).map(|distance| (distance, key)));
        }
        let plan = SearchPlan::Among { matches: near.len() };
        let candidates = near.iter().map(|(distance, key)| Candidate { distance: *distance, key });
        // A heap: most of them are never asked for.
        let mut nearest: BinaryHeap<_> = candidates.map(std::cmp::Reverse).collect();
        let mut neighbours: Vec<Neighbour> = Vec::new();
        while neighbours.len() < query.k
            && let Some(std::cmp::Reverse(candidate)) = nearest.pop()
        {
            let again = neighbours.last().is_some_and(|last| last.key == candidate.key);
            if !again && accept(candidate.key)? {
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

    fn plan(&self, query: &Query<'_>, exact: bool, fetch: usize) -> SearchPlan {
        if exact {
            return SearchPlan::Exact;
        }
        let segments = self.segments().count();
        SearchPlan::Graph { segments, ef: plan::ef(query.ef, segments, fetch) }
    }

    /// The nearest rows by a plan, nearest first.
    fn candidates(
        &self,
        query: &Query<'_>,
        probe: &Probe<'_>,
        (plan, fetch): (SearchPlan, usize),
    ) -> Vec<Candidate<'_>> {
        let head = self.head.nearest(probe, None, fetch);
        let mut candidates: Vec<_> = head
            .into_iter()
            .map(|near| Candidate { distance: near.distance, key: near.key })
            .collect();
        for part in &self.parts {
            match &part.rows {
                PartRows::Aside { flat, .. } => {
                    let near = flat.nearest(probe, Some(&part.dead), fetch);
                    let near = near.into_iter();
                    candidates
                        .extend(near.map(|near| Candidate { distance: near.distance, key: near.key }));
                }
                PartRows::Sealed(segment) => {
                    let hits = search(segment, &part.dead, query, (plan, fetch));
                    candidates.extend(hits.map(|(slot, distance)| Candidate {
                        distance,
                        key: segment.key(slot),
                    }));
                }
            }
        }
        candidates.sort_unstable();
        candidates.truncate(fetch);
        candidates
    }

    fn distance(&self, probe: &Probe<'_>, key: &[u8]) -> Option<f32> {
        match self.find(key)? {
            Found::Head(row) => self.head.distance(probe, row),
            Found::Part(part, slot) => part.distance(probe, slot),
        }
    }
}

impl Part {
    fn distance(&self, probe: &Probe<'_>, slot: u32) -> Option<f32> {
        match &self.rows {
            PartRows::Aside { flat, .. } => flat.distance(probe, usize::try_from(slot).ok()?),
            PartRows::Sealed(segment) => Some(segment.distance(probe, slot)),
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
            let accepted = match self.said.get(candidate.key) {
                Some(accepted) => *accepted,
                None => {
                    let accepted = accept(candidate.key)?;
                    news.push((candidate.key, accepted));
                    accepted
                }
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
