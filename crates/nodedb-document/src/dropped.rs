//! What is gone for ever.

use crate::row_key::{collection_of, index_of};
use nodedb_types::{CollectionId, IndexId};
use std::collections::BTreeSet;

/// Dropped collections and field indexes. Their ids are never used again, so their rows are never
/// shown again and merging leaves them out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// Collections, with all of their rows.
    pub collections: BTreeSet<CollectionId>,
    /// Field indexes of collections that are still there.
    pub indexes: BTreeSet<IndexId>,
}

impl Dropped {
    /// Whether an index is gone, by itself or with its collection.
    pub fn has_index(&self, collection: CollectionId, index: IndexId) -> bool {
        self.indexes.contains(&index) || self.collections.contains(&collection)
    }

    /// Whether a stored row is of something dropped, by its key.
    pub fn has(&self, row: &[u8]) -> bool {
        collection_of(row).is_some_and(|id| self.collections.contains(&id))
            || (!self.indexes.is_empty()
                && index_of(row).is_some_and(|id| self.indexes.contains(&id)))
    }
}
