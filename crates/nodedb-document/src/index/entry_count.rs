//! How many entries an index has.

use crate::{
    Direction, DocumentEngine, DocumentError, ReadAt, row_key::field_prefix, row_range::RowRange,
};
use bytes::Bytes;
use nodedb_types::{CollectionId, IndexId, Lsn, TenantId};

/// A count of the entries of one index on its way, in slices, so that other work gets its turn.
#[derive(Clone, Debug)]
pub struct EntryCount {
    tenant: TenantId,
    collection: CollectionId,
    index: IndexId,
    snapshot: Lsn,
    /// The row that the last slice ended with.
    last: Option<Bytes>,
    entries: u64,
}

/// Rows that one slice looks at, those of entries that were taken off counted. They have no values, and keys and indexed values are short.
const SLICE_ROWS: usize = 4096;

impl EntryCount {
    /// The entries of an index as of an open snapshot.
    pub const fn new(
        tenant: TenantId,
        collection: CollectionId,
        index: IndexId,
        snapshot: Lsn,
    ) -> Self {
        Self { tenant, collection, index, snapshot, last: None, entries: 0 }
    }
}

impl DocumentEngine {
    /// Goes on with a count of entries by one slice. Answers the number once all are counted; those of
    /// documents that have expired count until they are deleted.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn count_entries(&self, count: &mut EntryCount) -> Result<Option<u64>, DocumentError> {
        if self.dropped.has_index(count.collection, count.index) {
            return Ok(Some(0));
        }
        let prefix = field_prefix(count.tenant, count.collection, count.index);
        let mut range = RowRange::prefix(prefix);
        if let Some(last) = count.last.take() {
            range = range.past(last, Direction::Ascending);
        }
        let at = ReadAt::Snapshot(count.snapshot);
        let rows = self.rows(&range, Direction::Ascending, at)?;
        for (looked_at, row) in (1..).zip(rows) {
            let (row, stored) = row?;
            // Of entries that were taken off, or are newer than the snapshot, there is only the key.
            count.entries += u64::from(stored.is_some());
            if looked_at == SLICE_ROWS {
                count.last = Some(row);
                return Ok(None);
            }
        }
        Ok(Some(count.entries))
    }
}
