//! The tables as a core reads them.

use crate::{
    Direction, ReadAt, Stored,
    row_range::Bounds,
    tables::{Rows, TableView},
};
use bytes::Bytes;
use nodedb_engine::{EngineError, SnapshotExpired};
use nodedb_types::Lsn;
use std::{path::PathBuf, sync::Arc};

/// The tables at one moment, read by the core without any lock.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    /// Counts the changes of the tables, so that a core never takes an older view over a newer one.
    pub(crate) generation: u64,
    /// Everything up to here is in the view, and nothing above.
    pub(crate) floor: Option<Lsn>,
    /// `None` until the first flush.
    pub(crate) view: Option<Arc<dyn TableView>>,
    pub(crate) path: Arc<PathBuf>,
}

impl TableSnapshot {
    /// Checks that a reader may look into the tables, which know no positions: whatever they hold
    /// must be at or below the one that is read (protocol rule P3).
    pub(crate) fn check(&self, at: ReadAt) -> Result<(), SnapshotExpired> {
        match at {
            ReadAt::Snapshot(lsn) if self.floor > Some(lsn) => Err(SnapshotExpired { lsn }),
            ReadAt::Snapshot(_) | ReadAt::Latest => Ok(()),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Stored>, EngineError> {
        let Some(view) = &self.view else {
            return Ok(None);
        };
        view.get(key)?.map(|row| self.decode(row)).transpose()
    }

    pub(crate) fn range(&self, bounds: Bounds<'_>, direction: Direction) -> Rows<'_> {
        match &self.view {
            None => Box::new(std::iter::empty()),
            Some(view) => view.range(bounds, direction),
        }
    }

    pub(crate) fn decode(&self, row: Bytes) -> Result<Stored, EngineError> {
        Stored::decode(row).map_err(|error| self.corrupt(error.to_string()))
    }

    pub(crate) fn corrupt(&self, message: impl Into<String>) -> EngineError {
        EngineError::corrupt(self.path.as_path(), message)
    }
}
