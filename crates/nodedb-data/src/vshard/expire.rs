//! Deletes of documents whose time has come (protocol rule P7).

use super::Vshard;
use crate::DataError;
use nodedb_document::{Expiring, ExpiryPlace, ExpirySlice, Place};
use nodedb_engine::Redo;

impl Vshard {
    /// The next entries of the list of times that are due at a time of the commit clock.
    pub(crate) fn expiring(&self, now_ms: u64, limit: usize) -> Result<ExpirySlice, DataError> {
        let Some(from) = &self.expires else {
            return Ok(ExpirySlice { due: Vec::new(), next: None });
        };
        let due = self.engines.documents.expiring(from, now_ms, limit);
        due.map_err(DataError::document(self.id))
    }

    /// When the sweeper has to look here, in milliseconds of the commit clock; `None` if nothing is to
    /// expire.
    pub(crate) fn expires_next(&self) -> Option<u64> {
        self.expires.as_ref().map(|place| place.time_ms)
    }

    /// Takes note of a document that is to expire.
    pub(super) fn note_expiry(&mut self, time_ms: u64, place: &Place<'_>) {
        if self.expires_next().is_some_and(|next| next < time_ms) {
            return;
        }
        let place = ExpiryPlace::of(time_ms, place);
        self.expires = Some(self.expires.take().map_or(place.clone(), |first| first.min(place)));
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

    /// Takes the entries of a slice off the list, which are done with, and goes on behind them.
    pub(crate) fn forget_expiring(&mut self, slice: ExpirySlice) {
        for entry in &slice.due {
            self.engines.documents.forget_expiring(entry);
        }
        self.expires = slice.next;
    }
}
