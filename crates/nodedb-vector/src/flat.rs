//! The rows of one index.

use crate::{blocks::Blocks, kernel, query::Candidate};
use bytes::Bytes;
use nodedb_engine::Metric;
use nodedb_types::Stamp;
use std::collections::{BTreeMap, BinaryHeap};

/// Bookkeeping per row, about: key handle twice, stamp, norm, map entry.
const ROW_OVERHEAD_BYTES: usize = 128;

/// All vectors of one index, densely packed, in no order.
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

    pub(crate) fn get(&self, key: &[u8]) -> Option<(Stamp, &[f32])> {
        let row = *self.positions.get(key)?;
        Some((*self.stamps.get(row)?, self.vectors.get(row)?))
    }

    /// Keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.positions.keys()
    }

    /// Sets the vector of a key. Answers the key as it is stored, to be shared.
    pub(crate) fn set(&mut self, key: &[u8], stamp: Stamp, vector: &[f32]) -> Bytes {
        let norm = kernel::dot(vector, vector).sqrt();
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

    /// Every row with its distance from `vector`; the heap hands out the nearest first.
    pub(crate) fn candidates(&self, vector: &[f32], metric: Metric) -> BinaryHeap<Candidate<'_>> {
        let norm = kernel::dot(vector, vector).sqrt();
        let rows = self.vectors.iter().zip(&self.norms).zip(&self.keys);
        let candidates: Vec<_> = rows
            .map(|((row, row_norm), key)| Candidate {
                distance: match metric {
                    // Rounding may lead out of the range.
                    Metric::Cosine => {
                        (1.0 - kernel::dot(vector, row) / (norm * row_norm)).clamp(0.0, 2.0)
                    }
                    Metric::L2 => kernel::squared_distance(vector, row),
                    // The difference, not the negation: that would make two zeros that differ.
                    Metric::Dot => 0.0 - kernel::dot(vector, row),
                },
                key,
            })
            .collect();
        BinaryHeap::from(candidates)
    }
}

fn put<T>(values: &mut [T], row: usize, value: T) {
    if let Some(slot) = values.get_mut(row) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(flat.get(b"b"), Some((stamp, &[2.0][..])));
        assert_eq!(flat.get(b"c"), Some((stamp, &[3.0][..])));
        flat.set(b"c", stamp, &[4.0]);
        assert_eq!(flat.get(b"c"), Some((stamp, &[4.0][..])));
        assert_eq!((flat.len(), flat.key_bytes), (2, 2));
        assert!(flat.keys().eq([&b"b"[..], &b"c"[..]]));
    }
}
