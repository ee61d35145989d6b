//! A segment that was rebuilt and waits to take the place of what it was rebuilt from.

use crate::{
    layout::SEGMENT_FILES,
    part::{Part, PartId},
    segment::Segment,
};
use nodedb_engine::SyncedFile;
use nodedb_types::{IndexId, Lsn};
use roaring::RoaringBitmap;
use std::sync::Arc;

/// In the place of a slot: the row was dead already.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// A finished rebuild, for the engine that began it. Nothing of it counts before a flush takes it in.
#[derive(Debug)]
pub struct Rebuilt {
    /// Which rebuild.
    pub(crate) number: u64,
    pub(crate) index: IndexId,
    /// The number of the new part.
    pub(crate) id: PartId,
    pub(crate) inputs: Vec<Input>,
    /// Rows of runs up to here are void once it is taken in: it holds what was set aside then.
    pub(crate) sealed_until: Option<Lsn>,
    /// Nothing if no row lived.
    pub(crate) sealed: Option<Sealed>,
}

/// A part that was rebuilt.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) id: PartId,
    /// Its dead rows when the rebuild began.
    pub(crate) dead: Arc<RoaringBitmap>,
    /// For each slot its slot in the new segment, or [`NOWHERE`].
    pub(crate) slots: Vec<u32>,
}

/// The new segment, mapped, and its files under their temporary names.
#[derive(Debug)]
pub(crate) struct Sealed {
    // Before the files, which are removed when they are dropped without having been taken in.
    pub(crate) segment: Arc<Segment>,
    pub(crate) files: [SyncedFile; SEGMENT_FILES],
}

impl Rebuilt {
    /// Its number, as [`Rebuild::number`](crate::Rebuild::number) said.
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl Input {
    /// Adds the rows that have died between two moments since the rebuild began.
    pub(crate) fn carry(
        &self,
        (then, now): (&RoaringBitmap, &RoaringBitmap),
        dead: &mut RoaringBitmap,
    ) {
        for slot in now - then {
            let to = usize::try_from(slot).ok().and_then(|slot| self.slots.get(slot));
            assert!(to.is_some_and(|to| *to != NOWHERE), "a row that lived has its place");
            dead.extend(to.copied());
        }
    }
}

/// A rebuilt segment in a flush.
#[derive(Clone, Debug)]
pub(crate) struct Adoption {
    pub(crate) rebuilt: Arc<Rebuilt>,
    /// The dead rows of its inputs at the freeze.
    pub(crate) then: Vec<Arc<RoaringBitmap>>,
    /// Rows that lived then and stand in runs until they are taken in.
    pub(crate) rows_from_runs: u64,
}

impl Adoption {
    /// Notes the dead rows of the inputs, which are among `parts`.
    pub(crate) fn new(rebuilt: Arc<Rebuilt>, parts: &[Part]) -> Self {
        let part = |input: &Input| parts.iter().find(|part| part.id == input.id);
        let parts: Vec<&Part> = rebuilt.inputs.iter().filter_map(part).collect();
        assert_eq!(parts.len(), rebuilt.inputs.len(), "what is rebuilt stays until it is replaced");
        let then = parts.iter().map(|part| Arc::clone(&part.dead)).collect();
        let aside = parts.iter().filter(|part| !part.is_sealed());
        let rows_from_runs = aside.map(|part| part.live()).sum();
        Self { rebuilt, then, rows_from_runs }
    }

    /// Whether the new segment takes the place of this part.
    pub(crate) fn replaces(&self, id: PartId) -> bool {
        self.rebuilt.inputs.iter().any(|input| input.id == id)
    }

    /// The dead rows of the new segment at the freeze.
    pub(crate) fn dead(&self) -> RoaringBitmap {
        let mut dead = RoaringBitmap::new();
        for (input, then) in self.rebuilt.inputs.iter().zip(&self.then) {
            input.carry((&input.dead, then), &mut dead);
        }
        dead
    }
}
