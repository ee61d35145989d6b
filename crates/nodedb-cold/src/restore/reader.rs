//! An archive open for reading.

use crate::{
    ColdError,
    restore::{Lineage, list_databases},
    store::ObjectStore,
};
use nodedb_types::{DatabaseId, Incarnation, Lsn};
use std::sync::Arc;

/// An archive open for reading. Changes nothing in it, and may be used while its writer writes; it
/// sees the writers that were there when it was opened.
#[derive(Clone, Debug)]
pub struct ArchiveReader {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) lineage: Lineage,
}

impl ArchiveReader {
    /// Opens the archive of a database, or of the only one in the store.
    ///
    /// # Errors
    /// [`ColdError::NoArchive`] if there is none; [`ColdError::Ambiguous`] if there are several and
    /// none was named; [`ColdError::Corrupt`] and [`ColdError::Missing`] for the objects that say
    /// whose it is and who wrote; [`ColdError::Store`].
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        database_id: Option<DatabaseId>,
    ) -> Result<Self, ColdError> {
        let database_id = match database_id {
            Some(database_id) => database_id,
            None => match list_databases(&*store).await?.as_slice() {
                [] => return Err(ColdError::NoArchive),
                [single] => *single,
                found => {
                    let found = found.to_vec();
                    return Err(ColdError::Ambiguous { found });
                }
            },
        };
        let lineage = Lineage::load(&*store, database_id).await?;
        Ok(Self { store, lineage })
    }

    /// Whose archive this is.
    pub const fn database_id(&self) -> DatabaseId {
        self.lineage.format.database_id
    }

    /// Which history it holds.
    pub const fn incarnation(&self) -> Incarnation {
        self.lineage.format.incarnation
    }

    /// Number of vshards of the database.
    pub const fn vshards(&self) -> u16 {
        self.lineage.format.vshards
    }

    /// Size of its log segments, in bytes.
    pub const fn segment_bytes(&self) -> u64 {
        self.lineage.format.segment_bytes
    }

    /// When it was made, in milliseconds since 1970.
    pub const fn created_ms(&self) -> u64 {
        self.lineage.format.created_ms
    }

    /// The first record that its log can hold.
    pub fn start_lsn(&self) -> Lsn {
        self.lineage.start()
    }
}
