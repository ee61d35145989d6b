//! The rows of one index in memory, searched exactly.

use crate::{
    blocks::Blocks,
    kernel::{self, Probe},
};
use bytes::Bytes;
use nodedb_types::Stamp;
use roaring::RoaringBitmap;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
};

/// Bookkeeping per row, about: key handle twice, stamp, norm, map entry.
const ROW_OVERHEAD_BYTES: usize = 128;

/// Vectors of one index, densely packed, in no order.
#[derive(Debug)]
pub(crate) struct Flat {
    vectors: Blocks,
    /// Lengths of the vectors, for cosine.
    norms: Vec<f32>,
    keys: Vec<Bytes>,
    stamps: Vec<Stamp>,
    /// A tree rather than a hash table: growing it never stalls, and it lists the keys in order.
    positions: BTreeMap<Bytes, usize>,
    key_bytes: usize,
}

/// A row and its distance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near<'a> {
    pub(crate) distance: f32,
    pub(crate) key: &'a Bytes,
}

impl Flat {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self {
            vectors: Blocks::new(dimensions),
            norms: Vec::new(),
            keys: Vec::new(),
            stamps: Vec::new(),
            positions: BTreeMap::new(),
            key_bytes: 0,
        }
    }

    pub(crate) const fn dimensions(&self) -> usize {
        self.vectors.stride()
    }

    pub(crate) const fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.vectors.memory_bytes() + self.len() * ROW_OVERHEAD_BYTES + self.key_bytes
    }

    /// The row of a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<usize> {
        self.positions.get(key).copied()
    }

    pub(crate) fn key(&self, row: usize) -> Option<&Bytes> {
        self.keys.get(row)
    }

    pub(crate) fn stamp(&self, row: usize) -> Option<Stamp> {
        self.stamps.get(row).copied()
    }

    pub(crate) fn vector(&self, row: usize) -> Option<&[f32]> {
        self.vectors.get(row)
    }

    /// Keys in order, with their rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Bytes, usize)> {
        self.positions.iter().map(|(key, row)| (key, *row))
    }

    /// Sets the vector of a key. Answers the key as it is stored, to be shared.
    pub(crate) fn set(&mut self, key: &[u8], stamp: Stamp, vector: &[f32]) -> Bytes {
        let norm = kernel::norm(vector);
        if let Some((key, row)) = self.positions.get_key_value(key) {
            let row = *row;
            self.vectors.set(row, vector);
            put(&mut self.norms, row, norm);
            put(&mut self.stamps, row, stamp);
            return key.clone();
        }
        // A copy: the caller's bytes may be a small part of a large buffer, which would stay alive.
        let key = Bytes::copy_from_slice(key);
        self.positions.insert(key.clone(), self.len());
        self.vectors.push(vector);
        self.norms.push(norm);
        self.stamps.push(stamp);
        self.keys.push(key.clone());
        self.key_bytes += key.len();
        key
    }

    /// Removes a key; the last row takes its place. Answers the key if it was there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Bytes> {
        let row = self.positions.remove(key)?;
        self.vectors.swap_remove(row);
        self.norms.swap_remove(row);
        self.stamps.swap_remove(row);
        let removed = self.keys.swap_remove(row);
        self.key_bytes -= removed.len();
        let moved = self.keys.get(row).and_then(|key| self.positions.get_mut(key));
        if let Some(position) = moved {
            *position = row;
        }
        Some(removed)
    }

    /// A row with its distance.
    pub(crate) fn near(&self, probe: &Probe<'_>, row: usize) -> Option<Near<'_>> {
        let distance = probe.distance(self.vectors.get(row)?, *self.norms.get(row)?);
        Some(Near { distance, key: self.keys.get(row)? })
    }

    /// The `k` nearest rows that are not dead, nearest first, then by key.
    pub(crate) fn nearest(
        &self,
        probe: &Probe<'_>,
        dead: Option<&RoaringBitmap>,
        k: usize,
    ) -> Vec<Near<'_>> {
        let k = k.min(self.len());
        let mut nearest = BinaryHeap::with_capacity(k);
        let mut distances = Vec::new();
        let mut norms = &*self.norms;
        let mut keys = self.keys.iter();
        let mut rows = 0_u32..;
        for block in self.vectors.iter() {
            distances.resize(block.len() / self.dimensions(), 0.0);
            let (of_block, rest) = norms.split_at(distances.len());
            norms = rest;
            probe.distances(block, of_block, &mut distances);
            for ((distance, key), row) in distances.iter().zip(&mut keys).zip(&mut rows) {
                if dead.is_none_or(|dead| !dead.contains(row)) {
                    keep(&mut nearest, k, Near { distance: *distance, key });
                }
            }
        }
        assert!(norms.is_empty(), "every row was measured");
        nearest.into_sorted_vec()
    }
}

/// Keeps the `k` nearest; the farthest of them is on top.
fn keep<'a>(nearest: &mut BinaryHeap<Near<'a>>, k: usize, near: Near<'a>) {
    if nearest.len() < k {
        nearest.push(near);
    } else if let Some(mut farthest) = nearest.peek_mut()
        && near < *farthest
    {
        *farthest = near;
    }
}

fn put<T>(values: &mut [T], row: usize, value: T) {
    if let Some(slot) = values.get_mut(row) {
        *slot = value;
    }
}

impl Ord for Near<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then_with(|| self.key.cmp(other.key))
    }
}

impl PartialOrd for Near<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Near<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Near<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_engine::Metric;
    use nodedb_types::{LogEpoch, Lsn};

    #[test]
    fn removal_moves_the_last_row_and_its_position() {
        let stamp = Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST };
        let mut flat = Flat::new(1);
        for (key, value) in [(b"a", 1.0), (b"b", 2.0), (b"c", 3.0)] {
            flat.set(key, stamp, &[value]);
        }
        assert_eq!(flat.remove(b"a").as_deref(), Some(&b"a"[..]));
        assert_eq!(flat.remove(b"a"), None);
        let vector =
            |flat: &Flat, key| flat.find(key).and_then(|row| flat.vector(row)?.first().copied());
        assert_eq!((vector(&flat, b"b"), vector(&flat, b"c")), (Some(2.0), Some(3.0)));
        flat.set(b"c", stamp, &[4.0]);
        assert_eq!(vector(&flat, b"c"), Some(4.0));
        assert_eq!((flat.len(), flat.key_bytes), (2, 2));
        assert!(flat.rows().map(|(key, _)| &**key).eq([&b"b"[..], &b"c"[..]]));
    }

    #[test]
    fn ties_are_ordered_by_key_also_where_the_list_ends() {
        let stamp = Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST };
        let mut flat = Flat::new(1);
        for key in ["d", "b", "e", "a", "c"] {
            flat.set(key.as_bytes(), stamp, &[1.0]);
        }
        let probe = Probe::new(Metric::L2, &[0.0]);
        let keys = |dead: Option<&RoaringBitmap>, k| {
            let near = flat.nearest(&probe, dead, k);
            near.iter().map(|near| near.key.to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(keys(None, 2), [b"a", b"b"]);
        let dead = flat.find(b"a").and_then(|row| u32::try_from(row).ok()).into_iter().collect();
        assert_eq!(keys(Some(&dead), 9), [b"b", b"c", b"d", b"e"]);
    }
}
