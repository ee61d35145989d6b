//! Objects as files below a directory.

use crate::store::{
    Created, Folder, Listing, ObjectKey, ObjectStore, StoreError, StoreFuture, StoreStatus,
    is_segment,
};
use bytes::Bytes;
use nodedb_env::{EntryKind, Env, FileLock, Files, Open};
use nodedb_types::to_hex;
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Where unfinished objects stand. No key begins with a dot, so none can name it.
const STAGING: &str = ".staging";
const LOCK: &str = "lock";
/// How often a staging directory is tried for, against a process that sweeps at that moment.
const STAGING_ATTEMPTS: u32 = 4;

/// A store in a local or mounted directory, for `file:///absolute/path`.
///
/// An object is written under a staging name, synced, given its name by a hard link, which exactly
/// one of many racers can do, and the directory is synced. A crash at any point leaves the object
/// whole or absent. Several processes may share the directory.
///
/// Calls run on the blocking pool of the tokio runtime that they are awaited in.
#[derive(Debug)]
pub struct DirectoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    env: Env,
    root: PathBuf,
    // Made by the first create, so that reading an archive changes nothing in it.
    staging: Mutex<Option<Staging>>,
    // Directories whose name this handle has synced in their parent.
    durable: Mutex<BTreeSet<PathBuf>>,
    // A directory whose sync failed may hold names that the disk does not; a second sync would say
    // that all is well (P1), so nothing more is promised through this handle.
    poisoned: AtomicBool,
}

#[derive(Debug)]
struct Staging {
    path: PathBuf,
    created: u64,
    // Tells sweepers of other processes that somebody lives here.
    _lock: Box<dyn FileLock>,
}

impl DirectoryStore {
    /// The store in `root`, which must exist.
    pub fn new(env: Env, root: &Path) -> Self {
        let shared = Shared {
            env,
            root: root.to_owned(),
            staging: Mutex::default(),
            durable: Mutex::default(),
            poisoned: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        target: &str,
        call: impl FnOnce(&Shared) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || call(&shared)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let status = status_of(&error);
                Err(StoreError::new(operation, target, status, error))
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(stopped) => {
                    let status = StoreStatus::Temporary;
                    Err(StoreError::new(operation, target, status, stopped))
                }
            },
        }
    }
}

fn status_of(error: &io::Error) -> StoreStatus {
    let temporary = matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::OutOfMemory
    );
    if temporary { StoreStatus::Temporary } else { StoreStatus::Permanent }
}

