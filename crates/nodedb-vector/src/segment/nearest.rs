//! The k nearest of many.

use std::{cmp::Ordering, collections::BinaryHeap};

/// A slot and its distance. Ascends by distance and, since slots are in the order of keys, by key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) slot: u32,
    pub(crate) distance: f32,
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.slot.cmp(&other.slot))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Hit {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Hit {}

/// Keeps the k nearest of the hits that it is shown.
#[derive(Debug)]
pub(super) struct Nearest {
    k: usize,
    /// The farthest on top.
    hits: BinaryHeap<Hit>,
}

impl Nearest {
    /// `k` of at most `rows` hits.
    pub(super) fn new(k: usize, rows: usize) -> Self {
        let k = k.min(rows);
        Self { k, hits: BinaryHeap::with_capacity(k) }
    }

    /// Whether a hit is among the k nearest so far.
    #[inline]
    pub(super) fn takes(&self, hit: Hit) -> bool {
        self.hits.len() < self.k || self.hits.peek().is_some_and(|farthest| hit < *farthest)
    }

    #[inline]
    pub(super) fn show(&mut self, hit: Hit) {
        if self.hits.len() < self.k {
            self.hits.push(hit);
        } else if let Some(mut farthest) = self.hits.peek_mut()
            && hit < *farthest
        {
            *farthest = hit;
        }
    }

    /// The nearest first.
    pub(super) fn finish(self) -> Vec<Hit> {
        self.hits.into_sorted_vec()
    }
}
