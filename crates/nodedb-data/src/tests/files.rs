//! Real files that fail, or wait, where a test says so.

use nodedb_env::{Entry, File, FileIdentity, FileLock, Files, Open, RealFiles};
use parking_lot::{Condvar, Mutex};
use std::{
    io,
    os::fd::BorrowedFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Real files with faults. The faults are off at first.
#[derive(Debug, Default)]
pub(super) struct FaultyFiles {
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Whether syncs below `wal` fail.
    pub(super) syncs_fail: AtomicBool,
    /// New files cannot be made whose path contains this.
    pub(super) no_new_files: Mutex<Option<String>>,
    gate: Mutex<bool>,
    opened: Condvar,
}

impl Faults {
    /// Syncs below `wal` wait from now on.
    pub(super) fn close_gate(&self) {
        *self.gate.lock() = true;
    }

    /// They go on.
    pub(super) fn open_gate(&self) {
        *self.gate.lock() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut closed = self.gate.lock();
        while *closed {
            self.opened.wait(&mut closed);
        }
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn File>,
    faults: Option<Arc<Faults>>,
}

impl FaultyFiles {
    pub(super) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults)
    }
}

impl Files for FaultyFiles {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        if open == Open::CreateNew
            && let Some(part) = &*self.faults.no_new_files.lock()
            && path.to_string_lossy().contains(part.as_str())
        {
            return Err(io::Error::other("injected"));
        }
        let in_log = path.parent().is_some_and(|dir| dir.ends_with("wal"));
        Ok(Arc::new(FaultyFile {
            file: RealFiles.open(path, open)?,
            faults: in_log.then(|| self.faults()),
        }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealFiles.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        RealFiles.list(path)
    }

    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        RealFiles.entry(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFiles.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFiles.rename_new(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFiles.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFiles.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        RealFiles.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealFiles.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        RealFiles.lock(path)
    }

    fn identity(&self, path: &Path) -> io::Result<FileIdentity> {
        RealFiles.identity(path)
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        RealFiles.available_bytes(path)
    }
}

impl File for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Some(faults) = &self.faults {
            faults.pass();
            if faults.syncs_fail.load(Ordering::SeqCst) {
                return Err(io::Error::other("injected"));
            }
        }
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }
}
