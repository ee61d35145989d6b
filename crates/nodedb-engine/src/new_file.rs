//! A file of an engine in the making, written piece by piece beside the flushes of its directory.

use crate::EngineError;
use nodedb_env::{File, Files, Open};
use std::{path::PathBuf, sync::Arc};
use xxhash_rust::xxh3::Xxh3;

/// Bytes after which the system is asked to begin writing them. One sync at the end would send everything
/// to the device at once, and every other sync of it, the log's above all, would wait behind it.
const WRITE_BACK_BYTES: u64 = 256 << 10;
/// Bytes after which a file in the making is synced, so that a device that cannot keep up slows its writer.
const SYNC_BYTES: u64 = 8 << 20;

/// A file that no manifest can name yet. Until [`ManifestDir::adopt`](crate::ManifestDir::adopt) its
/// name ends in `.tmp`, so that flushes meanwhile do not sweep it and images do not link it. It is
/// removed when this is dropped.
pub struct NewFile {
    place: Place,
    file: Arc<dyn File>,
    bytes: u64,
    /// Up to where writing has been asked for.
    sent: u64,
    unsynced: u64,
    hasher: Box<Xxh3>,
}

/// A whole and durable file under its temporary name. It is removed when this is dropped, unless a
/// manifest has adopted it.
#[derive(Debug)]
pub struct SyncedFile {
    pub(crate) place: Place,
    pub(crate) bytes: u64,
    pub(crate) digest: u128,
}

/// The names of a file in the making.
pub(crate) struct Place {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) name: String,
    pub(crate) temporary: PathBuf,
    /// What a sweep looks at: as long as it lives, the temporary name is in use.
    pub(crate) _making: Arc<()>,
}

impl NewFile {
    /// Begins the file in the place of a leftover of that temporary name.
    pub(crate) fn begin(place: Place) -> Result<Self, EngineError> {
        let Place { files, temporary: path, .. } = &place;
        let leftover = files.entry(path).map_err(EngineError::io("looking at", path))?;
        if leftover.is_some() {
            files.remove_file(path).map_err(EngineError::io("removing", path))?;
        }
        let file = files.open(path, Open::CreateNew).map_err(EngineError::io("creating", path))?;
        Ok(Self { place, file, bytes: 0, sent: 0, unsynced: 0, hasher: Box::new(Xxh3::new()) })
    }

    /// Appends some bytes, and syncs every few MiB.
    ///
    /// # Errors
    /// [`EngineError::Io`]; the file is then of no use any more and is dropped.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        let path = &self.place.temporary;
        let written = self.file.write_all_at(bytes, self.bytes);
        written.map_err(EngineError::io("writing", path))?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.bytes - self.sent >= WRITE_BACK_BYTES {
            self.file.start_write_back(self.sent);
            self.sent = self.bytes;
        }
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data().map_err(EngineError::io("syncing", path))?;
        }
        Ok(())
    }

    /// Makes the contents durable. Its name is not: that comes with the switch that adopts it.
    ///
    /// # Errors
    /// [`EngineError::Io`]; the file is gone then.
    pub fn sync(self) -> Result<SyncedFile, EngineError> {
        self.file.sync_data().map_err(EngineError::io("syncing", &self.place.temporary))?;
        let digest = self.hasher.digest128();
        Ok(SyncedFile { place: self.place, bytes: self.bytes, digest })
    }
}

impl SyncedFile {
    /// Opens it for reading. What is opened stays readable under its later name and after its removal.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    pub fn open(&self) -> Result<Arc<dyn File>, EngineError> {
        let path = &self.place.temporary;
        self.place.files.open(path, Open::Read).map_err(EngineError::io("opening", path))
    }

    /// The path that it has until it is adopted, for messages.
    pub fn path(&self) -> &std::path::Path {
        &self.place.temporary
    }
}

impl Drop for Place {
    /// Not after an adoption: then nothing stands at the temporary name any more. What cannot be
    /// removed is swept after the next switch.
    fn drop(&mut self) {
        match self.files.remove_file(&self.temporary) {
            Ok(()) | Err(_) => {}
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.temporary.fmt(f)
    }
}

impl std::fmt::Debug for NewFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewFile")
            .field("place", &self.place)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
