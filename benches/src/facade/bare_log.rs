//! The log alone, as async callers would use it.

use super::callers::Called;
use crate::{
    LIMIT,
    wal::{OpenLog, Store, record},
};
use anyhow::{Result, ensure};
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{AppendClass, AppendError, Record, Wal};
use std::path::Path;

/// A log with its default options and the checkpoints that a database takes.
pub(super) struct BareLog {
    wal: Wal,
    open: OpenLog,
}

impl BareLog {
    pub(super) fn create(dir: &Path) -> Result<Self> {
        let open = OpenLog::create(dir)?;
        Ok(Self { wal: open.wal().clone(), open })
    }

    /// Appends records as one group and answers when it is durable.
    pub(super) async fn append(&self, records: &[Record<'_>]) -> Result<()> {
        let last = self.place(records).await?;
        self.wal.durable_future(last).await?;
        Ok(())
    }

    /// Again and again while there is no room.
    async fn place(&self, records: &[Record<'_>]) -> Result<Lsn> {
        loop {
            match self.wal.append(records, Durability::Sync, AppendClass::User) {
                Ok(range) => return Ok(range.end().previous().unwrap_or(Lsn::FIRST)),
                Err(AppendError::Backpressure | AppendError::NoSpace) => {
                    tokio::task::yield_now().await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn verify_count(self, records: u64) -> Result<()> {
        let Self { wal, open } = self;
        drop(wal);
        let found = Box::new(open).reopen_and_count()?;
        ensure!(found == records, "the log has {found} records of {records}");
        Ok(())
    }
}

impl Called for BareLog {
    const WHO: &'static str = LIMIT;

    async fn call(&self, number: u64) -> Result<()> {
        let (key, json) = super::put::row(number);
        let bytes = [key.as_bytes(), json.as_bytes()].concat();
        self.append(&[record(&bytes)]).await
    }

    fn settle(&self) -> Result<()> {
        self.open.settle()
    }

    fn verify(self, calls: u64) -> Result<()> {
        self.verify_count(calls)
    }
}
