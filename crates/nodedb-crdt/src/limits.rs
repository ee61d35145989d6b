//! How large updates and documents may be.

use crate::CrdtError;
use nodedb_types::limits;

/// How large updates and documents may be. A document that is stored already loads whatever it has.
///
/// Beside these, the JSON text of a document nests at most 127 levels, as that of a plain document does,
/// whether values or containers make it nest: [`CrdtError::TooDeep`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CrdtLimits {
    /// Bytes of an update, at most [`limits::VALUE_BYTES_MAX`]. Default that.
    pub update_bytes_max: usize,
    /// Operations of an update: characters inserted or deleted, values set, items moved. It bounds how
    /// long one import keeps a core busy, about 1 us for 10 operations. Default 2 Mi.
    pub update_ops_max: u64,
    /// Bytes of a document's stored rows, about those of its history once it is packed. At most
    /// [`limits::VALUE_BYTES_MAX`], which is what one snapshot may take. Default that.
    pub document_bytes_max: usize,
}

impl Default for CrdtLimits {
    fn default() -> Self {
        Self {
            update_bytes_max: limits::VALUE_BYTES_MAX,
            update_ops_max: 2 << 20,
            document_bytes_max: limits::VALUE_BYTES_MAX,
        }
    }
}

impl CrdtLimits {
    pub(crate) const fn check_update(&self, bytes: usize) -> Result<(), CrdtError> {
        if bytes > self.update_bytes_max {
            return Err(CrdtError::TooLarge { bytes, limit: self.update_bytes_max });
        }
        Ok(())
    }

    pub(crate) const fn check_ops(&self, ops: u64) -> Result<(), CrdtError> {
        if ops > self.update_ops_max {
            return Err(CrdtError::TooManyOps { ops, limit: self.update_ops_max });
        }
        Ok(())
    }

    pub(crate) const fn check_document(&self, bytes: usize) -> Result<(), CrdtError> {
        if bytes > self.document_bytes_max {
            return Err(CrdtError::DocumentTooLarge { bytes, limit: self.document_bytes_max });
        }
        Ok(())
    }
}
