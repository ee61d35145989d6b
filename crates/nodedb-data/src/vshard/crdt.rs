//! CRDT documents: live ones in memory, their updates and snapshots as rows of the store.

use super::{
    Vshard,
    read::{Ready, place},
};
use crate::{DataError, Exported, Outcome, Row};
use bytes::Bytes;
use nodedb_crdt::{CrdtDocument, CrdtError, CrdtKey, LiveDocument, Quarantined, StoredRow};
use nodedb_document::{Place, ReadAt};
use nodedb_engine::{CollectionKind, CrdtRows, Redo};
use nodedb_types::{Stamp, limits};
use std::time::Duration;

/// What a record of a row takes beside its key and blob, at most.
const RECORD_SLACK: usize = 1024;

/// A merge that went well on the live document and is not logged yet.
#[derive(Debug)]
pub(crate) struct Merge {
    pub(crate) key: CrdtKey,
    /// What to log, as one group; empty if the document had everything already.
    pub(crate) redos: Vec<Redo>,
}

impl Vshard {
    /// Tries an update on the live document. If the redo is then not logged, the caller must call
    /// [`Vshard::forget_document`]: the live one is ahead of the log.
    ///
    /// `redo_bytes_max` is what the log takes at once; packing that does not fit is left for later.
    /// `now` is the time since 1970.
    pub(crate) fn merge(
        &mut self,
        key: CrdtKey,
        update: &Bytes,
        redo_bytes_max: usize,
        now: Duration,
    ) -> Result<Merge, DataError> {
        self.check_crdt(&key, "merges")?;
        if let Some(digest) = self.quarantine.holds(&key, update) {
            return Err(CrdtError::Quarantined { digest }.into());
        }
        let limits = self.crdt_limits;
        let document = self.bring_to_life(&key)?;
        let row = match import(document, update, &limits) {
            Ok(Some(row)) => row,
            Ok(None) => {
                self.crdt.used(&key);
                return Ok(Merge { key, redos: Vec::new() });
            }
            Err(error) => {
                self.crdt.used(&key);
                if let CrdtError::Panicked { message, .. } = &error {
                    // The next use builds it from its rows, which know nothing of the update.
                    self.forget_document(&key);
                    self.quarantine.add(key, update.clone(), message.clone(), now);
                }
                return Err(error.into());
            }
        };
        self.drafted(key, row, redo_bytes_max)
    }

    /// As [`Vshard::merge`] of updates that came together. `None` if they must be tried one by one: then
    /// nothing of them is in memory.
    pub(crate) fn merge_together(
        &mut self,
        key: &CrdtKey,
        updates: &[Bytes],
        redo_bytes_max: usize,
    ) -> Option<Merge> {
        self.check_crdt(key, "merges").ok()?;
        if self.quarantine.is_kept_alone(key)
            || updates.iter().any(|update| self.quarantine.holds(key, update).is_some())
        {
            return None;
        }
        let limits = self.crdt_limits;
        let document = self.bring_to_life(key).ok()?;
        match import_together(document, updates, &limits) {
            Ok(row) => self.drafted(key.clone(), row?, redo_bytes_max).ok(),
            Err(error) => {
                if matches!(error, CrdtError::Panicked { .. }) {
                    self.forget_document(key);
                    self.quarantine.keep_alone(key.clone());
                }
                None
            }
        }
    }

    /// What to log for a row that was imported, and for packing if that is due.
    fn drafted(
        &mut self,
        key: CrdtKey,
        row: StoredRow,
        redo_bytes_max: usize,
    ) -> Result<Merge, DataError> {
        let taken = row.blob.len() + 2 * (key.key.len() + RECORD_SLACK);
        let room = redo_bytes_max.saturating_sub(taken).min(limits::VALUE_BYTES_MAX);
        match self.bring_to_life(&key)?.pack(room) {
            Ok(pack) => {
                let pack = pack.map(|row| packed(&key, row));
                let redos = [merged(&key, row)].into_iter().chain(pack).collect();
                Ok(Merge { key, redos })
            }
            Err(error) => {
                self.forget_document(&key);
                Err(error.into())
            }
        }
    }

    /// Takes note that a merge was logged and applied.
    pub(crate) fn merged(&mut self, merge: &Merge) {
        if let Some(applied) = self.applied {
            self.crdt.changed(&merge.key, applied);
        }
    }

    /// The updates that made the library fail, the oldest first.
    pub(crate) fn quarantined(&self) -> Vec<Quarantined> {
        self.quarantine.list()
    }

    /// Lets a live document go; the next use builds it from its rows.
    pub(crate) fn forget_document(&mut self, key: &CrdtKey) {
        self.crdt.evict(key);
    }

