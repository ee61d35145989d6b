//! The file-system port.

use std::{
    ffi::OsString,
    fmt::Debug,
    io,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How a file is opened. Regular files only; a symbolic link is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Open {
    /// For reading.
    Read,
    /// For reading and writing; must exist.
    ReadWrite,
    /// For reading and writing, mode 0600; `AlreadyExists` if there is one.
    CreateNew,
}

/// What a directory entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, device, pipe or socket: never ours.
    Other,
}

/// One directory entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Name within its directory.
    pub name: OsString,
    /// What it is.
    pub kind: EntryKind,
    /// Length in bytes; 0 for what is not a file.
    pub len: u64,
}

/// Which file this is, on which file system. A copy has another identity; a rename, a remount and a
/// changed device number keep it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileIdentity {
    /// Identity of the file system (from its UUID where the kernel derives it so).
    pub file_system: u64,
    /// Number of the inode.
    pub inode: u64,
    /// Birth time of the inode in nanoseconds since 1970, 0 where unknown.
    pub born_ns: u64,
}

/// An open file. Reads and writes are positioned; there is no cursor to share.
pub trait File: Send + Sync + Debug {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 only at the end of the file. Interrupted reads
    /// are repeated.
    ///
    /// # Errors
    /// What the system reports; a bad sector is an error here, where a mapping would be a signal.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. Not durable before [`File::sync_data`].
    ///
    /// # Errors
    /// What the system reports. Part of the bytes may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reserves disk blocks for `len` bytes and makes the file that long.
    ///
    /// # Errors
    /// `StorageFull`, among others; the file may then have any length up to `len`.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes contents and length durable. After an error, never call it again on this file.
    ///
    /// # Errors
    /// What the system reports; what was written since the last sync is then in doubt for ever.
    fn sync_data(&self) -> io::Result<()>;

    /// Asks the system to begin writing out what was written from `offset` on, and does not wait. Whoever
    /// writes much calls it every few hundred KiB: a sync at the end would send everything to the device at
    /// once, and every other sync of that device would wait behind it.
    ///
    /// A hint: nothing is durable by it, and an error shows in [`File::sync_data`]. Where nothing is
    /// implemented nothing happens.
    fn start_write_back(&self, _offset: u64) {}

    /// Length in bytes.
    ///
    /// # Errors
    /// What the system reports.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the system reports.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// The descriptor, for read-only mapping; `None` where the file is simulated.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before that.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut rest = buffer;
        let mut at = offset;
        while !rest.is_empty() {
            let count = self.read_at(rest, at)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            rest = rest.get_mut(count..).unwrap_or_default();
            at += count as u64;
        }
        Ok(())
    }
}

/// A lock on a file, released when dropped or when the process ends.
pub trait FileLock: Send + Sync + Debug {}

/// The file system.
pub trait Files: Send + Sync + Debug {
    /// Opens or creates a regular file. A created name is not durable before [`Files::sync_dir`].
    ///
    /// # Errors
    /// What the system reports; `InvalidInput` for what is not a regular file.
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>>;

    /// Creates a directory, mode 0700. Durable after [`Files::sync_dir`] of its parent.
    ///
    /// # Errors
    /// What the system reports; `AlreadyExists` if there is one.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, sorted by name.
    ///
    /// # Errors
    /// What the system reports.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// What stands at a path, without following a link; `None` if nothing.
    ///
    /// # Errors
    /// What the system reports, except that nothing is there.
    fn entry(&self, path: &Path) -> io::Result<Option<Entry>>;

    /// Renames, replacing a file at `to`. Durable after [`Files::sync_dir`].
    ///
    /// # Errors
    /// What the system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames only if nothing stands at `to`, in one step.
    ///
    /// # Errors
    /// `AlreadyExists` if something does.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name. `AlreadyExists` is atomic: one of many racers wins.
    ///
    /// # Errors
    /// What the system reports.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    ///
    /// # Errors
    /// What the system reports.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with all that is in it.
    ///
    /// # Errors
    /// What the system reports.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the system reports; the names are then in doubt.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on an existing or new file, at once or not at all.
    ///
    /// # Errors
    /// `WouldBlock` if another open of it holds the lock.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>>;

    /// Which file this is.
    ///
    /// # Errors
    /// What the system reports.
    fn identity(&self, path: &Path) -> io::Result<FileIdentity>;

    /// Bytes that may still be written on the file system of `path`.
    ///
    /// # Errors
    /// What the system reports.
    fn available_bytes(&self, path: &Path) -> io::Result<u64>;

    /// All bytes of a file.
    ///
    /// # Errors
    /// What the system reports; `UnexpectedEof` if the file shrinks meanwhile.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, Open::Read)?;
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(io::Error::other)?;
        bytes.resize(len, 0);
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Writes these contents, whole and durable, into `path.tmp`, whose name it answers: what is still
    /// missing is to rename it and to sync the directory.
    ///
    /// # Errors
    /// What the system reports. A part of the temporary file may stay; the next call removes it.
    fn prepare(&self, path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        if self.entry(&temporary)?.is_some() {
            self.remove_file(&temporary)?;
        }
        let file = self.open(&temporary, Open::CreateNew)?;
        file.write_all_at(bytes, 0)?;
        // The contents first: a rename that survives a power cut before them names an empty file.
        file.sync_data()?;
        Ok(temporary)
    }

    /// Replaces the file at `path` by one with these contents, durably and in one step: `path.tmp`,
    /// sync, rename, sync of the directory.
    ///
    /// # Errors
    /// What the system reports; then the old or the new file is there, whole.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.prepare(path, bytes)?;
        self.rename(&temporary, path)?;
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }
}
