//! The object-store port.

mod directory;
mod error;
mod key;
mod opendal;
mod url;

pub use directory::DirectoryStore;
pub use error::{StoreError, StoreStatus};
pub(crate) use key::is_segment;
pub use key::{Folder, KeyError, ObjectKey};
pub use opendal::OpendalStore;
pub use url::open_store;

use bytes::Bytes;
use std::{fmt::Debug, pin::Pin};

/// The answer of a store, to be awaited within a tokio runtime.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Whether a create made the object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Created {
    /// This call made it.
    New,
    /// It was there, with whatever contents; nothing was changed.
    Exists,
}

/// What stands directly in a folder.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// Names of folders, sorted.
    pub folders: Vec<String>,
    /// Names of objects, sorted.
    pub objects: Vec<String>,
}

/// A store of immutable named objects. There is no overwrite and no delete.
///
/// Callers are safe against a store that lies about what it has stored, because they read back;
/// nothing can save them from one that lets two creates of one name win, so that is probed when an
/// archive is opened for writing.
pub trait ObjectStore: Send + Sync + Debug {
    /// Creates the object unless there is one of that name, in one step; durable on return, also
    /// when the answer is [`Created::Exists`].
    ///
    /// Not cancel safe in one sense: the object may or may not exist after the future was dropped,
    /// as after an error. Creating it again with the same bytes is always right.
    fn create<'a>(&'a self, key: &'a ObjectKey, bytes: Bytes) -> StoreFuture<'a, Created>;

    /// The whole object, or `None` if there is none. Fails for one longer than `bytes_max`, before
    /// that much is held in memory.
    fn get<'a>(&'a self, key: &'a ObjectKey, bytes_max: u64) -> StoreFuture<'a, Option<Bytes>>;

    /// Up to `len` bytes from `offset`, fewer where the object ends, or `None` if there is none.
    fn get_range<'a>(
        &'a self,
        key: &'a ObjectKey,
        offset: u64,
        len: u64,
    ) -> StoreFuture<'a, Option<Bytes>>;

    /// Length of the object in bytes, or `None` if there is none.
    fn stat<'a>(&'a self, key: &'a ObjectKey) -> StoreFuture<'a, Option<u64>>;

    /// What stands directly in the folder. A hint: a listing may be stale, so nothing is concluded
    /// from the absence of a name.
    fn list<'a>(&'a self, folder: &'a Folder) -> StoreFuture<'a, Listing>;
}
