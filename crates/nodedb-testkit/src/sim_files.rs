//! The simulated disk as tests hold it, and as the product sees it.

mod port;

use crate::{disk::Disk, seeded_random::SeededRandom, snapshot::Snapshot};
use nodedb_env::{Clock, Env, RealClock, RealThreads};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A disk in memory. Clones are handles to the same disk. Relative paths start at the root.
///
/// An empty disk has the root directory, durable, and nothing else.
#[derive(Clone, Debug)]
pub struct SimFiles {
    pub(crate) disk: Arc<Mutex<Disk>>,
}

impl SimFiles {
    /// An empty disk. The seed decides what crashes leave.
    pub fn new(seed: u64) -> Self {
        Self::from(Disk::new(seed))
    }

    fn from(disk: Disk) -> Self {
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// This disk, the real clock, random bytes by the disk's seed, real threads.
    pub fn env(&self) -> Env {
        self.env_with_clock(Arc::new(RealClock::new()))
    }

    /// As [`SimFiles::env`], with another clock: a [`ManualClock`](crate::ManualClock), for one.
    pub fn env_with_clock(&self, clock: Arc<dyn Clock>) -> Env {
        let seed = self.disk.lock().random.next();
        Env {
            files: Arc::new(self.clone()),
            clock,
            random: Arc::new(SeededRandom::new(seed)),
            threads: Arc::new(RealThreads),
        }
    }

    /// The disk after a power cut now: every unsynced sector and change of a name survives or does
    /// not, by the seed; all that survived is durable. Another call gives another image of the same
    /// moment. This disk goes on, so stop its users first or let them write into the void.
    #[must_use]
    pub fn crash(&self) -> Self {
        Self::from(self.disk.lock().cut_power())
    }

    /// The disk after a power cut that keeps nothing unsynced.
    #[must_use]
    pub fn crash_losing_all(&self) -> Self {
        Self::from(self.disk.lock().cut_power_losing_all())
    }

    /// The disk after a kill of the process: all live bytes and names are there. What was not synced
    /// still is not, so a power cut after the restart may lose it.
    #[must_use]
    pub fn crash_keeping_all(&self) -> Self {
        Self::from(self.disk.lock().kill())
    }

    /// Lets the `nth` `sync_data` from now (1 = the next) fail with EIO, once. Its sectors are then
    /// clean: visible, not on disk, and no later sync writes them.
    pub fn fail_sync(&self, nth: u64) {
        self.disk.lock().faults.sync.set(nth);
    }

    /// Lets the `nth` `write_all_at` from now fail with EIO, once, after a part of its bytes.
    pub fn fail_write(&self, nth: u64) {
        self.disk.lock().faults.write.set(nth);
    }

    /// Lets the `nth` `sync_dir` from now fail with EIO, once. The directory's changes are then in
    /// doubt for ever: no later sync makes them durable.
    pub fn fail_dir_sync(&self, nth: u64) {
        self.disk.lock().faults.dir_sync.set(nth);
    }

    /// Lets every read of the file at a path fail with EIO, also after a crash.
    ///
    /// # Errors
    /// If nothing stands there.
    pub fn fail_read(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let inode = disk.find(path.as_ref())?;
        disk.faults.unreadable.insert(inode);
        Ok(())
    }

    /// Bytes that all files together may have; `None` for no end. Growth beyond is `StorageFull`,
    /// after a part of it.
    pub fn set_quota(&self, bytes: Option<u64>) {
        self.disk.lock().faults.quota = bytes;
    }

    /// Kills the machine after `count` more mutating operations: every call fails from then on.
    pub fn crash_after(&self, count: u64) {
        let mut disk = self.disk.lock();
        disk.faults.dead_at = Some(disk.operations.saturating_add(count));
    }

    /// Withdraws every fault, the quota and the death of the machine. What was lost stays lost.
    pub fn clear_faults(&self) {
        self.disk.lock().faults = crate::faults::Faults::default();
    }

    /// Mutating operations so far: writes, allocations, syncs and changes of names, whether or not
    /// they succeeded once begun.
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// All live paths and bytes.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.disk.lock(), crate::disk::ROOT, Path::new("/"))
    }

    /// Whether these are all files there are, with these bytes. Cheaper than a snapshot.
    pub fn has_exactly(&self, files: &BTreeMap<PathBuf, Vec<u8>>) -> bool {
        Snapshot::are_files_of(&self.disk.lock(), files)
    }
}

#[cfg(test)]
mod tests;
