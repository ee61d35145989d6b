//! One index: a head that changes and parts that do not.

use crate::{
    definition::Definition,
    flat::Flat,
    part::{Part, PartId, PartRows},
    tiers::{self, Size},
};
use bytes::Bytes;
use nodedb_types::{Lsn, Stamp};
use std::{collections::BTreeSet, sync::Arc};

/// Bytes of a head that are sealed though its rows are few.
const HEAD_BYTES: usize = 16 << 20;
/// Memory that a merge takes for a row beside its key and the numbers of its graph, about: edges, place
/// and length.
const GRAPH_ROW_BYTES: u64 = 256;
/// Fewest rows that are sealed: below it a graph is no faster than looking at all of them.
const HEAD_ROWS_MIN: usize = 256;

/// A key lives at most once: in the head, or at one slot of one part that is not dead.
#[derive(Debug)]
pub(crate) struct LiveIndex {
    pub(crate) definition: Definition,
    pub(crate) head: Flat,
    /// Segments, and at most one former head that is being sealed.
    pub(crate) parts: Vec<Part>,
    /// What of the engine's sum of unsealed bytes is of this index.
    pub(crate) counted: usize,
}

/// Where the row of a key is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    Head(usize),
    Part(&'a Part, u32),
}

/// What became of a row of a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Killed {
    /// There was none.
    Nothing,
    /// It was set aside: on disk it stands in a run.
    Aside,
    /// It was sealed.
    Sealed(PartId),
}

impl LiveIndex {
    pub(crate) fn new(definition: Definition) -> Self {
        let head = Flat::new(definition.width());
        Self { definition, head, parts: Vec::new(), counted: 0 }
    }

    /// Rows that live.
    pub(crate) fn len(&self) -> usize {
        let sealed: u64 = self.parts.iter().map(Part::live).sum();
        self.head.len() + usize::try_from(sealed).unwrap_or(usize::MAX)
    }

    pub(crate) fn find(&self, key: &[u8]) -> Option<Found<'_>> {
        if let Some(row) = self.head.find(key) {
            return Some(Found::Head(row));
        }
        let in_part = |part| Part::find(part, key).map(|slot| Found::Part(part, slot));
        // The newest first: what was written last is read and replaced most.
        self.parts.iter().rev().find_map(in_part)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<(Stamp, &[f32])> {
        match self.find(key)? {
            Found::Head(row) => Some((self.head.stamp(row)?, self.head.vector(row)?)),
            Found::Part(part, slot) => Some((part.rows.stamp(slot), part.rows.vector(slot))),
        }
    }

    /// All keys in order.
    pub(crate) fn keys(&self) -> BTreeSet<&[u8]> {
        let head = self.head.rows().map(|(key, _)| &**key);
        let parts = self.parts.iter();
        let parts = parts.flat_map(|part| part.live_slots().map(|slot| part.rows.key(slot)));
        let keys: BTreeSet<_> = head.chain(parts).collect();
        assert_eq!(keys.len(), self.len(), "a key lives at most once");
        keys
    }

    /// Sets the vector of a key in the head. Answers the key as it is stored, and what died for it.
    pub(crate) fn set(&mut self, key: &[u8], stamp: Stamp, vector: &[f32]) -> (Bytes, Killed) {
        let killed = match self.head.find(key) {
            Some(_) => Killed::Nothing,
            None => self.kill(key),
        };
        (self.head.set(key, stamp, vector), killed)
    }

    /// Lets the row of a key die where it lives in a part.
    pub(crate) fn kill(&mut self, key: &[u8]) -> Killed {
        let killed = self.parts.iter_mut().rev().find_map(|part| part.kill(key).then_some(&*part));
        killed.map_or(Killed::Nothing, |part| match part.rows {
            PartRows::Aside { .. } => Killed::Aside,
            PartRows::Sealed(_) => Killed::Sealed(part.id),
        })
    }

    /// Whether the head is worth a segment.
    pub(crate) fn is_head_full(&self, rows: usize) -> bool {
        let bytes = self.head.memory_bytes();
        self.head.len() >= rows || bytes >= HEAD_BYTES && self.head.len() >= HEAD_ROWS_MIN
    }

    /// The former head that is being sealed.
    pub(crate) fn aside(&self) -> Option<&Part> {
        self.parts.iter().find(|part| !part.is_sealed())
    }

    /// Memory of the rows that are not sealed.
    pub(crate) fn unsealed_bytes(&self) -> usize {
        let aside = self.aside().map_or(0, |part| match &part.rows {
            PartRows::Aside { flat, .. } => flat.memory_bytes(),
            PartRows::Sealed(_) => 0,
        });
        self.head.memory_bytes() + aside
    }

    /// Puts an empty head in the place of the head, whose rows do not change their places from now on.
    pub(crate) fn set_aside(&mut self, id: PartId, until: Lsn) -> &Part {
        assert!(self.aside().is_none(), "one head at a time is sealed");
        let empty = Flat::new(self.definition.width());
        let flat = Arc::new(std::mem::replace(&mut self.head, empty));
        let rows = PartRows::Aside { flat, until };
        self.parts.push(Part { id, rows, dead: Arc::default() });
        let last = self.parts.len() - 1;
        &self.parts[last]
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.is_sealed())
    }

    /// The segments with a graph.
    pub(crate) fn graphs(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.is_graph())
    }

    /// Rows that stand in runs: those of the head, and those set aside.
    pub(crate) fn rows_in_runs(&self) -> u64 {
        self.head.len() as u64 + self.aside().map_or(0, Part::live)
    }

    /// Memory of the heap, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| match &part.rows {
            PartRows::Aside { flat, .. } => flat.memory_bytes(),
            PartRows::Sealed(segment) => segment.memory_bytes().heap + part.dead.serialized_size(),
        });
        self.head.memory_bytes() + parts.sum::<usize>()
    }
}

impl Part {
    /// How large it is, for the choice of what to merge.
    pub(crate) fn size(&self, definition: Definition) -> Size {
        let (slots, live) = (u64::from(self.slots()), self.live());
        let row = definition.storage_bytes() + GRAPH_ROW_BYTES;
        let keys = match &self.rows {
            PartRows::Aside { .. } => 0,
            PartRows::Sealed(segment) => segment.key_bytes() as u64,
        };
        let sort = if self.is_graph() { tiers::Sort::Graph } else { tiers::Sort::Flat };
        Size { slots, live, bytes: live * row + keys, sort }
    }
}
