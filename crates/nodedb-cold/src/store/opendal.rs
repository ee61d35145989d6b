//! Objects in a service that OpenDAL speaks to.

use crate::{
    ColdError,
    store::{
        Created, Folder, Listing, ObjectKey, ObjectStore, StoreError, StoreFuture, StoreStatus,
        is_segment,
    },
};
use bytes::Bytes;
use opendal::{ErrorKind, Operator, services};
use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock, PoisonError},
};

/// A store over an OpenDAL operator whose service creates conditionally (`if_not_exists`).
///
/// Retrying is left to the caller: a retry below this port would turn a create whose answer was
/// lost into "exists", which only reading back can tell from another writer.
#[derive(Clone, Debug)]
pub struct OpendalStore {
    operator: Operator,
}

impl OpendalStore {
    /// A store over this operator.
    ///
    /// # Errors
    /// [`ColdError::NotConditional`] if its service cannot create conditionally.
    pub fn new(operator: Operator) -> Result<Self, ColdError> {
        if operator.info().capability().write_with_if_not_exists {
            Ok(Self { operator })
        } else {
            Err(ColdError::NotConditional)
        }
    }

    /// The store of that name in the memory of this process.
    ///
    /// # Errors
    /// [`ColdError::Store`] if the service cannot be built.
    pub fn memory(name: &str) -> Result<Self, ColdError> {
        static STORES: OnceLock<Mutex<BTreeMap<String, Operator>>> = OnceLock::new();
        let stores = STORES.get_or_init(Mutex::default);
        let mut stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(operator) = stores.get(name) {
            return Self::new(operator.clone());
        }
        let operator = Operator::new(services::Memory::default())
            .map_err(|source| failure("open", name, source))?;
        stores.insert(name.to_owned(), operator.clone());
        Self::new(operator)
    }

    async fn length(&self, key: &ObjectKey) -> Result<Option<u64>, StoreError> {
        match self.operator.stat(key.as_str()).await {
            Ok(metadata) => Ok(Some(metadata.content_length())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure("stat", key.as_str(), error)),
        }
    }

    async fn range(
        &self,
        key: &ObjectKey,
        from: u64,
        to: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        if from >= to {
            return Ok(Some(Bytes::new()));
        }
        match self.operator.read_with(key.as_str()).range(from..to).await {
            Ok(buffer) => Ok(Some(buffer.to_bytes())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure("get", key.as_str(), error)),
        }
    }
}

fn failure(operation: &'static str, target: &str, error: opendal::Error) -> StoreError {
    let status = if error.is_temporary() { StoreStatus::Temporary } else { StoreStatus::Permanent };
    StoreError::new(operation, target, status, error)
}

impl ObjectStore for OpendalStore {
    fn create<'a>(&'a self, key: &'a ObjectKey, bytes: Bytes) -> StoreFuture<'a, Created> {
        Box::pin(async move {
            let write = self.operator.write_with(key.as_str(), bytes);
            match write.if_not_exists(true).await {
                Ok(_) => Ok(Created::New),
                // A temporary one is a race that the service has not decided: that is an error, and
                // the object may or may not be there.
                Err(error)
                    if error.kind() == ErrorKind::ConditionNotMatch && !error.is_temporary() =>
                {
                    Ok(Created::Exists)
                }
                Err(error) => Err(failure("create", key.as_str(), error)),
            }
        })
    }

    fn get<'a>(&'a self, key: &'a ObjectKey, bytes_max: u64) -> StoreFuture<'a, Option<Bytes>> {
        Box::pin(async move {
            match self.length(key).await? {
                None => Ok(None),
                Some(len) if len > bytes_max => Err(StoreError::too_long(key, bytes_max)),
                Some(len) => self.range(key, 0, len).await,
            }
        })
    }

    fn get_range<'a>(
        &'a self,
        key: &'a ObjectKey,
        offset: u64,
        len: u64,
    ) -> StoreFuture<'a, Option<Bytes>> {
        Box::pin(async move {
            match self.length(key).await? {
                None => Ok(None),
                Some(whole) => {
                    let end = offset.saturating_add(len).min(whole);
                    self.range(key, offset, end).await
                }
            }
        })
    }

    fn stat<'a>(&'a self, key: &'a ObjectKey) -> StoreFuture<'a, Option<u64>> {
        Box::pin(self.length(key))
    }

    fn list<'a>(&'a self, folder: &'a Folder) -> StoreFuture<'a, Listing> {
        Box::pin(async move {
            let path = format!("{folder}/");
            let entries = match self.operator.list(&path).await {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(failure("list", folder.as_str(), error)),
            };
            let mut listing = Listing::default();
            for entry in entries {
                let inside = entry.path().trim_start_matches('/');
                let inside = inside.strip_prefix(folder.as_str()).unwrap_or(inside);
                let name = inside.trim_matches('/').to_owned();
                if !is_segment(&name) {
                    continue;
                }
                if entry.metadata().is_dir() {
                    listing.folders.push(name);
                } else {
                    listing.objects.push(name);
                }
            }
            listing.folders.sort_unstable();
            listing.objects.sort_unstable();
            Ok(listing)
        })
    }
}
