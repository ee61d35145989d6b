//! The whole disk at one moment, to compare with another.

use crate::{disk::Disk, names::Inode};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

/// All paths with their live bytes. Equal snapshots mean that not a byte or name changed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    files: BTreeMap<PathBuf, Vec<u8>>,
    directories: BTreeSet<PathBuf>,
}

impl Snapshot {
    pub(crate) fn of(disk: &Disk, start: Inode, path: &Path) -> Self {
        let mut snapshot = Self::default();
        let mut open = vec![(start, path.to_owned())];
        while let Some((inode, path)) = open.pop() {
            if let Some(entries) = disk.names.entries(inode) {
                let children = entries.iter();
                open.extend(children.map(|(name, inode)| (*inode, path.join(name))));
                snapshot.directories.insert(path);
            } else if let Some(contents) = disk.files.get(&inode) {
                snapshot.files.insert(path, contents.live().to_vec());
            }
        }
        snapshot
    }

    /// Whether these are all files of a disk and their live bytes; takes no copy.
    pub(crate) fn are_files_of(disk: &Disk, files: &BTreeMap<PathBuf, Vec<u8>>) -> bool {
        let mut found = 0;
        let mut open = vec![(crate::disk::ROOT, PathBuf::from("/"))];
        while let Some((inode, path)) = open.pop() {
            if let Some(entries) = disk.names.entries(inode) {
                let children = entries.iter();
                open.extend(children.map(|(name, inode)| (*inode, path.join(name))));
            } else if let Some(contents) = disk.files.get(&inode) {
                if files.get(&path).map(Vec::as_slice) != Some(contents.live()) {
                    return false;
                }
                found += 1;
            }
        }
        found == files.len()
    }

    /// Every file, by its path.
    pub fn files(&self) -> &BTreeMap<PathBuf, Vec<u8>> {
        &self.files
    }

    /// Every directory.
    pub fn directories(&self) -> &BTreeSet<PathBuf> {
        &self.directories
    }

    /// The paths that differ, sorted: there in only one of the two, or with other bytes.
    pub fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let names = self.files.keys().chain(other.files.keys());
        let changed = names.filter(|path| self.files.get(*path) != other.files.get(*path));
        let directories = self.directories.symmetric_difference(&other.directories);
        let all: BTreeSet<_> = changed.chain(directories).cloned().collect();
        all.into_iter().collect()
    }
}

/// Paths and lengths only: a failed comparison must stay readable.
impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.iter();
        let lengths: BTreeMap<_, _> = files.map(|(path, bytes)| (path, bytes.len())).collect();
        formatter
            .debug_struct("Snapshot")
            .field("files", &lengths)
            .field("directories", &self.directories)
            .finish()
    }
}
