//! What changed since the last freeze.

use bytes::Bytes;
use nodedb_types::{IndexId, Lsn, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// Bookkeeping per change, about.
const CHANGE_OVERHEAD_BYTES: usize = 96;

/// The changes since the last freeze, newest per key. Vectors are copied out of the head, which goes
/// on changing while the maintenance thread writes: until its flush a new vector takes memory twice.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Indexes that are gone, with whatever older files say of them.
    pub(crate) dropped: BTreeSet<IndexId>,
    /// What was set or removed, by index and key.
    pub(crate) rows: BTreeMap<IndexId, BTreeMap<Bytes, Change>>,
    /// First record among them, also of what a later one took back.
    pub(crate) oldest: Option<Lsn>,
    bytes: usize,
}

/// One set or removed vector.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) stamp: Stamp,
    pub(crate) vector: Option<Box<[f32]>>,
}

impl Change {
    fn bytes(&self, key: &Bytes) -> usize {
        let numbers = self.vector.as_ref().map_or(0, |vector| vector.len());
        CHANGE_OVERHEAD_BYTES + key.len() + numbers * size_of::<f32>()
    }
}

impl Changes {
    /// About how much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.dropped.len() * CHANGE_OVERHEAD_BYTES
    }

    /// Number of changed rows.
    pub(crate) fn len(&self) -> u64 {
        self.rows.values().map(|rows| rows.len() as u64).sum()
    }

    pub(crate) fn record(&mut self, index: IndexId, key: Bytes, change: Change) {
        self.oldest.get_or_insert(change.stamp.lsn);
        self.bytes += change.bytes(&key);
        let rows = self.rows.entry(index).or_default();
        if let Some(old) = rows.get(&key) {
            self.bytes -= old.bytes(&key);
        }
        rows.insert(key, change);
    }

    pub(crate) fn drop_index(&mut self, lsn: Lsn, index: IndexId) {
        self.oldest.get_or_insert(lsn);
        self.dropped.insert(index);
        for (key, change) in self.rows.remove(&index).unwrap_or_default() {
            self.bytes -= change.bytes(&key);
        }
    }
}
