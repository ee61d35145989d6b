//! Crash images: what is on the disk when the machine comes back.

use crate::{contents::Contents, disk::Disk, names::Inode, seeded_random::Sequence};
use std::collections::BTreeMap;

impl Disk {
    /// Power is cut: unsynced sectors and names survive by chance.
    pub(crate) fn cut_power(&mut self) -> Self {
        // The image has its own sequence: two images of one moment differ.
        let mut random = Sequence::new(self.random.next());
        let mut after = self.restarted(random.next());
        after.names.cut_power(&mut random);
        after.replace_contents(|contents| contents.after_power_cut(&mut random));
        after
    }

    /// Power is cut and nothing survives that was not synced.
    pub(crate) fn cut_power_losing_all(&mut self) -> Self {
        let seed = self.random.next();
        let mut after = self.restarted(seed);
        after.names.forget_pending();
        after.replace_contents(|contents| contents.on_disk().to_vec());
        after
    }

    /// The process is killed: the page cache survives, and is as little on disk as before.
    pub(crate) fn kill(&mut self) -> Self {
        let seed = self.random.next();
        let mut after = self.restarted(seed);
        after.sweep();
        after
    }

    /// The same bytes without handles, locks, counts and the faults of this run.
    fn restarted(&self, seed: u64) -> Self {
        let mut after = self.clone();
        after.faults = self.faults.after_crash();
        after.locked.clear();
        after.handles.clear();
        after.operations = 0;
        after.random = Sequence::new(seed);
        after
    }

    fn replace_contents(&mut self, mut surviving: impl FnMut(&Contents) -> Vec<u8>) {
        self.sweep();
        let files = std::mem::take(&mut self.files);
        let survive = |(inode, contents): (Inode, Contents)| {
            let bytes = surviving(&contents);
            (inode, Contents::durable(bytes))
        };
        self.files = files.into_iter().map(survive).collect::<BTreeMap<_, _>>();
    }
}
