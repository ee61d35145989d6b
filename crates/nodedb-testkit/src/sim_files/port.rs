//! The file port over the simulated disk.

use crate::{
    disk::Disk,
    errno,
    names::{Change, Inode, Slot},
    sim_file::{Access, SimFile, SimLock},
    sim_files::SimFiles,
    snapshot::Snapshot,
};
use nodedb_env::{Entry, EntryKind, File, FileIdentity, FileLock, Files, Open};
use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Every call holds the disk for its whole length, so each is atomic to its observers.
impl Files for SimFiles {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk.lock();
        disk.alive()?;
        let inode = match open {
            Open::CreateNew => {
                let slot = free_slot(&disk, path)?;
                disk.mutate()?;
                disk.create_file(slot)
            }
            Open::Read | Open::ReadWrite => disk.find(path)?,
        };
        if disk.is_directory(inode) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let access = match open {
            Open::Read => Access::Read,
            Open::ReadWrite | Open::CreateNew => Access::ReadWrite,
        };
        Ok(Arc::new(SimFile::open(&self.disk, &mut disk, inode, access)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.alive()?;
        let slot = free_slot(&disk, path)?;
        disk.mutate()?;
        let inode = disk.new_inode();
        disk.names.add_directory(inode);
        disk.names.apply(Change::new(vec![(slot, Some(inode))]));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let disk = self.disk.lock();
        disk.alive()?;
        let entries = disk.entries(disk.find(path)?)?.iter();
        Ok(entries.map(|(name, inode)| entry_of(&disk, name, *inode)).collect())
    }

    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        let disk = self.disk.lock();
        disk.alive()?;
        match disk.find(path) {
            Ok(inode) => {
                let name = path.file_name().unwrap_or_default();
                Ok(Some(entry_of(&disk, name, inode)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.alive()?;
        rename(&mut disk, from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.alive()?;
        free_slot(&disk, to)?;
        rename(&mut disk, from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.alive()?;
        let inode = disk.find(from)?;
        disk.contents(inode)?;
        let slot = free_slot(&disk, to)?;
        disk.mutate()?;
        disk.names.apply(Change::new(vec![(slot, Some(inode))]));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.alive()?;
        disk.contents(disk.find(path)?)?;
        let slot = disk.slot(path)?;
        disk.mutate()?;
        disk.names.apply(Change::new(vec![(slot, None)]));
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.alive()?;
        disk.entries(disk.find(path)?)?;
        // The root has no slot and cannot go.
        disk.slot(path)?;
        let snapshot = Snapshot::of(&disk, disk.find(path)?, Path::new(""));
        // Children before their parents, one operation each: a crash between two leaves a part.
        let directories = snapshot.directories().iter();
        let mut inside: Vec<&PathBuf> = snapshot.files().keys().chain(directories).collect();
        inside.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        for child in inside {
            let slot = disk.slot(&path.join(child))?;
            let removed = disk.at(&slot).filter(|inode| disk.is_directory(*inode));
            disk.mutate()?;
            disk.names.apply(Change::new(vec![(slot, None)]).removing(removed));
        }
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.alive()?;
        let directory = disk.find(path)?;
        disk.entries(directory)?;
        disk.mutate()?;
        if disk.faults.dir_sync.fires() {
            disk.names.doubt(directory);
            return errno::fail(errno::INPUT_OUTPUT);
        }
        disk.names.sync(directory);
        disk.sweep();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let mut disk = self.disk.lock();
        disk.alive()?;
        let slot = disk.slot(path)?;
        let inode = if let Some(inode) = disk.at(&slot) {
            inode
        } else {
            disk.mutate()?;
            disk.create_file(slot)
        };
        disk.contents(inode)?;
        Ok(Box::new(SimLock::take(&self.disk, &mut disk, inode)?))
    }

    fn identity(&self, path: &Path) -> io::Result<FileIdentity> {
        let disk = self.disk.lock();
        disk.alive()?;
        let inode = disk.find(path)?;
        Ok(FileIdentity {
            file_system: disk.file_system,
            inode,
            born_ns: inode.saturating_mul(1_000),
        })
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        let disk = self.disk.lock();
        disk.alive()?;
        disk.find(path)?;
        Ok(disk.available_bytes())
    }
}

fn entry_of(disk: &Disk, name: &OsStr, inode: Inode) -> Entry {
    let (kind, len) = match disk.files.get(&inode) {
        Some(contents) => (EntryKind::File, contents.live().len() as u64),
        None => (EntryKind::Directory, 0),
    };
    let name = name.to_owned();
    Entry { name, kind, len }
}

/// The slot of a path at which nothing stands.
fn free_slot(disk: &Disk, path: &Path) -> io::Result<Slot> {
    let slot = disk.slot(path)?;
    match disk.at(&slot) {
        Some(_) => errno::fail(errno::EXISTS),
        None => Ok(slot),
    }
}

fn rename(disk: &mut Disk, from: &Path, to: &Path) -> io::Result<()> {
    let inode = disk.find(from)?;
    let (source, target) = (disk.slot(from)?, disk.slot(to)?);
    let replaced = disk.at(&target);
    if replaced == Some(inode) {
        return Ok(());
    }
    let moved_directory = disk.is_directory(inode);
    if moved_directory && to.starts_with(from) {
        return errno::fail(errno::INVALID);
    }
    let mut removed = None;
    if let Some(replaced) = replaced {
        match (moved_directory, disk.names.entries(replaced)) {
            (false, Some(_)) => return errno::fail(errno::IS_A_DIRECTORY),
            (true, None) => return errno::fail(errno::NOT_A_DIRECTORY),
            (true, Some(entries)) if !entries.is_empty() => {
                return errno::fail(errno::NOT_EMPTY);
            }
            (true, Some(_)) => removed = Some(replaced),
            (false, None) => {}
        }
    }
    disk.mutate()?;
    let slots = vec![(source, None), (target, Some(inode))];
    disk.names.apply(Change::new(slots).removing(removed));
    Ok(())
}
