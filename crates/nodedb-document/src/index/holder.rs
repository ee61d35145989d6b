//! Holders of values.

use crate::{
    Direction, DocumentEngine, DocumentError, Place, ReadAt, row_key::field_prefix,
    row_range::RowRange,
};
use bytes::Bytes;
use nodedb_types::IndexId;

impl DocumentEngine {
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
