//! One slice of building an index over documents that were there before it.

use super::Vshard;
use crate::{BuildSlice, DataError, EntryError, entries::entry_of};
use bytes::Bytes;
use nodedb_document::{Place, ReadAt, ScanRange};
use nodedb_engine::{Index, IndexEntry, IndexRow, IndexState, Redo};
use nodedb_types::TenantId;

/// Most documents that one turn reads.
const SLICE_ROWS_MAX: usize = 512;
/// About the most bytes of documents that one turn reads, and of entries that it logs: a request of
/// somebody else waits for no longer than reading them takes.
const SLICE_BYTES_MAX: usize = 256 << 10;
/// Room that a record of entries takes in the log besides them.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// A slice that is ready to be logged.
#[derive(Debug)]
pub(crate) struct DraftSlice {
    /// The entries; nothing if none of the documents has one.
    pub(crate) redo: Option<Redo>,
    /// Documents looked at.
    pub(crate) documents: u64,
    /// The last of them; `None` if there are no more.
    pub(crate) next: Option<Bytes>,
}

impl Vshard {
    /// Makes the entries of the next documents, as they are now. Logged in the same turn, each entry is
    /// of its document's newest version, whatever was written since the build began (protocol rule
    /// P12).
    pub(crate) fn build(
        &self,
        tenant: TenantId,
        slice: &BuildSlice,
        log_bytes_max: usize,
    ) -> Result<DraftSlice, DataError> {
        let schema = self.collection(tenant, slice.collection)?;
        let wrong = DataError::WrongIndex { collection: schema.id, index: slice.index };
        let index = schema.index(slice.index).ok_or(wrong)?;
        if index.state() == IndexState::Ready {
            return Ok(DraftSlice { redo: None, documents: 0, next: None });
        }
        let range = ScanRange {
            after: slice.after.clone(),
            limit_rows: SLICE_ROWS_MAX,
            limit_bytes: SLICE_BYTES_MAX,
            ..ScanRange::all(tenant, schema.id)
        };
        let page = self.engines.documents.scan(&range, ReadAt::Latest);
        let page = page.map_err(DataError::document(self.id))?;
        let mut rows = SliceRows::new(index.over(), log_bytes_max);
        let mut documents = 0;
        let mut last = None;
        for (key, stored) in page.rows {
            let unindexable = |error| DataError::unindexable(&key, error);
            let entry = entry_of(&index, &stored.value).map_err(unindexable)?;
            if let Some(entry) = &entry {
                let place = Place { tenant, collection: slice.collection, key: &key };
                self.check_holder(&place, &index, entry, &rows)?;
            }
            if let Some(entry) = entry
                && !rows.push(&key, entry).map_err(unindexable)?
            {
                // It goes first in the next slice.
                let redo = rows.redo(slice);
                return Ok(DraftSlice { redo, documents, next: last });
            }
            documents += 1;
            last = Some(key);
        }
        Ok(DraftSlice { redo: rows.redo(slice), documents, next: page.next })
    }

    /// Checks that no other document has the value of an entry of a unique index: neither one of an
    /// earlier slice or of a write since, nor one of this slice.
    fn check_holder(
        &self,
        place: &Place<'_>,
        index: &Index,
        entry: &IndexEntry,
        rows: &SliceRows<'_>,
    ) -> Result<(), DataError> {
        let (Index::Field(index), IndexEntry::Field(value)) = (index, entry) else {
            return Ok(());
        };
        if !index.unique {
            return Ok(());
        }
        // An expired document that awaits the sweeper holds nothing; its delete takes its entry along.
        let documents = &self.engines.documents;
        let expired = |key: &[u8]| {
            matches!(documents.get(&Place { key, ..*place }, ReadAt::Latest), Ok(None))
        };
        let holder = documents.holder(place, index.id, value, expired);
        let holder = holder.map_err(DataError::document(self.id))?;
        match holder.or_else(|| rows.holder(value)) {
            Some(other) => Err(DataError::NotUnique { path: index.path.clone(), key: other }),
            None => Ok(()),
        }
    }
}

/// The entries of a slice, as many as one record takes.
struct SliceRows<'a> {
    field: &'a str,
    rows: Vec<IndexRow>,
    bytes: usize,
    log_bytes_max: usize,
}

impl<'a> SliceRows<'a> {
    const fn new(field: &'a str, log_bytes_max: usize) -> Self {
        Self { field, rows: Vec::new(), bytes: RECORD_OVERHEAD_BYTES, log_bytes_max }
    }

    /// Adds an entry; `false` if it is one for the next slice.
    fn push(&mut self, key: &Bytes, entry: IndexEntry) -> Result<bool, EntryError> {
        let entry_bytes = match &entry {
            IndexEntry::Vector(vector) => vector.len() * size_of::<f32>(),
            IndexEntry::Field(value) => value.len(),
        };
        let bytes = entry_bytes + key.len() + RECORD_OVERHEAD_BYTES;
        let limit = self.log_bytes_max;
        if RECORD_OVERHEAD_BYTES + bytes > limit {
            let field = self.field.to_owned();
            return Err(EntryError::TooLong { field, bytes, limit });
        }
        if !self.rows.is_empty() && self.bytes + bytes > limit.min(SLICE_BYTES_MAX) {
            return Ok(false);
        }
        self.bytes += bytes;
        self.rows.push(IndexRow { key: key.clone(), entry });
        Ok(true)
    }

    /// The key that has a value of a unique index in this slice.
    fn holder(&self, value: &Bytes) -> Option<Bytes> {
        let same =
            |row: &&IndexRow| matches!(&row.entry, IndexEntry::Field(other) if other == value);
        self.rows.iter().find(same).map(|row| row.key.clone())
    }

    fn redo(self, slice: &BuildSlice) -> Option<Redo> {
        let BuildSlice { collection, index, .. } = *slice;
        let rows = self.rows;
        (!rows.is_empty()).then_some(Redo::IndexRows { collection, index, rows })
    }
}
