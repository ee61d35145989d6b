//! The state of the simulated machine's file system.

use crate::{
    contents::Contents,
    errno,
    faults::Faults,
    names::{Change, Entries, Inode, Names, Slot},
    seeded_random::Sequence,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io,
    path::{Component, Path},
};

pub(crate) const ROOT: Inode = 1;

/// Longest file, in bytes: a wild offset is an error, not an exhausted test machine.
const FILE_LEN_MAX: u64 = 4 << 30;

/// Free bytes of a disk without a quota.
const AMPLE: u64 = 1 << 40;

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) file_system: u64,
    pub(crate) files: BTreeMap<Inode, Contents>,
    pub(crate) names: Names,
    pub(crate) faults: Faults,
    pub(crate) locked: BTreeSet<Inode>,
    /// Open handles per file: an unlinked file lives until the last is dropped.
    pub(crate) handles: BTreeMap<Inode, usize>,
    pub(crate) random: Sequence,
    pub(crate) operations: u64,
    next_inode: Inode,
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Sequence::new(seed);
        let mut names = Names::default();
        names.add_directory(ROOT);
        Self {
            file_system: random.next(),
            files: BTreeMap::new(),
            names,
            faults: Faults::default(),
            locked: BTreeSet::new(),
            handles: BTreeMap::new(),
            random,
            operations: 0,
            next_inode: ROOT + 1,
        }
    }

    /// Every call begins here, or at [`Disk::mutate`].
    pub(crate) fn alive(&self) -> io::Result<()> {
        self.faults.check_alive(self.operations)
    }

    /// Counts a call that changes the disk.
    pub(crate) fn mutate(&mut self) -> io::Result<()> {
        self.alive()?;
        self.operations += 1;
        Ok(())
    }

    pub(crate) fn entries(&self, directory: Inode) -> io::Result<&Entries> {
        match self.names.entries(directory) {
            Some(entries) => Ok(entries),
            None => errno::fail(errno::NOT_A_DIRECTORY),
        }
    }

    /// What stands at a path; the root for an empty one.
    pub(crate) fn find(&self, path: &Path) -> io::Result<Inode> {
        let mut inode = ROOT;
        for name in names_of(path)? {
            match self.entries(inode)?.get(name) {
                Some(next) => inode = *next,
                None => return errno::fail(errno::NOT_FOUND),
            }
        }
        Ok(inode)
    }

    /// The directory that holds a path, and the path's last name.
    pub(crate) fn slot(&self, path: &Path) -> io::Result<Slot> {
        let names = names_of(path)?;
        let Some((last, parents)) = names.split_last() else {
            return errno::fail(errno::INVALID);
        };
        let mut directory = ROOT;
        for name in parents {
            match self.entries(directory)?.get(*name) {
                Some(next) => directory = *next,
                None => return errno::fail(errno::NOT_FOUND),
            }
        }
        self.entries(directory)?;
        Ok(Slot::new(directory, last))
    }

    pub(crate) fn at(&self, slot: &Slot) -> Option<Inode> {
        self.names.entries(slot.directory).and_then(|entries| entries.get(&slot.name)).copied()
    }

    pub(crate) fn is_directory(&self, inode: Inode) -> bool {
        self.names.entries(inode).is_some()
    }

    pub(crate) fn new_inode(&mut self) -> Inode {
        let inode = self.next_inode;
        self.next_inode += 1;
        inode
    }

    pub(crate) fn create_file(&mut self, slot: Slot) -> Inode {
        let inode = self.new_inode();
        self.files.insert(inode, Contents::default());
        self.names.apply(Change::new(vec![(slot, Some(inode))]));
        inode
    }

    pub(crate) fn contents(&self, inode: Inode) -> io::Result<&Contents> {
        match self.files.get(&inode) {
            Some(contents) => Ok(contents),
            None => errno::fail(errno::IS_A_DIRECTORY),
        }
    }

    pub(crate) fn contents_mut(&mut self, inode: Inode) -> io::Result<&mut Contents> {
        match self.files.get_mut(&inode) {
            Some(contents) => Ok(contents),
            None => errno::fail(errno::IS_A_DIRECTORY),
        }
    }

    /// Bytes of all files that a live name or an open handle leads to.
    fn used_bytes(&self) -> u64 {
        let mut reachable: BTreeSet<Inode> = self.handles.keys().copied().collect();
        for directory in self.names.directories() {
            if let Some(entries) = self.names.entries(directory) {
                reachable.extend(entries.values().copied());
            }
        }
        self.files
            .iter()
            .filter(|(inode, _)| reachable.contains(inode))
            .map(|(_, contents)| contents.live().len() as u64)
            .sum()
    }

    pub(crate) fn available_bytes(&self) -> u64 {
        let total = self.faults.quota.unwrap_or(AMPLE);
        total.saturating_sub(self.used_bytes())
    }

    /// How long a file can get that wants `len` bytes; less than that if the disk is full.
    pub(crate) fn room_for(&self, inode: Inode, len: u64) -> io::Result<usize> {
        if len > FILE_LEN_MAX {
            return errno::fail(errno::FILE_TOO_BIG);
        }
        let now = self.contents(inode)?.live().len() as u64;
        let mut room = len;
        if len > now && self.faults.quota.is_some() {
            room = len.min(now + self.available_bytes());
        }
        usize::try_from(room).map_err(io::Error::other)
    }

    /// Forgets files that nothing leads to any more.
    pub(crate) fn sweep(&mut self) {
        let mentioned = self.names.sweep(ROOT);
        let handles = &self.handles;
        self.files.retain(|inode, _| mentioned.contains(inode) || handles.contains_key(inode));
    }
}

/// The names of a path from the root; relative paths start there too.
fn names_of(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return errno::fail(errno::INVALID),
        }
    }
    Ok(names)
}
