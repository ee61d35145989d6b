//! A pin that ends with its handle.

use super::Pins;
use crate::Hold;
use nodedb_types::Lsn;
use std::sync::Arc;

/// Keeps the log from a record on, until dropped. Lives in memory only: it does not survive a reopen.
#[derive(Debug)]
pub struct RetentionPin {
    pins: Arc<Pins>,
    id: u64,
}

impl Pins {
    pub(crate) fn pin(self: &Arc<Self>, name: &str, lsn: Lsn) -> RetentionPin {
        let mut held = self.held.lock();
        let id = held.next;
        held.next += 1;
        let name = name.to_owned();
        held.unnamed.insert(id, Hold { name, lsn });
        drop(held);
        let pins = Arc::clone(self);
        RetentionPin { pins, id }
    }
}

impl RetentionPin {
    /// The first record that stays.
    pub fn lsn(&self) -> Lsn {
        let held = self.pins.held.lock();
        held.unnamed.get(&self.id).map_or(Lsn::FIRST, |hold| hold.lsn)
    }

    /// Gives up the records before `lsn`. Never moves back.
    pub fn advance(&self, lsn: Lsn) {
        if let Some(hold) = self.pins.held.lock().unnamed.get_mut(&self.id) {
            hold.lsn = hold.lsn.max(lsn);
        }
    }
}

impl Drop for RetentionPin {
    fn drop(&mut self) {
        self.pins.held.lock().unnamed.remove(&self.id);
    }
}
