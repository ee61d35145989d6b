//! Damage done by the test itself, to live and durable state alike. No fault hits these calls, and
//! they count as no operation.

use crate::{
    contents::Contents,
    disk::Disk,
    names::{Change, Inode, Slot},
    sim_files::SimFiles,
};
use std::{io, path::Path};

const THERE: &str = "what a test damages is there";

#[expect(
    clippy::expect_used,
    reason = "a test that damages what is not there is wrong itself, and shall say so at once"
)]
impl SimFiles {
    /// Inverts the bits of `xor` in one byte of a file.
    ///
    /// # Panics
    /// If there is no such file or byte, or `xor` is 0.
    pub fn corrupt(&self, path: impl AsRef<Path>, offset: u64, xor: u8) {
        let mut disk = self.disk.lock();
        assert!(xor != 0, "a corruption changes the byte");
        let inode = disk.find(path.as_ref()).expect(THERE);
        let contents = disk.contents_mut(inode).expect(THERE);
        let offset = usize::try_from(offset).expect(THERE);
        assert!(offset < contents.live().len(), "{THERE}: byte {offset}");
        contents.corrupt(offset, xor);
    }

    /// Writes other bytes over a part of a file, as a device does that writes to the wrong place.
    ///
    /// # Panics
    /// If there is no such file, or it ends before.
    pub fn overwrite(&self, path: impl AsRef<Path>, offset: u64, bytes: &[u8]) {
        let mut disk = self.disk.lock();
        let inode = disk.find(path.as_ref()).expect(THERE);
        let contents = disk.contents_mut(inode).expect(THERE);
        let offset = usize::try_from(offset).expect(THERE);
        let end = offset.saturating_add(bytes.len());
        assert!(end <= contents.live().len(), "{THERE}: bytes {offset} to {end}");
        contents.overwrite(offset, bytes);
    }

    /// Cuts a file down to `len` bytes.
    ///
    /// # Panics
    /// If there is no such file, or it is shorter.
    pub fn truncate(&self, path: impl AsRef<Path>, len: u64) {
        let mut disk = self.disk.lock();
        let inode = disk.find(path.as_ref()).expect(THERE);
        let contents = disk.contents_mut(inode).expect(THERE);
        let len = usize::try_from(len).expect(THERE);
        assert!(len <= contents.live().len(), "{THERE}: length {len}");
        contents.truncate(len);
    }

    /// Puts a file with these bytes at a path, all durable, in the place of a file there. Missing
    /// directories are made.
    ///
    /// # Panics
    /// If a directory stands at the path.
    pub fn plant(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let mut disk = self.disk.lock();
        let path = path.as_ref();
        make_directories(&mut disk, path.parent().unwrap_or(Path::new("")))
            .expect("directories lead to what a test plants");
        let taken = disk.find(path).is_ok_and(|inode| disk.is_directory(inode));
        assert!(!taken, "a test plants where no directory stands");
        let inode = disk.new_inode();
        disk.files.insert(inode, Contents::durable(bytes.to_vec()));
        link_durably(&mut disk, path, Some(inode)).expect(THERE);
    }

    /// Makes a directory and the ones above it, all durable; no matter if some are there.
    ///
    /// # Panics
    /// If a file stands in the way.
    pub fn plant_dir(&self, path: impl AsRef<Path>) {
        make_directories(&mut self.disk.lock(), path.as_ref())
            .expect("directories lead to what a test plants");
    }

    /// Removes a file, or a directory with all that is in it.
    ///
    /// # Panics
    /// If nothing stands there.
    pub fn remove(&self, path: impl AsRef<Path>) {
        let mut disk = self.disk.lock();
        disk.find(path.as_ref()).expect(THERE);
        link_durably(&mut disk, path.as_ref(), None).expect(THERE);
    }

    /// Copies the live bytes of a file, or of a directory with all that is in it. The copies are
    /// durable and have identities of their own.
    ///
    /// # Panics
    /// If nothing stands at `from`, or something at `to`.
    pub fn copy(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        let mut disk = self.disk.lock();
        let source = disk.find(from.as_ref()).expect(THERE);
        let free = disk.find(to.as_ref()).is_err();
        assert!(free, "a test copies to where nothing stands");
        let copy = copy_tree(&mut disk, source).expect(THERE);
        link_durably(&mut disk, to.as_ref(), Some(copy))
            .expect("directories lead to where a test copies");
    }
}

fn link_durably(disk: &mut Disk, path: &Path, inode: Option<Inode>) -> io::Result<()> {
    let slot = disk.slot(path)?;
    disk.names.apply_durably(&Change::new(vec![(slot, inode)]));
    Ok(())
}

fn make_directories(disk: &mut Disk, path: &Path) -> io::Result<()> {
    let above: Vec<&Path> = path.ancestors().collect();
    for path in above.into_iter().rev() {
        if let Ok(inode) = disk.find(path) {
            disk.entries(inode)?;
        } else {
            let inode = disk.new_inode();
            disk.names.add_directory(inode);
            link_durably(disk, path, Some(inode))?;
        }
    }
    Ok(())
}

fn copy_tree(disk: &mut Disk, source: Inode) -> io::Result<Inode> {
    let copy = disk.new_inode();
    let Some(entries) = disk.names.entries(source).cloned() else {
        let bytes = disk.contents(source)?.live().to_vec();
        disk.files.insert(copy, Contents::durable(bytes));
        return Ok(copy);
    };
    disk.names.add_directory(copy);
    for (name, child) in entries {
        let child = copy_tree(disk, child)?;
        let slot = Slot::new(copy, &name);
        disk.names.apply_durably(&Change::new(vec![(slot, Some(child))]));
    }
    Ok(copy)
}
