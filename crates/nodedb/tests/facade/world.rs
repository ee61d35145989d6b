//! A database in a directory of its own.

use nodedb::{ArchiveOptions, ArchivePolicy, CreateOptions, Database, OpenOptions};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

pub(crate) struct World {
    root: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.path("db")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn archive_url(&self) -> String {
        format!("file://{}", self.path("archive").display())
    }

    /// Small segments, so that rotation and reclaim happen within a test.
    pub(crate) fn small() -> CreateOptions {
        CreateOptions { vshards: 4, segment_bytes: 64 << 10, ..CreateOptions::default() }
    }

    pub(crate) fn archived(&self) -> CreateOptions {
        fs::create_dir_all(self.path("archive")).expect("a directory");
        let archive = ArchiveOptions { url: self.archive_url(), policy: ArchivePolicy::Required };
        CreateOptions { archive: Some(archive), ..Self::small() }
    }

    pub(crate) fn open(&self, create: CreateOptions) -> Database {
        Database::open_with(self.dir(), Self::options(Some(create))).expect("opened")
    }

    pub(crate) fn reopen(&self) -> Database {
        Database::open_with(self.dir(), Self::options(None)).expect("opened again")
    }

    pub(crate) fn options(create: Option<CreateOptions>) -> OpenOptions {
        let object_age = Duration::from_hours(1);
        OpenOptions { create, cores: Some(2), object_age, ..OpenOptions::default() }
    }
}

/// Every file below a directory with its bytes.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            let bytes = fs::read(&path).expect("read");
            files.insert(path, bytes);
        }
    }
    files
}

/// A copy of a directory, as `cp -r` makes it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for (path, bytes) in contents(from) {
        let target = to.join(path.strip_prefix(from).expect("below"));
        fs::create_dir_all(target.parent().expect("a parent")).expect("a directory");
        fs::write(target, bytes).expect("written");
    }
}

pub(crate) fn export(database: &Database, collection: &str) -> String {
    let mut out = Vec::new();
    let collection = database.collection(collection).expect("the collection");
    collection.export(&mut out).expect("exported");
    String::from_utf8(out).expect("text")
}
