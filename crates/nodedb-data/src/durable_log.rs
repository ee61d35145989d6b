//! The log as engines see it: WAL before data.

use nodedb_engine::{DurableLog, NotDurable};
use nodedb_env::Clock;
use nodedb_types::Lsn;
use nodedb_wal::Wal;
use std::{sync::Arc, time::Duration};

/// Gives engines the durable position and lets their flushes wait for it, with a bound.
#[derive(Debug)]
pub(crate) struct WalDurability {
    pub(crate) wal: Wal,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wait: Duration,
}

impl DurableLog for WalDurability {
    fn durable(&self) -> Option<Lsn> {
        self.wal.durable()
    }

    fn commit_ms(&self) -> u64 {
        self.wal.commit_time_ms()
    }

    fn wait_durable(&self, lsn: Lsn) -> Result<(), NotDurable> {
        let deadline = self.clock.now().saturating_add(self.wait);
        self.wal.request_sync(lsn);
        self.wal.wait_durable(lsn, deadline).map(|_durable| ()).or(Err(NotDurable))
    }
}
