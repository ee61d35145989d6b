//! What a turn asks of the log: once, at its end.

use nodedb_env::Clock;
use nodedb_types::{Durability, Lsn, LsnRange};
use nodedb_wal::{AppendClass, AppendError, Record, Wal, Wanted};
use std::{cell::Cell, sync::Arc};

/// Bytes of staged records at which the log is asked before the turn ends, so that the disk is not idle
/// while more is staged than one batch takes.
const BYTES_MAX: usize = 1 << 20;

/// Stages the records of a turn, and asks once for what all of them and all answers wait for.
///
/// Asking for each would have the first record of a turn synced alone, and those behind it wait for that
/// sync and then for their own. A staged record that nobody asks for would leave its caller waiting, so
/// this asks when it is dropped, also by a panic.
pub(crate) struct Asks {
    wal: Wal,
    clock: Arc<dyn Clock>,
    wanted: Cell<Wanted>,
    staged_bytes: Cell<usize>,
}

impl Asks {
    pub(crate) fn new(wal: Wal, clock: Arc<dyn Clock>) -> Self {
        let (wanted, staged_bytes) = (Cell::default(), Cell::default());
        Self { wal, clock, wanted, staged_bytes }
    }

    /// Gives records their place as one atomic group. On failure nothing was logged, ever.
    pub(crate) fn stage(
        &self,
        records: &[Record<'_>],
        durability: Durability,
        class: AppendClass,
    ) -> Result<LsnRange, AppendError> {
        let staged = self.wal.stage(records, class);
        let range = match staged {
            Ok(range) => range,
            Err(error) => {
                // What fills the log's memory may be what this turn has staged.
                self.ask();
                return Err(error);
            }
        };
        if let Some(last) = range.last() {
            self.want(last, durability);
        }
        let bytes: usize = records.iter().map(Record::encoded_len).sum();
        self.staged_bytes.set(self.staged_bytes.get().saturating_add(bytes));
        if self.staged_bytes.get() >= BYTES_MAX {
            self.ask();
        }
        Ok(range)
    }

    /// Notes that an answer waits until this record is durable.
    pub(crate) fn sync(&self, lsn: Lsn) {
        if self.wal.durable() < Some(lsn) {
            let mut wanted = self.wanted.get();
            wanted.durable = wanted.durable.max(Some(lsn));
            self.wanted.set(wanted);
        }
    }

    /// Notes that the records up to this one are wanted at a level.
    pub(crate) fn want(&self, lsn: Lsn, durability: Durability) {
        let mut wanted = self.wanted.get();
        wanted.add(lsn, durability, || self.clock.now());
        self.wanted.set(wanted);
    }

    /// Asks for all of it.
    pub(crate) fn ask(&self) {
        self.staged_bytes.set(0);
        let wanted = self.wanted.take();
        if !wanted.is_empty() {
            self.wal.request(wanted);
        }
    }

    /// Whether everything staged has been asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.get().is_empty()
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        self.ask();
    }
}

#[cfg(test)]
mod tests;
