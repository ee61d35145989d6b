//! How much the indexes of a collection hold.

use super::Vshard;
use crate::{DataError, IndexStatistics};
use nodedb_document::index::EntryCount;
use nodedb_types::{CollectionId, IndexId, Lsn, TenantId};

/// Statistics of the indexes of a collection under way; entries are counted in slices, so that other
/// requests get their turn.
#[derive(Debug)]
pub(crate) struct IndexCount {
    tenant: TenantId,
    collection: CollectionId,
    snapshot: Lsn,
    /// What is being counted; `None` before the first slice and after the last.
    counting: Option<(IndexId, EntryCount)>,
    counted: Vec<IndexStatistics>,
}

impl IndexCount {
    pub(crate) const fn new(tenant: TenantId, collection: CollectionId, snapshot: Lsn) -> Self {
        Self { tenant, collection, snapshot, counting: None, counted: Vec::new() }
    }
}

impl Vshard {
    /// Goes on by one slice. Answers the result, in the order of the ids, once it is complete. An index
    /// that is created meanwhile is counted too if its id comes behind.
    pub(crate) fn count_indexes(
        &self,
        count: &mut IndexCount,
    ) -> Result<Option<Vec<IndexStatistics>>, DataError> {
        let definition = self.collection(count.tenant, count.collection)?;
        if let Some((index, mut entries)) = count.counting.take() {
            let counted = self.engines.documents.count_entries(&mut entries);
            match counted.map_err(DataError::document(self.id))? {
                None => count.counting = Some((index, entries)),
                Some(entries) => {
                    count.counted.push(IndexStatistics { index, entries, segments: 0 });
                }
            }
            return Ok(None);
        }
        let last = count.counted.last().map(|counted| counted.index);
        let Some(next) = definition.index_ids().filter(|id| Some(*id) > last).min() else {
            return Ok(Some(std::mem::take(&mut count.counted)));
        };
        if definition.vectors.iter().any(|vector| vector.id == next) {
            count.counted.push(self.vector_statistics(next));
        } else {
            let entries = EntryCount::new(count.tenant, count.collection, next, count.snapshot);
            count.counting = Some((next, entries));
        }
        Ok(None)
    }

    /// How much a vector index holds.
    pub(super) fn vector_statistics(&self, index: IndexId) -> IndexStatistics {
        let vectors = &self.engines.vectors;
        let entries = vectors.len(index) as u64;
        IndexStatistics { index, entries, segments: vectors.segments(index) as u64 }
    }
}
