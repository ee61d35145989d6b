//! Files that ask a test before every call, and tell it after.

use nodedb_env::{Entry, File, FileIdentity, FileLock, Files, Open};
use std::{
    fmt::Debug,
    io,
    os::fd::BorrowedFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What a call does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// Opens a file that is there.
    Open,
    /// Makes a file.
    Create,
    /// Reads a file, or its length.
    Read,
    /// Writes into a file.
    Write,
    /// Reserves room for a file.
    Allocate,
    /// Syncs a file.
    Sync,
    /// Hints that a file is to be written out. A probe cannot refuse it.
    StartWriteBack,
    /// Makes a directory.
    CreateDir,
    /// Lists a directory or looks a name up.
    Look,
    /// Renames a file; the path is the old one.
    Rename,
    /// Gives a file a second name; the path is the old one.
    Link,
    /// Removes a file or a directory.
    Remove,
    /// Syncs a directory.
    SyncDir,
    /// Locks a file.
    Lock,
}

impl Operation {
    /// Whether the call is meant to change something on disk.
    pub const fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::StartWriteBack | Self::Look | Self::Lock)
    }
}

/// One call, as a probe sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What it does.
    pub operation: Operation,
    /// On which path; of an open file the one that it was opened by.
    pub path: &'a Path,
    /// Tells open files apart; 0 for a call on a path.
    pub handle: u64,
}

/// Decides about calls.
pub trait Probe: Send + Sync + Debug {
    /// Comes before a call, on its thread, and may wait.
    ///
    /// # Errors
    /// Whatever the call is to answer instead of being done.
    fn before(&self, call: &Call<'_>) -> io::Result<()>;

    /// Comes after a call, also after one that a probe has refused.
    fn after(&self, call: &Call<'_>, failed: bool);
}

/// Any files, with a probe around every call.
#[derive(Clone, Debug)]
pub struct ProbedFiles {
    files: Arc<dyn Files>,
    probe: Arc<dyn Probe>,
    handles: Arc<AtomicU64>,
}

impl ProbedFiles {
    /// These files, through this probe.
    pub fn new(files: Arc<dyn Files>, probe: Arc<dyn Probe>) -> Self {
        Self { files, probe, handles: Arc::new(AtomicU64::new(1)) }
    }

    fn on<T>(
        &self,
        operation: Operation,
        path: &Path,
        call: impl FnOnce(&dyn Files) -> io::Result<T>,
    ) -> io::Result<T> {
        let seen = Call { operation, path, handle: 0 };
        around(self.probe.as_ref(), &seen, || call(self.files.as_ref()))
    }
}

fn around<T>(
    probe: &dyn Probe,
    call: &Call<'_>,
    body: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let done = probe.before(call).and_then(|()| body());
    probe.after(call, done.is_err());
    done
}

#[derive(Debug)]
struct ProbedFile {
    file: Arc<dyn File>,
    probe: Arc<dyn Probe>,
    path: Box<Path>,
    handle: u64,
}

impl ProbedFile {
    fn on<T>(
        &self,
        operation: Operation,
        call: impl FnOnce(&Arc<dyn File>) -> io::Result<T>,
    ) -> io::Result<T> {
        let seen = Call { operation, path: &self.path, handle: self.handle };
        around(self.probe.as_ref(), &seen, || call(&self.file))
    }
}

impl Files for ProbedFiles {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        let operation = match open {
            Open::CreateNew => Operation::Create,
            Open::Read | Open::ReadWrite => Operation::Open,
        };
        let file = self.on(operation, path, |files| files.open(path, open))?;
        Ok(Arc::new(ProbedFile {
            file,
            probe: Arc::clone(&self.probe),
            path: path.into(),
            handle: self.handles.fetch_add(1, Ordering::Relaxed),
        }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.on(Operation::CreateDir, path, |files| files.create_dir(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.on(Operation::Look, path, |files| files.list(path))
    }

    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        self.on(Operation::Look, path, |files| files.entry(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.on(Operation::Rename, from, |files| files.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.on(Operation::Rename, from, |files| files.rename_new(from, to))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.on(Operation::Link, from, |files| files.hard_link(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.on(Operation::Remove, path, |files| files.remove_file(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.on(Operation::Remove, path, |files| files.remove_dir_all(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.on(Operation::SyncDir, path, |files| files.sync_dir(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.on(Operation::Lock, path, |files| files.lock(path))
    }

    fn identity(&self, path: &Path) -> io::Result<FileIdentity> {
        self.on(Operation::Look, path, |files| files.identity(path))
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.on(Operation::Look, path, |files| files.available_bytes(path))
    }
}

impl File for ProbedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.on(Operation::Read, |file| file.read_at(buffer, offset))
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.on(Operation::Write, |file| file.write_all_at(bytes, offset))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.on(Operation::Allocate, |file| file.allocate(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.on(Operation::Sync, |file| file.sync_data())
    }

    fn start_write_back(&self, offset: u64) {
        let hint = |file: &Arc<dyn File>| {
            file.start_write_back(offset);
            Ok(())
        };
        match self.on(Operation::StartWriteBack, hint) {
            Ok(()) | Err(_) => {}
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.on(Operation::Read, |file| file.len())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SimFiles;
    use parking_lot::Mutex;

    #[derive(Debug, Default)]
    struct NoSyncs(Mutex<Vec<(Operation, bool)>>);

    impl Probe for NoSyncs {
        fn before(&self, call: &Call<'_>) -> io::Result<()> {
            if call.operation == Operation::Sync {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            Ok(())
        }

        fn after(&self, call: &Call<'_>, failed: bool) {
            self.0.lock().push((call.operation, failed));
        }
    }

    #[test]
    fn a_refused_call_is_not_done_and_every_call_is_told() {
        let disk = SimFiles::new(1);
        let probe = Arc::new(NoSyncs::default());
        let files = ProbedFiles::new(Arc::new(disk.clone()), Arc::<NoSyncs>::clone(&probe));
        let path = Path::new("/a");
        let file = files.open(path, Open::CreateNew).unwrap();
        file.write_all_at(b"x", 0).unwrap();
        assert!(file.sync_data().is_err());
        files.sync_dir(Path::new("/")).unwrap();
        let seen = std::mem::take(&mut *probe.0.lock());
        let expected = [
            (Operation::Create, false),
            (Operation::Write, false),
            (Operation::Sync, true),
            (Operation::SyncDir, false),
        ];
        assert_eq!(seen, expected);
        assert_eq!(disk.crash_losing_all().read(path).unwrap(), b"");
    }
}
