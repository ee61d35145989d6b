//! Holders of values.

use crate::{
    Direction, DocumentEngine, DocumentError, Place, ReadAt, allowance::Allowance,
    row_key::field_prefix, row_range::RowRange,
};
use bytes::Bytes;
use nodedb_types::IndexId;

/// Most entries of a value that are looked at, nearly all of which are of documents that have given it up.
const HOLDERS_MAX: usize = 65_536;

impl DocumentEngine {
    /// A key besides this one that an index has under a value, as of what is applied, and that is not
    /// to be passed over.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`]; [`DocumentError::Crowded`] where more than 65,536 documents have had
    /// the value since the tables were last merged.
    pub fn holder(
        &self,
        place: &Place<'_>,
        index: IndexId,
        value: &[u8],
        pass_over: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Bytes>, DocumentError> {
        if self.dropped.has_index(place.collection, index) {
            return Ok(None);
        }
        let mut head = field_prefix(place.tenant, place.collection, index);
        head.extend_from_slice(value);
        let length = head.len();
        let mut allowance = Allowance::new(HOLDERS_MAX, usize::MAX, self.clock());
        for row in self.rows(&RowRange::prefix(head), Direction::Ascending, ReadAt::Latest)? {
            let (row, stored) = row?;
            if !allowance.take(row.len()) {
                return Err(DocumentError::Crowded { limit: HOLDERS_MAX });
            }
            if stored.is_none() {
                continue;
            }
            let key = row.slice(length..);
            if key != place.key && !pass_over(&key) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}
