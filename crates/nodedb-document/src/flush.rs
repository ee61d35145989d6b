//! A memtable on its way into the tables.

use crate::{
    Dropped, TableSnapshot,
    memtable::Memtable,
    store::{Flush, Store},
};
use nodedb_engine::{DurableLog, EngineError, Flushed, Frozen, Persisted};
use nodedb_types::Lsn;
use std::sync::Arc;

/// A frozen memtable, handed to the maintenance thread.
#[derive(Clone, Debug)]
pub struct FrozenDocuments {
    pub(crate) store: Arc<Store>,
    pub(crate) memtable: Arc<Memtable>,
    pub(crate) oldest: Lsn,
    pub(crate) watermark: Lsn,
    pub(crate) dropped: Arc<Dropped>,
}

/// A finished flush: the proof, and the tables that hold it.
#[derive(Debug)]
pub struct PersistedDocuments {
    pub(crate) flushed: Flushed,
    pub(crate) tables: TableSnapshot,
}

impl Frozen for FrozenDocuments {
    type Persisted = PersistedDocuments;

    fn watermark(&self) -> Lsn {
        self.watermark
    }

    fn persist(self, log: &dyn DurableLog) -> Result<PersistedDocuments, EngineError> {
        let flush =
            Flush { memtable: &self.memtable, watermark: self.watermark, dropped: &self.dropped };
        let (flushed, tables) = self.store.persist(&flush, log)?;
        Ok(PersistedDocuments { flushed, tables })
    }
}

impl Persisted for PersistedDocuments {
    fn flushed(&self) -> Flushed {
        self.flushed
    }
}

/// The maintenance thread's handle to the tables of one engine.
#[derive(Clone, Debug)]
pub struct TableMaintenance {
    pub(crate) store: Arc<Store>,
}

impl TableMaintenance {
    /// Frees what the core has replaced, and merges tables if that is worth it. Cheap where it is
    /// not: call it after every installed flush. A result goes to
    /// [`crate::DocumentEngine::install_tables`]; to call it again at once goes on merging.
    ///
    /// # Errors
    /// [`EngineError::Io`] or [`EngineError::Corrupt`]; the rows are what they were.
    pub fn compact(&self) -> Result<Option<TableSnapshot>, EngineError> {
        self.store.compact()
    }
}
