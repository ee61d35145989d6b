//! How many files an open of a long log has open at a time.

use crate::world::{Log, dir, killed, options};
use nodedb_env::{Entry, Env, File, FileIdentity, FileLock, Files, Open};
use nodedb_testkit::SimFiles;
use nodedb_wal::Wal;
use parking_lot::Mutex;
use std::{
    io,
    path::Path,
    sync::{Arc, Weak},
};

/// An archive that cannot be reached holds the log back, segment after segment. Were all of them open at
/// a time, a log with more segments than a process may have files could not be opened any more.
#[test]
fn opening_a_long_log_needs_few_files_at_a_time() {
    let log = Log::create(SimFiles::new(1), options());
    log.fill_segments(12);
    let files = Arc::new(Counted { files: killed(&log.disk), opened: Mutex::default() });
    let env = Env { files: Arc::<Counted>::clone(&files), ..log.env };
    let (wal, report) = Wal::open(&env, dir(), options()).expect("sound");
    assert_eq!(report.segments, 12);
    let most = files.opened.lock().most;
    assert!(most < 10, "{most} files were open at a time");
    drop(wal);
}

/// A disk that counts its open files.
#[derive(Debug)]
struct Counted {
    files: SimFiles,
    opened: Mutex<Opened>,
}

#[derive(Debug, Default)]
struct Opened {
    handles: Vec<Weak<dyn File>>,
    most: usize,
}

impl Files for Counted {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        let file = self.files.open(path, open)?;
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
