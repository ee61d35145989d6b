//! A disk that counts what is opened and read.

use nodedb_env::{Entry, Env, File, FileIdentity, FileLock, Files, Open};
use nodedb_testkit::SimFiles;
use parking_lot::Mutex;
use std::{
    io,
    os::fd::BorrowedFd,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

#[derive(Debug)]
pub(crate) struct Counted {
    files: SimFiles,
    opened: Mutex<Opened>,
    bytes_read: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Opened {
    handles: Vec<Weak<dyn File>>,
    most: usize,
}

impl Counted {
    pub(crate) fn new(files: SimFiles) -> Arc<Self> {
        Arc::new(Self { files, opened: Mutex::default(), bytes_read: Arc::default() })
    }

    pub(crate) fn env(self: &Arc<Self>) -> Env {
        Env { files: Arc::<Self>::clone(self), ..self.files.env() }
    }

    /// Most files that were open at a time.
    pub(crate) fn most_open(&self) -> usize {
        self.opened.lock().most
    }

    /// Bytes that were read from files since the last call.
    pub(crate) fn take_bytes_read(&self) -> u64 {
        self.bytes_read.swap(0, Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct CountedFile {
    file: Arc<dyn File>,
    bytes_read: Arc<AtomicU64>,
}

impl File for CountedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.file.read_at(buffer, offset)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }
}

impl Files for Counted {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        let file = self.files.open(path, open)?;
        let bytes_read = Arc::clone(&self.bytes_read);
        let file: Arc<dyn File> = Arc::new(CountedFile { file, bytes_read });
        let mut opened = self.opened.lock();
        opened.handles.push(Arc::downgrade(&file));
        opened.handles.retain(|handle| handle.strong_count() > 0);
        opened.most = opened.most.max(opened.handles.len());
        drop(opened);
        Ok(file)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.files.create_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.files.list(path)
    }
    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        self.files.entry(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename_new(from, to)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.hard_link(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.files.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.files.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.files.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.files.lock(path)
    }
    fn identity(&self, path: &Path) -> io::Result<FileIdentity> {
        self.files.identity(path)
    }
    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.files.available_bytes(path)
    }
}
