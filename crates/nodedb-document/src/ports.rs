//! What an engine needs of the outside.

use crate::{LsmTables, TableStore};
use nodedb_engine::{DurableLog, IoBudget, Snapshots};
use nodedb_env::{Clock, Env, Files};
use std::sync::Arc;

/// What the document engines of a database share. Cloned for every vshard.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Where directories and manifests are.
    pub files: Arc<dyn Files>,
    /// The open scans, which decide what may be ingested.
    pub snapshots: Arc<Snapshots>,
    /// The log, which decides what may be shown and kept.
    pub log: Arc<dyn DurableLog>,
    /// The store of the tables, with the block cache that all vshards share.
    pub tables: Arc<dyn TableStore>,
    /// The clock by which reads end in time.
    pub clock: Arc<dyn Clock>,
    /// How fast flushes and merges may write.
    pub budget: Arc<IoBudget>,
}

impl Ports {
    /// The ports of a real database, with no limit to the I/O of its maintenance.
    pub fn new(env: &Env, snapshots: Arc<Snapshots>, log: Arc<dyn DurableLog>) -> Self {
        Self {
            files: Arc::clone(&env.files),
            snapshots,
            log,
            tables: Arc::new(LsmTables::default()),
            clock: Arc::clone(&env.clock),
            budget: IoBudget::new(Arc::clone(&env.clock), None),
        }
    }
}
