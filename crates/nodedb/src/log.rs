//! The log as the facade uses it: blocking calls off the runtime, housekeeping records.

use crate::Error;
use nodedb_engine::RecordKind;
use nodedb_types::{Durability, Lsn, TenantId, VshardId};
use nodedb_wal::{AppendClass, Record, Wal};
use std::sync::Arc;

/// The log, for tasks that must not block their runtime.
#[derive(Clone, Debug)]
pub(crate) struct LogHandle {
    wal: Wal,
}

impl LogHandle {
    pub(crate) const fn new(wal: Wal) -> Self {
        Self { wal }
    }

    pub(crate) const fn wal(&self) -> &Wal {
        &self.wal
    }

    /// Runs a call that may wait for the disk on a thread that may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        stage: &'static str,
        call: impl FnOnce(&Wal) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let wal = self.wal.clone();
        let result = tokio::task::spawn_blocking(move || call(&wal)).await;
        let result = result.map_err(|error| Error::internal(format!("{stage}: {error}")))?;
        result.map_err(|source| Error::Checkpoint { stage, source: Arc::new(source) })
    }
}

/// Appends one record that changes no engine. It may use the room that is kept for housekeeping, so
/// that a full disk does not keep checkpoints from freeing it.
pub(crate) fn append_housekeeping(
    wal: &Wal,
    kind: RecordKind,
    payload: &[u8],
) -> Result<Lsn, Error> {
    assert!(kind.is_housekeeping(), "{kind:?} is applied by engines, so a core appends it");
    let record =
        Record { tenant: TenantId::SYSTEM, vshard: VshardId::new(0), kind: kind.code(), payload };
    let range = wal.append(&[record], Durability::Sync, AppendClass::Housekeeping)?;
    range.last().ok_or_else(|| Error::internal("the log appended nothing"))
}
