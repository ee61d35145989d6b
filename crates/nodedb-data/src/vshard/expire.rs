//! Deletes of documents whose time has come (protocol rule P7).

use super::Vshard;
use crate::DataError;
use nodedb_document::Expiring;
use nodedb_engine::Redo;

impl Vshard {
    /// The first entries of the list of times that are due at a time of the commit clock. None is
    /// before the time at which the next is known to be due: else each slice would pass over everything
    /// that the slices before it took off the list.
    pub(crate) fn expiring(&self, now_ms: u64, limit: usize) -> Result<Vec<Expiring>, DataError> {
        let from = self.expires_next.unwrap_or(now_ms);
        let due = self.engines.documents.expiring(from..=now_ms, limit);
        due.map_err(DataError::document(self.id))
    }

    /// The delete of an entry's document; `None` if the document was written again, deleted or dropped
    /// since. As with a caller's delete, everything that an index holds of it goes with it.
    pub(crate) fn expire(&self, entry: &Expiring) -> Result<Option<Redo>, DataError> {
        let Ok(schema) = self.collection(entry.tenant, entry.collection) else {
            return Ok(None);
        };
        let stored = self.engines.documents.expiring_document(entry);
        let stored = stored.map_err(DataError::document(self.id))?;
        stored.map(|stored| self.delete_stored(schema, &entry.key, &stored)).transpose()
    }

    /// Takes entries off the list that are done with, and notes when the next is due.
    pub(crate) fn forget_expiring(&mut self, entries: &[Expiring]) -> Result<(), DataError> {
        for entry in entries {
            self.engines.documents.forget_expiring(entry);
        }
        // They were the first of the list.
        let from = entries.last().map(|entry| entry.time_ms).or(self.expires_next).unwrap_or(0);
        let next = self.engines.documents.expiring(from..=u64::MAX, 1);
        let next = next.map_err(DataError::document(self.id))?;
        self.expires_next = next.first().map(|entry| entry.time_ms);
        Ok(())
    }
}
