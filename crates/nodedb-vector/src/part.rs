//! A part of an index that does not change any more, but for the rows that die.

use crate::{flat::Flat, segment::Segment};
use nodedb_types::{Lsn, Stamp};
use roaring::RoaringBitmap;
use std::sync::Arc;

/// Number of a part within its engine, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PartId(pub(crate) u64);

/// Rows of one index at fixed slots, from 0. A row that was removed or replaced is dead: its bit is
/// set, for ever.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) id: PartId,
    pub(crate) rows: PartRows,
    /// Shared with the flush that writes it; the first row that dies after copies it, some 8 KiB for
    /// each 65,536 rows.
    pub(crate) dead: Arc<RoaringBitmap>,
}

/// Where the rows are.
#[derive(Clone, Debug)]
pub(crate) enum PartRows {
    /// In memory: a head that was set aside to be sealed. On disk its rows are in the runs.
    Aside {
        flat: Arc<Flat>,
        /// It has no row of a later record.
        until: Lsn,
    },
    /// In files of their own, with a graph.
    Sealed(Arc<Segment>),
}

impl Part {
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.rows, PartRows::Sealed(_))
    }

    /// Whether there is a graph over its rows.
    pub(crate) fn is_graph(&self) -> bool {
        match &self.rows {
            PartRows::Aside { .. } => false,
            PartRows::Sealed(segment) => segment.is_graph(),
        }
    }

    /// Rows, dead ones included.
    pub(crate) fn slots(&self) -> u32 {
        self.rows.len()
    }

    /// Rows that live.
    pub(crate) fn live(&self) -> u64 {
        let slots = u64::from(self.slots());
        assert!(self.dead.len() <= slots, "only rows die");
        slots - self.dead.len()
    }

    /// Where the row of a key is, if it lives.
    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        self.rows.find(key).filter(|slot| !self.dead.contains(*slot))
    }

    /// Lets the row of a key die. Whether it lived.
    pub(crate) fn kill(&mut self, key: &[u8]) -> bool {
        let Some(slot) = self.find(key) else {
            return false;
        };
        Arc::make_mut(&mut self.dead).insert(slot)
    }

    /// The slots of the rows that live.
    pub(crate) fn live_slots(&self) -> impl Iterator<Item = u32> {
        (0..self.slots()).filter(|slot| !self.dead.contains(*slot))
    }
}

#[expect(clippy::expect_used, reason = "slots below the number of rows are there")]
impl PartRows {
    #[expect(clippy::expect_used, reason = "a head is set aside long before")]
    pub(crate) fn len(&self) -> u32 {
        match self {
            Self::Aside { flat, .. } => u32::try_from(flat.len()).expect("rows fit into slots"),
            Self::Sealed(segment) => segment.len(),
        }
    }

    /// As lengths count.
    pub(crate) fn length(&self) -> usize {
        row(self.len())
    }

    fn find(&self, key: &[u8]) -> Option<u32> {
        match self {
            Self::Aside { flat, .. } => flat.find(key).and_then(|row| u32::try_from(row).ok()),
            Self::Sealed(segment) => segment.find(key),
        }
    }

    pub(crate) fn key(&self, slot: u32) -> &[u8] {
        match self {
            Self::Aside { flat, .. } => flat.key(row(slot)).expect("below the length"),
            Self::Sealed(segment) => segment.key(slot),
        }
    }

    pub(crate) fn stamp(&self, slot: u32) -> Stamp {
        match self {
            Self::Aside { flat, .. } => flat.stamp(row(slot)).expect("below the length"),
            Self::Sealed(segment) => segment.stamp(slot),
        }
    }

    pub(crate) fn vector(&self, slot: u32) -> &[f32] {
        match self {
            Self::Aside { flat, .. } => flat.vector(row(slot)).expect("below the length"),
            Self::Sealed(segment) => segment.vector(slot),
        }
    }
}

#[expect(clippy::expect_used, reason = "a length has 64 bits where this runs")]
fn row(slot: u32) -> usize {
    usize::try_from(slot).expect("slots are lengths")
}
