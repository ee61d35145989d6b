//! CRDT documents: live ones in memory, their updates and snapshots as rows of the store.

use super::{
    Vshard,
    read::{Ready, place},
};
use crate::{DataError, Exported, Outcome, Row};
use bytes::Bytes;
use nodedb_crdt::{CrdtDocument, CrdtKey};
use nodedb_document::{Place, ReadAt};
use nodedb_engine::{CollectionKind, CrdtRows, Redo};
use nodedb_types::limits;

/// Update rows of a document at which they are replaced by a snapshot.
const UPDATES_MAX: usize = 64;
/// Bytes of update rows at which they are, if that is more than half of the snapshot.
const UPDATE_BYTES_MAX: usize = 64 << 10;

/// Bytes of a document's stored rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowBytes {
    snapshot: usize,
    updates: usize,
}

/// A merge that went well on the live document and is not logged yet.
#[derive(Debug)]
pub(crate) struct Merge {
    pub(crate) key: CrdtKey,
    /// What to log; empty if the document had everything already.
    pub(crate) redos: Vec<Redo>,
    /// The rows' bytes after it.
    bytes: RowBytes,
}

impl Vshard {
    /// Tries an update on the live document. If the redo is then not logged, the caller must call
    /// [`Vshard::forget_document`]: the live one is ahead of the log.
    ///
    /// `redo_bytes_max` is what the log takes at once; a compaction that does not fit is left for
    /// later.
    pub(crate) fn merge(
        &mut self,
        key: CrdtKey,
        update: Bytes,
        redo_bytes_max: usize,
    ) -> Result<Merge, DataError> {
        self.check_crdt(&key, "merges")?;
        let rows = self.rows(&key)?.map(|(_, rows)| rows).unwrap_or_default();
        self.bring_to_life(&key, &rows)?;
        let mut bytes = self.row_bytes(&key, &rows)?;
        let full = rows.updates.len() >= UPDATES_MAX
            || bytes.updates > UPDATE_BYTES_MAX.max(bytes.snapshot / 2);
        let imported = self.import(&key, &update, full)?;
        let Some(imported) = imported else {
            return Ok(Merge { key, redos: Vec::new(), bytes });
        };
        let slack = 4096 + key.key.len() * 2 + rows.updates.len() * 8;
        let room = redo_bytes_max.saturating_sub(update.len() + slack);
        let fits = |snapshot: &Vec<u8>| snapshot.len() <= room.min(limits::VALUE_BYTES_MAX);
        let mut redos = Vec::new();
        let mut earlier = rows;
        if let Some(snapshot) = imported.snapshot.filter(fits) {
            bytes = RowBytes { snapshot: snapshot.len(), updates: 0 };
            redos.push(Redo::CrdtSnapshot {
                collection: key.collection,
                key: key.key.clone(),
                snapshot: snapshot.into(),
                replaced: earlier,
            });
            earlier = CrdtRows { snapshot: true, updates: Vec::new() };
        }
        bytes.updates += update.len();
        redos.push(Redo::CrdtMerge {
            collection: key.collection,
            key: key.key.clone(),
            update,
            earlier,
        });
        Ok(Merge { key, redos, bytes })
    }

    /// Takes note that a merge was logged and applied.
    pub(crate) fn merged(&mut self, merge: &Merge) {
        if let Some(applied) = self.applied {
            self.crdt.changed(&merge.key, applied);
        }
        if self.crdt_rows.len() > 4 * self.crdt.len().max(64) {
            // Mostly of documents that are not live any more; what is missing is counted again.
            self.crdt_rows.clear();
        }
        self.crdt_rows.insert(merge.key.clone(), merge.bytes);
    }

    /// Lets a live document go; the next use builds it from its rows.
    pub(crate) fn forget_document(&mut self, key: &CrdtKey) {
        self.crdt.evict(key);
        self.crdt_rows.remove(key);
    }

    /// Lets every live document go that holds what a poisoned log may lose.
    pub(crate) fn forget_undurable(&mut self, durable: Option<nodedb_types::Lsn>) {
        self.crdt.evict_since(durable);
        self.crdt_rows.clear();
    }

