//! The sorted rows of a core that no table holds yet, with the versions that snapshots need.

mod arena;

use self::arena::Arena;
use crate::{Direction, ReadAt, Stored, row_range::Bounds};
use bytes::Bytes;
use nodedb_types::{Lsn, Stamp};
use std::collections::{BTreeMap, btree_map};

/// Rows by key, each with its versions back to the horizon of the oldest reader.
#[derive(Debug, Default)]
pub(crate) struct Memtable {
    rows: BTreeMap<Bytes, Versions>,
    arena: Arena,
    /// What rows and versions take besides their bytes.
    overhead: usize,
}

/// One version of a row; a value of `None` is a tombstone, which hides what the tables hold.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) stamp: Stamp,
    pub(crate) expires: Option<u64>,
    pub(crate) value: Option<Bytes>,
}

/// Never empty. Most rows have one version, which needs no list.
#[derive(Debug)]
struct Versions {
    newest: Version,
    /// Newest first.
    older: Vec<Version>,
}

/// Rows of a memtable in one direction, as one reader sees them.
pub(crate) struct MemtableRows<'a> {
    rows: btree_map::Range<'a, Bytes, Versions>,
    direction: Direction,
    at: ReadAt,
}

/// What a row and a version take besides their bytes: map entry, handles, allocator.
const ROW_OVERHEAD: usize = 128;
const VERSION_OVERHEAD: usize = 64;

impl Version {
    /// What readers are answered; `None` of a tombstone.
    pub(crate) fn stored(&self) -> Option<Stored> {
        let (stamp, expires) = (self.stamp, self.expires);
        self.value.clone().map(|value| Stored { stamp, expires, value })
    }
}

impl Versions {
    fn at(&self, at: ReadAt) -> Option<&Version> {
        std::iter::once(&self.newest).chain(&self.older).find(|version| at.sees(version.stamp.lsn))
    }

    /// Drops what lies below the newest version that the oldest reader sees. Answers how many versions.
    fn prune(&mut self, horizon: Option<Lsn>) -> usize {
        let Some(horizon) = horizon.map(ReadAt::Snapshot) else {
            return 0;
        };
        let keep = if horizon.sees(self.newest.stamp.lsn) {
            0
        } else {
            let seen = |version: &Version| horizon.sees(version.stamp.lsn);
            self.older.iter().position(seen).map_or(self.older.len(), |at| at + 1)
        };
        self.older.drain(keep..).count()
    }
}

impl Memtable {
    /// Writes a version, which is newer than every version of the row or replaces one of the same
    /// record. `horizon` is the position of
    /// the oldest reader; it is asked only where there is something to prune.
    pub(crate) fn write(
        &mut self,
        key: Bytes,
        mut version: Version,
        horizon: impl FnOnce() -> Option<Lsn>,
    ) {
        version.value = version.value.map(|value| self.arena.keep(value));
        // Kept before it is known whether the row is there: a copy of a short key is less than a second
        // descent for each new row.
        match self.rows.entry(self.arena.keep(key)) {
            btree_map::Entry::Vacant(entry) => {
                self.overhead += ROW_OVERHEAD + VERSION_OVERHEAD;
                entry.insert(Versions { newest: version, older: Vec::new() });
            }
            btree_map::Entry::Occupied(mut entry) => {
                let versions = entry.get_mut();
                assert!(
                    versions.newest.stamp.lsn <= version.stamp.lsn,
                    "records are applied in the order of the log"
                );
                let again = versions.newest.stamp.lsn == version.stamp.lsn;
                let previous = std::mem::replace(&mut versions.newest, version);
                if !again {
                    versions.older.insert(0, previous);
                    let freed = versions.prune(horizon());
                    self.overhead = self.overhead + VERSION_OVERHEAD - freed * VERSION_OVERHEAD;
                }
            }
        }
    }

    /// The version that a reader sees; `None` if this memtable knows nothing of the row by then.
    pub(crate) fn get(&self, key: &[u8], at: ReadAt) -> Option<&Version> {
        self.rows.get(key)?.at(at)
    }

    /// The rows between two bounds, each with the version that a reader sees: a tombstone too, and
    /// nothing of a row that was written first after its position.
    pub(crate) fn range(
        &self,
        bounds: Bounds<'_>,
        direction: Direction,
        at: ReadAt,
    ) -> MemtableRows<'_> {
        MemtableRows { rows: self.rows.range::<[u8], _>(bounds), direction, at }
    }

    /// The newest version of every row, in the order of keys.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (&Bytes, &Version)> {
        self.rows.iter().map(|(key, versions)| (key, &versions.newest))
    }

    /// About how much memory it takes, with the bytes of versions that were overwritten: these go with
    /// their chunk, at the latest when all of it is flushed.
    pub(crate) const fn bytes(&self) -> usize {
        self.overhead + self.arena.bytes()
    }
}

impl<'a> Iterator for MemtableRows<'a> {
    type Item = (&'a Bytes, Option<&'a Version>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, versions) = self.direction.next(&mut self.rows)?;
        Some((key, versions.at(self.at)))
    }
}

#[cfg(test)]
mod tests;
