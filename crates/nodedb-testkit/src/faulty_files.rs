//! Real files that fail, or wait, where a test says so.

use nodedb_env::{Entry, File, FileIdentity, FileLock, Files, Open, RealFiles};
use parking_lot::{Condvar, Mutex};
use std::{io, os::fd::BorrowedFd, path::Path, sync::Arc};

/// Real files with faults, for what [`crate::SimFiles`] cannot hold: libraries with file I/O of their
/// own, and directories that a test looks into. The faults are off at first.
#[derive(Debug, Default)]
pub struct FaultyFiles {
    faults: Arc<PathFaults>,
}

/// The faults of a [`FaultyFiles`], each for the paths that contain a text.
#[derive(Debug, Default)]
pub struct PathFaults {
    failing_syncs: Mutex<Option<String>>,
    failing_creates: Mutex<Option<String>>,
    held_syncs: Mutex<Option<String>>,
    released: Condvar,
}

impl PathFaults {
    /// Syncs of such files fail from now on; with `None`, none do.
    pub fn fail_syncs(&self, of: Option<&str>) {
        *self.failing_syncs.lock() = of.map(str::to_owned);
    }

    /// No such files can be made from now on; with `None`, all can.
    pub fn fail_creates(&self, of: Option<&str>) {
        *self.failing_creates.lock() = of.map(str::to_owned);
    }

    /// Syncs of such files wait from now on, until [`PathFaults::release_syncs`].
    pub fn hold_syncs(&self, of: &str) {
        *self.held_syncs.lock() = Some(of.to_owned());
    }

    /// Syncs that wait go on.
    pub fn release_syncs(&self) {
        *self.held_syncs.lock() = None;
        self.released.notify_all();
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let mut held = self.held_syncs.lock();
        while matches(path, held.as_deref()) {
            self.released.wait(&mut held);
        }
        drop(held);
        fail_if(path, &self.failing_syncs)
    }
}

fn matches(path: &Path, text: Option<&str>) -> bool {
    text.is_some_and(|text| path.to_string_lossy().contains(text))
}

fn fail_if(path: &Path, fault: &Mutex<Option<String>>) -> io::Result<()> {
    if matches(path, fault.lock().as_deref()) {
        return Err(io::Error::other("injected"));
    }
    Ok(())
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn File>,
    path: Box<Path>,
    faults: Arc<PathFaults>,
}

impl FaultyFiles {
    /// The switches.
    pub fn faults(&self) -> Arc<PathFaults> {
        Arc::clone(&self.faults)
    }
}

impl Files for FaultyFiles {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        if open == Open::CreateNew {
            fail_if(path, &self.faults.failing_creates)?;
        }
        let file = RealFiles.open(path, open)?;
        Ok(Arc::new(FaultyFile { file, path: path.into(), faults: self.faults() }))
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
        self.faults.sync(&self.path)?;
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }
}
