//! The port of the immutable sorted tables below the memtables.

mod archive;
mod lsm;
mod lsm_files;
mod plain;
mod write_back;

pub use lsm::LsmTables;
pub use plain::PlainTables;

use crate::{Direction, Dropped};
use bytes::Bytes;
use nodedb_engine::{EngineError, IoBudget};
use nodedb_env::Files;
use std::{fmt::Debug, ops::Bound, path::Path, sync::Arc};

/// A row on its way into the tables; a value of `None` is a tombstone.
pub type Row = (Bytes, Option<Vec<u8>>);

/// Rows of a view; a value of `None` is a tombstone, shown so that whoever reads can stop among many of
/// them.
pub type Rows<'a> = Box<dyn Iterator<Item = Result<(Bytes, Option<Bytes>), EngineError>> + 'a>;

/// Which store holds the tables, and how its directory is made, checked and opened.
pub trait TableStore: Debug + Send + Sync {
    /// Makes empty tables in a directory that does not exist. Durable on return, except for the
    /// directory's own name.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    fn create(
        &self,
        files: &Arc<dyn Files>,
        dir: &Path,
    ) -> Result<Box<dyn SortedTables>, EngineError>;

    /// Whether the directory holds tables; `false` of one that does not exist or whose creation did
    /// not end.
    ///
    /// # Errors
    /// [`EngineError::Io`], or [`EngineError::Corrupt`] if there are rows without the file that
    /// names them.
    fn exists(&self, files: &dyn Files, dir: &Path) -> Result<bool, EngineError>;

    /// Opens tables: checks the files that name others, then syncs every named file and the
    /// directories, since what is read may stand only in the page cache (protocol rule P1).
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] with nothing changed, [`EngineError::UnsupportedFormat`],
    /// [`EngineError::Io`].
    fn open(
        &self,
        files: &Arc<dyn Files>,
        dir: &Path,
    ) -> Result<Box<dyn SortedTables>, EngineError>;

    /// Reads and checks every byte of the tables without opening them, so that none changes.
    ///
    /// # Errors
    /// As [`TableStore::open`].
    fn verify(&self, files: &dyn Files, dir: &Path) -> Result<Verified, EngineError>;
}

/// What a `verify` has read and found whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Open tables, owned by the maintenance thread.
pub trait SortedTables: Debug + Send {
    /// Adds rows, strictly ascending, as one atomic step. Durable on return.
    ///
    /// # Errors
    /// [`EngineError::Io`]; then all of the rows are there after a reopen, or none.
    /// [`EngineError::InDoubt`] after a failure that only a reopen can clear up.
    fn ingest(&mut self, rows: &mut dyn Iterator<Item = Row>) -> Result<(), EngineError>;

    /// Merges tables if that is worth it, no faster than the budget allows. Answers whether anything
    /// changed.
    ///
    /// # Errors
    /// [`EngineError::Io`], [`EngineError::Corrupt`], or [`EngineError::InDoubt`] as in
    /// [`SortedTables::ingest`]; the rows are what they were.
    fn compact(&mut self, budget: &Arc<IoBudget>) -> Result<bool, EngineError>;

    /// What merging may leave out.
    fn set_dropped(&mut self, dropped: &Dropped);

    /// The rows as they are now, for readers that take no lock.
    fn view(&self) -> Arc<dyn TableView>;
}

/// The rows of the tables at one moment. Its files stay until it is dropped.
pub trait TableView: Debug + Send + Sync {
    /// The value of a row.
    ///
    /// # Errors
    /// [`EngineError::Io`] or [`EngineError::Corrupt`] naming the file.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The rows between two bounds, which leave room for at least one, in one direction, each key once.
    /// A deleted row is a tombstone until a merge has removed it. An item is an error as in
    /// [`TableView::get`], after which the iterator is of no use.
    fn range(&self, bounds: (Bound<&[u8]>, Bound<&[u8]>), direction: Direction) -> Rows<'_>;
}