fn if_found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Shared {
    fn files(&self) -> &dyn Files {
        &*self.env.files
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn create(&self, key: &ObjectKey, bytes: &[u8]) -> io::Result<Created> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(io::Error::other(
                "an earlier sync of a directory failed; open the archive again",
            ));
        }
        let directory = self.durable_directory(key)?;
        let staged = self.staged_name()?;
        let result = self
            .write(&staged, bytes)
            .and_then(|()| self.publish(&staged, &self.path(key), &directory));
        // The object stands under its own name, or never will; a name that stays is swept later.
        if let Err(error) = self.files().remove_file(&staged) {
            tracing::debug!(path = %staged.display(), %error, "a staged object stays until swept");
        }
        result
    }

    fn write(&self, staged: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.files().open(staged, Open::CreateNew)?;
        file.write_all_at(bytes, 0)?;
        // The contents before the name: a name that survives a power cut alone is a torn object.
        file.sync_data()
    }

    fn publish(&self, staged: &Path, path: &Path, directory: &Path) -> io::Result<Created> {
        let created = match self.files().hard_link(staged, path) {
            Ok(()) => Created::New,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Created::Exists,
            Err(error) => return Err(error),
        };
        // Also for a name that another made: it may have died before its own sync, and the caller
        // takes "exists" for stored.
        self.sync_directory(directory)?;
        Ok(created)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.files().sync_dir(path).inspect_err(|_| {
            self.poisoned.store(true, Ordering::Release);
        })
    }

    /// The directory of the key, with every name on the way to it durable.
    fn durable_directory(&self, key: &ObjectKey) -> io::Result<PathBuf> {
        let mut directory = self.root.clone();
        for segment in key.folders() {
            let inner = directory.join(segment);
            let known = lock(&self.durable).contains(&inner);
            if !known {
                match self.files().create_dir(&inner) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(error);
                    }
                    Ok(()) | Err(_) => {}
                }
                self.sync_directory(&directory)?;
                lock(&self.durable).insert(inner.clone());
            }
            directory = inner;
        }
        Ok(directory)
    }

    fn staged_name(&self) -> io::Result<PathBuf> {
        let mut staging = lock(&self.staging);
        if staging.is_none() {
            self.sweep();
            *staging = Some(self.make_staging()?);
        }
        let staging = staging.as_mut().ok_or(io::ErrorKind::NotFound)?;
        staging.created += 1;
        Ok(staging.path.join(staging.created.to_string()))
    }

    fn make_staging(&self) -> io::Result<Staging> {
        let all = self.root.join(STAGING);
        match self.files().create_dir(&all) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        for _ in 0..STAGING_ATTEMPTS {
            let path = all.join(to_hex(&self.env.random.id()?));
            self.files().create_dir(&path)?;
            let lock_path = path.join(LOCK);
            // A sweeper may have seen the directory before it was locked: then the lock is its, or
            // locked a file that is gone by now.
            let Ok(held) = self.files().lock(&lock_path) else {
                continue;
            };
            if self.files().entry(&lock_path)?.is_some() {
                return Ok(Staging { path, created: 0, _lock: held });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Removes what dead processes left. Failing costs space, nothing else.
    fn sweep(&self) {
        let all = self.root.join(STAGING);
        let Ok(entries) = self.files().list(&all) else {
            return;
        };
        for entry in entries {
            let path = all.join(&entry.name);
            // Who holds the lock is alive. The lock is kept until the directory is gone.
            if entry.kind == EntryKind::Directory
                && let Ok(_held) = self.files().lock(&path.join(LOCK))
                && let Err(error) = self.files().remove_dir_all(&path)
            {
                tracing::debug!(path = %path.display(), %error, "staged objects stay");
            }
        }
    }

    fn range(&self, key: &ObjectKey, offset: u64, len: u64) -> io::Result<Option<Bytes>> {
        let Some(file) = if_found(self.files().open(&self.path(key), Open::Read))? else {
            return Ok(None);
        };
        let left = file.len()?.saturating_sub(offset);
        let count = usize::try_from(len.min(left)).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(count).map_err(io::Error::other)?;
        bytes.resize(count, 0);
        file.read_exact_at(&mut bytes, offset)?;
        Ok(Some(bytes.into()))
    }

    fn list(&self, folder: &Folder) -> io::Result<Listing> {
        let path = self.root.join(folder.as_str());
        let mut listing = Listing::default();
        for entry in if_found(self.files().list(&path))?.unwrap_or_default() {
            let Some(name) = entry.name.to_str().filter(|name| is_segment(name)) else {
                continue;
            };
            match entry.kind {
                EntryKind::Directory => listing.folders.push(name.to_owned()),
                EntryKind::File => listing.objects.push(name.to_owned()),
                EntryKind::Other => {}
            }
        }
        Ok(listing)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(staging) = lock(&self.staging).take()
            && let Err(error) = self.files().remove_dir_all(&staging.path)
        {
            tracing::debug!(path = %staging.path.display(), %error, "staging stays until swept");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each section leaves its value whole, so one that panicked has spoiled nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ObjectStore for DirectoryStore {
    fn create<'a>(&'a self, key: &'a ObjectKey, bytes: Bytes) -> StoreFuture<'a, Created> {
        let owned = key.clone();
        Box::pin(self.run("create", key.as_str(), move |shared| shared.create(&owned, &bytes)))
    }

    fn get<'a>(&'a self, key: &'a ObjectKey, bytes_max: u64) -> StoreFuture<'a, Option<Bytes>> {
        Box::pin(async move {
            // One byte more than allowed tells a longer object from one that just fits.
            let bytes = self.get_range(key, 0, bytes_max.saturating_add(1)).await?;
            match bytes {
                Some(bytes) if bytes.len() as u64 > bytes_max => {
                    Err(StoreError::too_long(key, bytes_max))
                }
                bytes => Ok(bytes),
            }
        })
    }

    fn get_range<'a>(
        &'a self,
        key: &'a ObjectKey,
        offset: u64,
        len: u64,
    ) -> StoreFuture<'a, Option<Bytes>> {
        let owned = key.clone();
        Box::pin(self.run("get", key.as_str(), move |shared| shared.range(&owned, offset, len)))
    }

    fn stat<'a>(&'a self, key: &'a ObjectKey) -> StoreFuture<'a, Option<u64>> {
        let owned = key.clone();
        Box::pin(self.run("stat", key.as_str(), move |shared| {
            let entry = shared.files().entry(&shared.path(&owned))?;
            Ok(entry.filter(|entry| entry.kind == EntryKind::File).map(|entry| entry.len))
        }))
    }

    fn list<'a>(&'a self, folder: &'a Folder) -> StoreFuture<'a, Listing> {
        let owned = folder.clone();
        Box::pin(self.run("list", folder.as_str(), move |shared| shared.list(&owned)))
    }
}
