//! Entries of documents that were there before their index, and holders of values.

use super::{FieldValue, field_values};
use crate::{
    Direction, DocumentEngine, DocumentError, Place, ReadAt, ScanRange, row_key::field_prefix,
    row_range::RowRange,
};
use bytes::Bytes;
use nodedb_engine::{FieldIndex, IndexEntry, IndexRow};
use nodedb_types::IndexId;
use std::collections::BTreeMap;

/// Entries of some documents of a collection.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexPage {
    /// The entries, by ascending key; fewer than documents were looked at.
    pub rows: Vec<IndexRow>,
    /// The `after` of the range of the next page, or `None` if there are no more documents.
    pub next: Option<Bytes>,
}

impl DocumentEngine {
    /// The entries of the next documents of a collection in an index that is being built, as of what is
    /// applied. They must be logged before anything else is applied.
    ///
    /// # Errors
    /// [`DocumentError::NotUnique`] or [`DocumentError::ValueTooLong`] if the index is unique and cannot
    /// be built; as [`DocumentEngine::get`].
    pub fn index_rows(
        &self,
        range: &ScanRange,
        index: &FieldIndex,
    ) -> Result<IndexPage, DocumentError> {
        let documents = self.scan(range, ReadAt::Latest)?;
        let mut rows = Vec::with_capacity(documents.rows.len());
        let mut taken = BTreeMap::new();
        for (key, stored) in documents.rows {
            let values = field_values(std::slice::from_ref(index), &stored.value)?;
            let Some(FieldValue { value: Some(value), .. }) = values.into_iter().next() else {
                continue;
            };
            if index.unique {
                let place = Place { tenant: range.tenant, collection: range.collection, key: &key };
                let before = taken.insert(value.clone(), key.clone());
                // One that has expired is on its way out; its delete takes its entry along.
                let expired = |key: &[u8]| {
                    matches!(self.get(&Place { key, ..place }, ReadAt::Latest), Ok(None))
                };
                let other = self.holder(&place, index.id, &value, expired)?;
                if let Some(other) = before.or(other) {
                    let path = index.path.clone();
                    return Err(DocumentError::NotUnique { path, key: other });
                }
            }
            rows.push(IndexRow { key, entry: IndexEntry::Field(value) });
        }
        Ok(IndexPage { rows, next: documents.next })
    }

    /// A key besides this one that an index has under a value, as of what is applied, and that is not
    /// to be passed over.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn holder(
        &self,
        place: &Place<'_>,
        index: IndexId,
        value: &[u8],
        pass_over: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Bytes>, DocumentError> {
        if self.dropped.indexes.contains(&index)
            || self.dropped.collections.contains(&place.collection)
        {
            return Ok(None);
        }
        let mut head = field_prefix(place.tenant, place.collection, index);
        head.extend_from_slice(value);
        let length = head.len();
        for row in self.rows(&RowRange::prefix(head), Direction::Ascending, ReadAt::Latest)? {
            let (row, _) = row?;
            let key = row.slice(length..);
            if key != place.key && !pass_over(&key) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}