    /// What a replica lacks. Rests on everything applied here.
    pub(crate) fn export(
        &mut self,
        key: &CrdtKey,
        since: Option<&[u8]>,
    ) -> Result<Ready, DataError> {
        self.check_crdt(key, "exports")?;
        let Some((stamp, rows)) = self.rows(key)? else {
            return Ok((Outcome::Exported(None), self.all_durable()));
        };
        let document = self.bring_to_life(key, &rows)?;
        let update = match since {
            None => document.export_all()?,
            Some(version) => document.export_since(version)?,
        };
        let exported = Exported { stamp, update: update.into(), version: document.version()? };
        Ok((Outcome::Exported(Some(exported)), self.all_durable()))
    }

    /// The JSON value of a document.
    pub(super) fn crdt_value(&mut self, key: &CrdtKey) -> Result<Option<Row>, DataError> {
        let Some((stamp, rows)) = self.rows(key)? else {
            return Ok(None);
        };
        let value = self.bring_to_life(key, &rows)?.value_json()?.into();
        Ok(Some(Row { key: key.key.clone(), stamp, value }))
    }

    /// Builds a document as of a position, beside the live ones.
    pub(super) fn build_document(
        &self,
        place: &Place<'_>,
        at: ReadAt,
    ) -> Result<Option<CrdtDocument>, DataError> {
        let documents = &self.engines.documents;
        let failed = DataError::document(self.id);
        let Some((_, rows)) = documents.crdt_rows(place, at).map_err(&failed)? else {
            return Ok(None);
        };
        let (snapshot, updates) = documents.crdt_blobs(place, &rows, at).map_err(&failed)?;
        let updates = updates.iter().map(|update| &**update);
        Ok(Some(CrdtDocument::load(snapshot.as_deref(), updates)?))
    }

    fn check_crdt(&self, key: &CrdtKey, operation: &'static str) -> Result<(), DataError> {
        let kind = self.collection(key.tenant, key.collection)?.kind;
        if kind == CollectionKind::Crdt {
            return Ok(());
        }
        let kind = kind.name();
        Err(DataError::WrongKind { kind, operation })
    }

    fn rows(&self, key: &CrdtKey) -> Result<Option<(nodedb_types::Stamp, CrdtRows)>, DataError> {
        let rows = self.engines.documents.crdt_rows(&place(key), ReadAt::Latest);
        rows.map_err(DataError::document(self.id))
    }

    /// The live document, built from its rows if it is not in memory.
    fn bring_to_life(
        &mut self,
        key: &CrdtKey,
        rows: &CrdtRows,
    ) -> Result<&mut CrdtDocument, DataError> {
        if self.crdt.get(key).is_none() {
            let (snapshot, updates) = self.blobs(key, rows)?;
            let updates = updates.iter().map(|update| &**update);
            let document = CrdtDocument::load(snapshot.as_deref(), updates)?;
            self.crdt.insert(key.clone(), document);
        }
        let lost = nodedb_crdt::CrdtError::Panicked { action: "loading" };
        self.crdt.get(key).ok_or(DataError::Crdt(lost))
    }

    fn blobs(
        &self,
        key: &CrdtKey,
        rows: &CrdtRows,
    ) -> Result<(Option<Bytes>, Vec<Bytes>), DataError> {
        let documents = &self.engines.documents;
        let blobs = documents.crdt_blobs(&place(key), rows, ReadAt::Latest);
        blobs.map_err(DataError::document(self.id))
    }

    fn row_bytes(&self, key: &CrdtKey, rows: &CrdtRows) -> Result<RowBytes, DataError> {
        if let Some(known) = self.crdt_rows.get(key) {
            return Ok(*known);
        }
        let (snapshot, updates) = self.blobs(key, rows)?;
        Ok(RowBytes {
            snapshot: snapshot.map_or(0, |snapshot| snapshot.len()),
            updates: updates.iter().map(Bytes::len).sum(),
        })
    }

    /// Imports into the live document. `None` if that changed nothing.
    fn import(
        &mut self,
        key: &CrdtKey,
        update: &[u8],
        full: bool,
    ) -> Result<Option<Import>, DataError> {
        let Some(document) = self.crdt.get(key) else {
            return Ok(None);
        };
        // Before the import: the snapshot replaces exactly the rows that are there, and the update
        // stays a record of its own for whoever follows the log.
        let snapshot = if full { Some(document.snapshot()?) } else { None };
        match document.import(update) {
            Ok(imported) => Ok(imported.changed.then_some(Import { snapshot })),
            Err(error) => {
                // It may have failed for good; the next use builds it anew.
                self.forget_document(key);
                Err(error.into())
            }
        }
    }
}

/// What an import leaves for the log.
struct Import {
    snapshot: Option<Vec<u8>>,
}