    /// Lets every live document go that holds what a poisoned log may lose.
    pub(crate) fn forget_undurable(&mut self, durable: Option<nodedb_types::Lsn>) {
        self.crdt.evict_since(durable);
    }

    /// What a replica lacks. Rests on everything applied here.
    pub(crate) fn export(
        &mut self,
        key: &CrdtKey,
        since: Option<&[u8]>,
    ) -> Result<Ready, DataError> {
        self.check_crdt(key, "exports")?;
        let Some((stamp, _)) = self.rows(key)? else {
            return Ok((Outcome::Exported(None), self.all_durable()));
        };
        let exported = self.read_document(key, |document| {
            let update = match since {
                None => document.export_all()?,
                Some(version) => document.export_since(version)?,
            };
            Ok(Exported { stamp, update: update.into(), version: document.version()? })
        })?;
        Ok((Outcome::Exported(Some(exported)), self.all_durable()))
    }

    /// The JSON value of a document.
    pub(super) fn crdt_value(&mut self, key: &CrdtKey) -> Result<Option<Row>, DataError> {
        let Some((stamp, _)) = self.rows(key)? else {
            return Ok(None);
        };
        let value = self.read_document(key, CrdtDocument::value_json)?.into();
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
        let blobs = documents.crdt_blobs(place, &rows, at).map_err(&failed)?;
        Ok(Some(CrdtDocument::load(blobs.iter())?))
    }

    fn check_crdt(&self, key: &CrdtKey, operation: &'static str) -> Result<(), DataError> {
        let kind = self.collection(key.tenant, key.collection)?.kind;
        if kind == CollectionKind::Crdt {
            return Ok(());
        }
        let kind = kind.name();
        Err(DataError::WrongKind { kind, operation })
    }

    fn rows(&self, key: &CrdtKey) -> Result<Option<(Stamp, CrdtRows)>, DataError> {
        let rows = self.engines.documents.crdt_rows(&place(key), ReadAt::Latest);
        rows.map_err(DataError::document(self.id))
    }

    /// Reads a live document. One that loro fails on is built from its rows at the next use.
    fn read_document<T>(
        &mut self,
        key: &CrdtKey,
        read: impl FnOnce(&CrdtDocument) -> Result<T, CrdtError>,
    ) -> Result<T, DataError> {
        let answer = read(self.bring_to_life(key)?.document());
        if matches!(answer, Err(CrdtError::Panicked { .. })) {
            self.forget_document(key);
        }
        self.crdt.used(key);
        Ok(answer?)
    }

    /// The live document, built from its rows if it is not in memory; an empty one if there are none.
    fn bring_to_life(&mut self, key: &CrdtKey) -> Result<&mut LiveDocument, DataError> {
        if self.crdt.get(key).is_none() {
            let rows = self.rows(key)?.map(|(_, rows)| rows).unwrap_or_default();
            let blobs = self.engines.documents.crdt_blobs(&place(key), &rows, ReadAt::Latest);
            let blobs = blobs.map_err(DataError::document(self.id))?;
            let rows = LiveDocument::load(rows.used, rows.slots.into_iter().zip(blobs))?;
            self.crdt.insert(key.clone(), rows);
        }
        let message = "it is not in memory".to_owned();
        let lost = CrdtError::Panicked { action: "loading", message };
        self.crdt.get(key).ok_or(DataError::Crdt(lost))
    }
}

fn import(
    document: &mut LiveDocument,
    update: &Bytes,
    limits: &nodedb_crdt::CrdtLimits,
) -> Result<Option<StoredRow>, CrdtError> {
    #[cfg(test)]
    crate::tests::planted_panic(document, update)?;
    document.import(update, limits)
}

fn import_together(
    document: &mut LiveDocument,
    updates: &[Bytes],
    limits: &nodedb_crdt::CrdtLimits,
) -> Result<Option<StoredRow>, CrdtError> {
    #[cfg(test)]
    crate::tests::planted_joint_panic(document, updates)?;
    document.import_together(updates, limits)
}

fn merged(key: &CrdtKey, row: StoredRow) -> Redo {
    assert!(row.freed.is_empty(), "an import replaces nothing");
    Redo::CrdtMerge {
        collection: key.collection,
        key: key.key.clone(),
        slot: row.slot,
        update: row.blob,
        rows: CrdtRows { slots: row.slots, used: row.used },
    }
}

fn packed(key: &CrdtKey, row: StoredRow) -> Redo {
    Redo::CrdtSnapshot {
        collection: key.collection,
        key: key.key.clone(),
        slot: row.slot,
        snapshot: row.blob,
        rows: CrdtRows { slots: row.slots, used: row.used },
        freed: row.freed,
    }
}
