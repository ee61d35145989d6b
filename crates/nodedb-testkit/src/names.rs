//! Directories: the names a program sees, the names on disk, and the changes between the two.

use crate::seeded_random::Sequence;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
};

/// Number of a file or directory; never used twice.
pub(crate) type Inode = u64;

pub(crate) type Entries = BTreeMap<OsString, Inode>;

/// A place that a name can stand at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    pub(crate) directory: Inode,
    pub(crate) name: OsString,
}

impl Slot {
    pub(crate) fn new(directory: Inode, name: &OsStr) -> Self {
        let name = name.to_owned();
        Self { directory, name }
    }
}

/// One call that changed names: all of its slots change, or none.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// What stands at each slot afterwards.
    pub(crate) slots: Vec<(Slot, Option<Inode>)>,
    /// A directory that this takes away. Its own changes come first, or a file moved out of it could
    /// be lost with it.
    pub(crate) removed: Option<Inode>,
    /// A failed directory sync has dropped it: no later sync makes it durable.
    in_doubt: bool,
}

impl Change {
    pub(crate) fn new(slots: Vec<(Slot, Option<Inode>)>) -> Self {
        Self { slots, removed: None, in_doubt: false }
    }

    pub(crate) fn removing(mut self, directory: Option<Inode>) -> Self {
        self.removed = directory;
        self
    }

    fn touches(&self, directory: Inode) -> bool {
        self.slots.iter().any(|(slot, _)| slot.directory == directory)
    }

    fn links(&self, inode: Inode) -> bool {
        self.slots.iter().any(|(_, to)| *to == Some(inode))
    }

    /// Whether this cannot be on disk without `earlier`.
    fn needs(&self, earlier: &Self) -> bool {
        let shared = |slot: &Slot| earlier.slots.iter().any(|(other, _)| other == slot);
        if self.slots.iter().any(|(slot, _)| shared(slot)) {
            return true;
        }
        if self.removed.is_some_and(|gone| earlier.touches(gone)) {
            return true;
        }
        // A move into a directory that is not on disk would lose the old name and have no new one.
        // A creation in it needs nothing: without the directory it is merely unreachable.
        self.slots.len() > 1 && self.slots.iter().any(|(slot, _)| earlier.links(slot.directory))
    }
}

/// The names of all directories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    live: BTreeMap<Inode, Entries>,
    durable: BTreeMap<Inode, Entries>,
    /// Changes that no sync has made durable, oldest first.
    pending: Vec<Change>,
}

impl Names {
    /// A new directory without entries.
    pub(crate) fn add_directory(&mut self, inode: Inode) {
        self.live.insert(inode, Entries::new());
        self.durable.insert(inode, Entries::new());
    }

    /// The entries a program sees; `None` for what is not a directory.
    pub(crate) fn entries(&self, directory: Inode) -> Option<&Entries> {
        self.live.get(&directory)
    }

    pub(crate) fn directories(&self) -> impl Iterator<Item = Inode> {
        self.live.keys().copied()
    }

    pub(crate) fn apply(&mut self, change: Change) {
        write_entries(&mut self.live, &change);
        self.pending.push(change);
    }

    /// Applies a change that is durable at once, as damage is.
    pub(crate) fn apply_durably(&mut self, change: &Change) {
        write_entries(&mut self.live, change);
        write_entries(&mut self.durable, change);
        self.pending.retain(|earlier| !change.needs(earlier));
    }

    /// Makes the changes of a directory durable, with the ones they need, save those in doubt.
    pub(crate) fn sync(&mut self, directory: Inode) {
        let possible = self.closed_under_needs(|change| !change.in_doubt);
        let mut wanted: Vec<bool> = Vec::with_capacity(self.pending.len());
        for (change, possible) in self.pending.iter().zip(&possible) {
            wanted.push(*possible && change.touches(directory));
        }
        for index in (0..self.pending.len()).rev() {
            if wanted[index] {
                let change = &self.pending[index];
                for (wanted, earlier) in wanted[..index].iter_mut().zip(&self.pending) {
                    *wanted |= change.needs(earlier);
                }
            }
        }
        self.settle(&wanted);
    }

    /// What a failed sync of a directory leaves: its changes stay in doubt for ever.
    pub(crate) fn doubt(&mut self, directory: Inode) {
        for change in &mut self.pending {
            change.in_doubt |= change.touches(directory);
        }
    }

    /// What a power cut leaves: any subset of the changes, none without those it needs.
    pub(crate) fn cut_power(&mut self, random: &mut Sequence) {
        // Another likelihood per crash, so that "almost all" and "almost none" occur too.
        let eighths = random.below(9);
        let coins: Vec<bool> = self.pending.iter().map(|_| random.chance(eighths)).collect();
        let mut coins = coins.into_iter();
        let survivors = self.closed_under_needs(|_| coins.next().unwrap_or(false));
        self.settle(&survivors);
        self.forget_pending();
    }

    /// What the worst power cut leaves: only what was synced.
    pub(crate) fn forget_pending(&mut self) {
        self.pending.clear();
        self.live = self.durable.clone();
    }

    /// Forgets the directories that no name leads to, and returns what names still lead to.
    pub(crate) fn sweep(&mut self, root: Inode) -> BTreeSet<Inode> {
        loop {
            let mentioned = self.mentioned();
            let before = self.live.len();
            self.live.retain(|inode, _| *inode == root || mentioned.contains(inode));
            self.durable.retain(|inode, _| *inode == root || mentioned.contains(inode));
            // A directory that went may have been the only one to name others.
            if self.live.len() == before {
                return mentioned;
            }
        }
    }

    /// What a name of any kind leads to: live, durable or about to be.
    fn mentioned(&self) -> BTreeSet<Inode> {
        let entries = self.live.values().chain(self.durable.values());
        let pending = self.pending.iter().flat_map(|change| &change.slots);
        entries
            .flat_map(|entries| entries.values().copied())
            .chain(pending.filter_map(|(_, inode)| *inode))
            .collect()
    }

    fn closed_under_needs(&self, mut wish: impl FnMut(&Change) -> bool) -> Vec<bool> {
        let mut kept: Vec<bool> = Vec::with_capacity(self.pending.len());
        for (index, change) in self.pending.iter().enumerate() {
            // The wish is asked for every change, so that each one draws its coin.
            let wished = wish(change);
            let whole = (0..index).all(|i| kept[i] || !change.needs(&self.pending[i]));
            kept.push(wished && whole);
        }
        kept
    }

    fn settle(&mut self, chosen: &[bool]) {
        let mut chosen = chosen.iter();
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let settled = *chosen.next().unwrap_or(&false);
            if settled {
                write_entries(durable, change);
            }
            !settled
        });
    }
}

fn write_entries(directories: &mut BTreeMap<Inode, Entries>, change: &Change) {
    for (slot, to) in &change.slots {
        let entries = directories.entry(slot.directory).or_default();
        match to {
            Some(inode) => entries.insert(slot.name.clone(), *inode),
            None => entries.remove(&slot.name),
        };
    }
}

#[cfg(test)]
mod tests;
