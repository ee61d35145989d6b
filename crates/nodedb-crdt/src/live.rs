//! A live document with the rows that it is stored in.

use crate::{CrdtDocument, CrdtError, CrdtLimits, Imported, inspect::weigh, rows::Rows};
use bytes::Bytes;

/// A live document with the rows that it is stored in.
///
/// An import takes a row of its own, so that it costs what the update costs. Every 64 imports the
/// latest rows are packed into one: as many of them as are not much larger than what follows them. So
/// their number grows with the logarithm of the history, a byte is written again only a few times, and
/// the whole document is written as a snapshot once the updates exceed half of the last one.
#[derive(Debug)]
pub struct LiveDocument {
    document: CrdtDocument,
    rows: Rows,
}

/// A row to be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredRow {
    /// Which slot takes it.
    pub slot: u8,
    /// What to store: an update, or a full snapshot.
    pub blob: Bytes,
    /// The slots that make up the document from now on.
    pub slots: Vec<u8>,
    /// Slots below this one may have been written since the document began.
    pub used: u8,
    /// Slots of replaced rows that are worth removing at once.
    pub freed: Vec<u8>,
}

impl LiveDocument {
    /// An empty document without rows.
    pub fn new() -> Self {
        Self { document: CrdtDocument::new(), rows: Rows::default() }
    }

    /// Builds a document from its rows, in the order in which they are listed.
    ///
    /// # Errors
    /// [`CrdtError::Corrupt`] names the row that is damaged or lacks what it builds on,
    /// [`CrdtError::Panicked`] if loro did.
    pub fn load(
        used: u8,
        rows: impl Iterator<Item = (u8, impl AsRef<[u8]>)>,
    ) -> Result<Self, CrdtError> {
        let mut live = Self { document: CrdtDocument::new(), rows: Rows::used(used) };
        for (slot, blob) in rows {
            let blob = blob.as_ref();
            let imported = live.document.import_row(slot, blob)?;
            live.rows.push(slot, blob.len(), imported.begin, imported.weight);
        }
        live.rows.loaded();
        Ok(live)
    }

    /// The document.
    pub const fn document(&self) -> &CrdtDocument {
        &self.document
    }

    /// Imports an update into a row of its own, which is to be logged. `None` if it brought nothing
    /// new: nothing changed then.
    ///
    /// # Errors
    /// As [`CrdtDocument::import_within`]; [`CrdtError::DocumentTooLarge`] before anything is imported.
    pub fn import(
        &mut self,
        update: &Bytes,
        limits: &CrdtLimits,
    ) -> Result<Option<StoredRow>, CrdtError> {
        limits.check_update(update.len())?;
        let slot = self.room(update.len(), limits)?;
        let imported = self.document.import_within(update, limits)?;
        if !imported.changed {
            return Ok(None);
        }
        let blob = imported.stored.unwrap_or_else(|| update.clone());
        self.rows.push(slot, blob.len(), imported.begin, imported.weight);
        Ok(Some(self.stored(slot, blob, Vec::new())))
    }

    /// Imports updates that came together into one row, which is to be logged. `None` if they must be
    /// imported one by one: nothing changed then.
    ///
    /// # Errors
    /// As [`LiveDocument::import`], after which they may be imported one by one, too: it does not tell
    /// which of them is refused.
    pub fn import_together(
        &mut self,
        updates: &[Bytes],
        limits: &CrdtLimits,
    ) -> Result<Option<StoredRow>, CrdtError> {
        let slot = self.room(updates.iter().map(Bytes::len).sum(), limits)?;
        let imported = self.document.import_together(updates, limits)?;
        let Some(Imported { changed: true, begin, stored: Some(blob), weight }) = imported else {
            return Ok(None);
        };
        self.rows.push(slot, blob.len(), begin, weight);
        Ok(Some(self.stored(slot, blob, Vec::new())))
    }

    /// The slot of another row of so many bytes.
    fn room(&self, bytes: usize, limits: &CrdtLimits) -> Result<u8, CrdtError> {
        let taken = self.rows.bytes();
        limits.check_document(taken.saturating_add(bytes))?;
        let full = CrdtError::DocumentTooLarge { bytes: taken, limit: taken };
        self.rows.free_slot().ok_or(full)
    }

    /// Packs the latest rows into one of at most `bytes_max` bytes, which is to be logged. `None` if
    /// that is not worth it yet.
    ///
    /// # Errors
    /// [`CrdtError::Panicked`] if loro did.
    pub fn pack(&mut self, bytes_max: usize) -> Result<Option<StoredRow>, CrdtError> {
        let Some(first) = self.rows.due() else {
            return Ok(None);
        };
        let blob = if first == 0 {
            self.document.snapshot()
        } else {
            self.document.export_from(&self.rows.begin_of(first))
        };
        let blob = match blob {
            Ok(blob) => Some(blob).filter(|blob| blob.len() <= bytes_max),
            // The rows stay as they are: they load.
            Err(CrdtError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        let (Some(slot), Some(blob)) = (self.rows.free_slot(), blob) else {
            self.rows.postpone();
            return Ok(None);
        };
        // Packed, operations that follow each other are one, and names are named once.
        let freed = self.rows.replace(first, slot, blob.len(), weigh(&blob));
        self.document.set_weight(self.rows.weight());
        Ok(Some(self.stored(slot, blob.into(), freed)))
    }

    /// About how much memory it takes, in bytes.
    pub fn estimated_bytes(&self) -> usize {
        self.document.estimated_bytes() + self.rows.memory_bytes()
    }

    fn stored(&self, slot: u8, blob: Bytes, freed: Vec<u8>) -> StoredRow {
        StoredRow { slot, blob, slots: self.rows.slots(), used: self.rows.used_slots(), freed }
    }
}

impl Default for LiveDocument {
    fn default() -> Self {
        Self::new()
    }
}
