//! The bytes of one file, as the program sees them and as the disk has them.

use crate::seeded_random::Sequence;
use std::collections::{BTreeMap, BTreeSet};

/// What the disk writes whole, in bytes.
pub(crate) const SECTOR: usize = 512;

/// What is never torn, in bytes.
const WORD: usize = 8;

/// The live file is never shorter than the durable one: nothing in the port shrinks a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Numbers of the sectors that the next sync writes.
    dirty: BTreeSet<usize>,
    /// Of dirty sectors written more than once, the version before the last: the kernel may have
    /// written that one back, and no later one.
    early: BTreeMap<usize, Vec<u8>>,
    /// Whether the next sync writes the length.
    resized: bool,
}

impl Contents {
    /// A file all of whose bytes are durable.
    pub(crate) fn durable(bytes: Vec<u8>) -> Self {
        Self { live: bytes.clone(), durable: bytes, ..Self::default() }
    }

    pub(crate) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(crate) fn on_disk(&self) -> &[u8] {
        &self.durable
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> usize {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.live.get(from..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        count
    }

    pub(crate) fn write_at(&mut self, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        let sectors = offset / SECTOR..end.div_ceil(SECTOR);
        for &sector in self.dirty.range(sectors.clone()) {
            let (start, end) = span(sector, self.live.len());
            self.early.insert(sector, self.live[start..end].to_vec());
        }
        self.grow(end);
        self.live[offset..end].copy_from_slice(bytes);
        self.dirty.extend(sectors);
    }

    /// Lengthens the file to at least `len` by zeros.
    pub(crate) fn grow(&mut self, len: usize) {
        if len > self.live.len() {
            self.live.resize(len, 0);
            self.resized = true;
        }
    }

    pub(crate) fn sync(&mut self) {
        let len = self.len_after_sync();
        self.durable.resize(len, 0);
        for sector in std::mem::take(&mut self.dirty) {
            let (start, end) = span(sector, len);
            self.durable[start..end].copy_from_slice(&self.live[start..end]);
        }
        self.early.clear();
        self.resized = false;
    }

    /// What a failed sync leaves on Linux: pages marked clean, so that no later sync writes them.
    pub(crate) fn forget_dirty(&mut self) {
        self.dirty.clear();
        self.early.clear();
        self.resized = false;
    }

    /// The bytes after a power cut: of the unsynced sectors any subset, some in an earlier version,
    /// the last perhaps torn; of an unsynced growth any part.
    pub(crate) fn after_power_cut(&self, random: &mut Sequence) -> Vec<u8> {
        let len = self.len_after_power_cut(random);
        let mut bytes = self.durable.clone();
        bytes.resize(len, 0);
        // Another likelihood per file and crash, so that "almost all" and "almost none" occur too.
        let eighths = random.below(9);
        let last = self.dirty.last().copied();
        for &sector in &self.dirty {
            let reached = if Some(sector) == last && random.chance(4) {
                let words = random.up_to(SECTOR / WORD);
                let newest = self.newest(sector);
                &newest[..newest.len().min(words * WORD)]
            } else if random.chance(eighths) {
                self.newest(sector)
            } else if random.chance(4) {
                self.early.get(&sector).map_or(&[][..], Vec::as_slice)
            } else {
                &[]
            };
            let start = (sector * SECTOR).min(len);
            let count = reached.len().min(len - start);
            bytes[start..start + count].copy_from_slice(&reached[..count]);
        }
        bytes
    }

    fn newest(&self, sector: usize) -> &[u8] {
        let (start, end) = span(sector, self.live.len());
        &self.live[start..end]
    }

    fn len_after_power_cut(&self, random: &mut Sequence) -> usize {
        let old = self.durable.len();
        let new = self.len_after_sync();
        match random.below(3) {
            0 => old,
            1 => new,
            // The kernel grew the file as it wrote pages back, and did not come to the end.
            _ => {
                let grown = random.up_to((new - old) / SECTOR) * SECTOR;
                (old + grown).next_multiple_of(SECTOR).min(new).max(old)
            }
        }
    }

    /// After a failed sync the length is no longer dirty, but a later write beyond the durable end
    /// makes the disk's file longer all the same.
    fn len_after_sync(&self) -> usize {
        if self.resized {
            return self.live.len();
        }
        let written = self.dirty.last().map_or(0, |&last| (last + 1) * SECTOR);
        written.min(self.live.len()).max(self.durable.len())
    }

    /// Inverts bits in the live and the durable bytes.
    pub(crate) fn corrupt(&mut self, offset: usize, xor: u8) {
        for bytes in [&mut self.live, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= xor;
            }
        }
    }

    /// Puts other bytes into the live and the durable file, as far as each reaches.
    pub(crate) fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        for old in [&mut self.live, &mut self.durable] {
            let old = old.get_mut(offset..).unwrap_or_default();
            for (old, new) in old.iter_mut().zip(bytes) {
                *old = *new;
            }
        }
    }

    /// Cuts the live and the durable file.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.live.truncate(len);
        self.durable.truncate(len);
        self.dirty.retain(|&sector| sector * SECTOR < len);
        self.early.retain(|&sector, _| sector * SECTOR < len);
    }
}

/// First byte of a sector and the end of its part below `len`.
fn span(sector: usize, len: usize) -> (usize, usize) {
    let start = sector * SECTOR;
    (start, (start + SECTOR).min(len))
}

#[cfg(test)]
mod tests;
