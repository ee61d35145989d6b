//! An open file of the simulated disk, and a lock on one.

use crate::{disk::Disk, errno, names::Inode};
use nodedb_env::{File, FileLock};
use parking_lot::Mutex;
use std::{io, os::fd::BorrowedFd, sync::Arc};

#[derive(Debug)]
pub(crate) struct SimFile {
    disk: Arc<Mutex<Disk>>,
    inode: Inode,
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

impl SimFile {
    /// `disk` is the locked state of `shared`.
    pub(crate) fn open(
        shared: &Arc<Mutex<Disk>>,
        disk: &mut Disk,
        inode: Inode,
        access: Access,
    ) -> Self {
        *disk.handles.entry(inode).or_default() += 1;
        Self { disk: Arc::clone(shared), inode, access }
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.access {
            Access::Read => errno::fail(errno::BAD_DESCRIPTOR),
            Access::ReadWrite => Ok(()),
        }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if let Some(count) = disk.handles.get_mut(&self.inode) {
            *count -= 1;
            if *count == 0 {
                disk.handles.remove(&self.inode);
            }
        }
    }
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let disk = self.disk.lock();
        disk.alive()?;
        disk.faults.check_readable(self.inode)?;
        Ok(disk.contents(self.inode)?.read_at(buffer, offset))
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut disk = self.disk.lock();
        disk.mutate()?;
        let end = offset.saturating_add(bytes.len() as u64);
        let room = disk.room_for(self.inode, end)?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let fits = room.saturating_sub(start).min(bytes.len());
        let (written, failure) = if disk.faults.write.fires() {
            (disk.random.up_to(fits), Some(errno::INPUT_OUTPUT))
        } else if fits < bytes.len() {
            (fits, Some(errno::NO_SPACE))
        } else {
            (fits, None)
        };
        let contents = disk.contents_mut(self.inode)?;
        contents.write_at(&bytes[..written], start);
        failure.map_or(Ok(()), errno::fail)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut disk = self.disk.lock();
        disk.mutate()?;
        let room = disk.room_for(self.inode, len)?;
        disk.contents_mut(self.inode)?.grow(room);
        if (room as u64) < len {
            return errno::fail(errno::NO_SPACE);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.mutate()?;
        let fails = disk.faults.sync.fires();
        let contents = disk.contents_mut(self.inode)?;
        if fails {
            contents.forget_dirty();
            return errno::fail(errno::INPUT_OUTPUT);
        }
        contents.sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let disk = self.disk.lock();
        disk.alive()?;
        Ok(disk.contents(self.inode)?.live().len() as u64)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[derive(Debug)]
pub(crate) struct SimLock {
    disk: Arc<Mutex<Disk>>,
    inode: Inode,
}

impl SimLock {
    /// `disk` is the locked state of `shared`.
    pub(crate) fn take(
        shared: &Arc<Mutex<Disk>>,
        disk: &mut Disk,
        inode: Inode,
    ) -> io::Result<Self> {
        if !disk.locked.insert(inode) {
            return errno::fail(errno::WOULD_BLOCK);
        }
        Ok(Self { disk: Arc::clone(shared), inode })
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock().locked.remove(&self.inode);
    }
}

impl FileLock for SimLock {}
