//! What changed since the last freeze.

use crate::{definition::Definition, part::PartId};
use bytes::Bytes;
use nodedb_types::{IndexId, Lsn, Stamp};
use roaring::RoaringBitmap;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Bookkeeping per change, about.
const CHANGE_OVERHEAD_BYTES: usize = 96;

/// The changes since the last freeze, newest per key. Vectors are copied out of the head, which goes
/// on changing while the maintenance thread writes: until its flush a new vector takes memory twice.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Indexes that are new.
    pub(crate) created: BTreeMap<IndexId, Definition>,
    /// Indexes that are gone, with whatever files say of them. Their numbers never come again.
    pub(crate) dropped: BTreeSet<IndexId>,
    /// What was set or removed in heads and in what is set aside of them, by index.
    pub(crate) rows: BTreeMap<IndexId, Rows>,
    /// Segments of which rows have died.
    pub(crate) died: BTreeSet<(IndexId, PartId)>,
    /// First record among them, also of what a later one took back.
    pub(crate) oldest: Option<Lsn>,
}

/// The changed rows of an index.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) by_key: BTreeMap<Bytes, Change>,
    bytes: usize,
}

/// What was to be written of an index that is gone, to be dropped where it takes nobody's time.
pub(crate) type DroppedRows = Option<Rows>;

/// One set or removed vector.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) stamp: Stamp,
    pub(crate) vector: Option<Box<[f32]>>,
}

/// The dead rows of a segment as of a freeze.
pub(crate) type Dead = BTreeMap<(IndexId, PartId), Arc<RoaringBitmap>>;

impl Change {
    fn bytes(&self, key: &Bytes) -> usize {
        let numbers = self.vector.as_ref().map_or(0, |vector| vector.len());
        CHANGE_OVERHEAD_BYTES + key.len() + numbers * size_of::<f32>()
    }
}

impl Changes {
    /// About how much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        let lists = self.created.len() + self.dropped.len() + self.died.len();
        let rows: usize = self.rows.values().map(|rows| rows.bytes).sum();
        rows + lists * CHANGE_OVERHEAD_BYTES
    }

    /// Number of changed rows.
    pub(crate) fn len(&self) -> u64 {
        self.rows.values().map(|rows| rows.by_key.len() as u64).sum()
    }

    pub(crate) fn record(&mut self, index: IndexId, key: Bytes, change: Change) {
        self.oldest.get_or_insert(change.stamp.lsn);
        let rows = self.rows.entry(index).or_default();
        rows.bytes += change.bytes(&key);
        if let Some(old) = rows.by_key.get(&key) {
            rows.bytes -= old.bytes(&key);
        }
        rows.by_key.insert(key, change);
    }

    /// A row of a segment has died.
    pub(crate) fn record_death(&mut self, lsn: Lsn, index: IndexId, segment: PartId) {
        self.oldest.get_or_insert(lsn);
        self.died.insert((index, segment));
    }

    pub(crate) fn create_index(&mut self, lsn: Lsn, index: IndexId, definition: Definition) {
        self.oldest.get_or_insert(lsn);
        self.created.insert(index, definition);
    }

    pub(crate) fn drop_index(&mut self, lsn: Lsn, index: IndexId) -> DroppedRows {
        self.oldest.get_or_insert(lsn);
        self.created.remove(&index);
        self.dropped.insert(index);
        self.died.retain(|(of, _)| *of != index);
        self.rows.remove(&index)
    }
}
