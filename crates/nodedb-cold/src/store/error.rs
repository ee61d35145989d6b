//! What a store reports when it fails.

use crate::store::ObjectKey;
use nodedb_types::ErrorKind;
use std::{error::Error, io};

/// Whether trying again can help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreStatus {
    /// The same call may succeed later: a timeout, throttling, a lost connection.
    Temporary,
    /// It fails again until somebody repairs something: credentials, a missing bucket, a full disk.
    Permanent,
}

/// A call to a store that failed. After a failed `create` it is unknown whether the object exists.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of object `{target}` failed ({status:?}): {source}")]
pub struct StoreError {
    operation: &'static str,
    target: String,
    status: StoreStatus,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl StoreError {
    /// A failure of `operation` on the object or folder `target`.
    pub fn new(
        operation: &'static str,
        target: &str,
        status: StoreStatus,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { operation, target: target.to_owned(), status, source: source.into() }
    }

    pub(crate) fn too_long(key: &ObjectKey, bytes_max: u64) -> Self {
        let message = format!("the object is longer than the {bytes_max} bytes it may have");
        Self::new("get", key.as_str(), StoreStatus::Permanent, message)
    }

    /// Whether trying again can help.
    pub const fn status(&self) -> StoreStatus {
        self.status
    }

    /// By what the caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        match self.source.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::StorageFull) => ErrorKind::NoSpace,
            _ => ErrorKind::Io,
        }
    }
}
