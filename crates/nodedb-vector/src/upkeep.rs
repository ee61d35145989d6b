//! What is sealed and merged, when, and what becomes of the old.

use crate::{
    Rebuild, Rebuilt, VectorEngine, VectorOptions,
    changes::DroppedRows,
    frozen::FrozenVectors,
    live_index::LiveIndex,
    part::{Part, PartId, PartRows},
    rebuild::{Recipe, Shape},
    rebuilt::{Adoption, Input},
    tiers::{self, Goal, Size},
};
use nodedb_engine::Engine;
use nodedb_types::IndexId;
use roaring::RoaringBitmap;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The rebuilds of an engine, and what waits to be freed.
#[derive(Debug)]
pub(crate) struct Upkeep {
    pub(crate) options: VectorOptions,
    /// The number of the next part.
    next: PartId,
    rebuilds: u64,
    /// Indexes that may have something to seal or to merge.
    suspects: BTreeSet<IndexId>,
    /// Indexes that may be merged further at rest.
    restless: BTreeSet<IndexId>,
    /// Indexes of which a rebuild has failed since the last flush: on a full disk it would fail again,
    /// after as much work.
    failed: BTreeSet<IndexId>,
    /// The index served last by each sort of rebuild: the others come first now.
    last: BTreeMap<Sort, IndexId>,
    running: Vec<Running>,
    /// Ended, and not in a flush yet.
    rebuilt: Vec<Arc<Rebuilt>>,
    garbage: Vec<Garbage>,
}

/// A rebuild from its beginning until a flush has taken it in. What it is made from stays until then.
#[derive(Clone, Debug)]
struct Running {
    number: u64,
    index: IndexId,
    sort: Sort,
    parts: Vec<PartId>,
}

/// One of each sort runs at a time: a head must not wait for a long merge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Sort {
    /// A head becomes a flat segment.
    Seal,
    /// Flat segments become one.
    Join,
    /// Segments become one with a graph.
    Graph,
}

/// Memory that takes long to give back: dropping it is work for the maintenance thread.
#[derive(Debug)]
pub struct VectorGarbage {
    _garbage: Vec<Garbage>,
}

/// Kept only to be dropped elsewhere.
#[derive(Debug)]
#[expect(dead_code, reason = "what is dropped is not looked at")]
enum Garbage {
    Index(LiveIndex),
    Parts(Vec<Part>),
    Rebuilt(Arc<Rebuilt>),
    Frozen(FrozenVectors),
    Adoption(Adoption),
    Changes(DroppedRows),
}

impl Upkeep {
    pub(crate) fn new(
        options: VectorOptions,
        next: PartId,
        indexes: impl Iterator<Item = IndexId>,
    ) -> Self {
        let suspects: BTreeSet<_> = indexes.collect();
        Self {
            options,
            next,
            rebuilds: 0,
            restless: suspects.clone(),
            suspects,
            failed: BTreeSet::new(),
            last: BTreeMap::new(),
            running: Vec::new(),
            rebuilt: Vec::new(),
            garbage: Vec::new(),
        }
    }

    /// There may be something to do for an index.
    pub(crate) fn look_at(&mut self, index: IndexId) {
        self.suspects.insert(index);
    }

    /// An index is gone. A rebuild that still runs for it ends in nothing.
    pub(crate) fn forget(&mut self, index: IndexId, live: LiveIndex, changes: DroppedRows) {
        self.garbage.push(Garbage::Changes(changes));
        self.suspects.remove(&index);
        self.restless.remove(&index);
        self.failed.remove(&index);
        let (gone, rest) =
            std::mem::take(&mut self.rebuilt).into_iter().partition(|done| done.index == index);
        self.rebuilt = rest;
        let gone: Vec<Arc<Rebuilt>> = gone;
        for rebuilt in gone {
            self.end(rebuilt.number);
            self.garbage.push(Garbage::Rebuilt(rebuilt));
        }
        self.garbage.push(Garbage::Index(live));
    }

    /// Keeps a finished flush until somebody frees it.
    pub(crate) fn free(&mut self, frozen: FrozenVectors) {
        self.garbage.push(Garbage::Frozen(frozen));
    }

    pub(crate) fn take_rebuilt(&mut self) -> Vec<Arc<Rebuilt>> {
        std::mem::take(&mut self.rebuilt)
    }

    /// Those to look at, each in its turn: writes that come faster than heads are sealed would else keep
    /// the first index at it and let the heads of all others grow for ever.
    fn suspects_in_turn(&self, sort: Sort) -> Vec<IndexId> {
        let last = self.last.get(&sort).copied();
        let (served, next): (Vec<_>, Vec<_>) =
            self.suspects.difference(&self.failed).partition(|index| Some(**index) <= last);
        next.into_iter().chain(served).copied().collect()
    }

    fn is_in_use(&self, part: PartId) -> bool {
        self.running.iter().any(|running| running.parts.contains(&part))
    }

    fn runs(&self, sort: Sort) -> bool {
        self.running.iter().any(|running| running.sort == sort)
    }

    fn end(&mut self, number: u64) {
        self.running.retain(|running| running.number != number);
    }

    fn next_part(&mut self) -> PartId {
        let next = self.next;
        self.next = PartId(next.0 + 1);
        next
    }
}

impl VectorEngine {
    /// Begins whatever is due: [`VectorEngine::begin_seal`] first, then [`VectorEngine::begin_graph`].
    /// The caller runs the steps on the maintenance thread and hands the result back; at most three run
    /// at a time.
    pub fn begin_rebuild(&mut self) -> Option<Rebuild> {
        self.begin_seal().or_else(|| self.begin_graph())
    }

    /// Begins to write a head to disk, or to join what was written so, if that is due: work for the disk
    /// alone, which keeps memory bounded however far the building of graphs lags behind. O(1): the head
    /// is set aside and stays searchable.
    ///
    /// A head is due once it is full, and the largest one once all of them are above
    /// [`VectorOptions::heads_bytes`].
    pub fn begin_seal(&mut self) -> Option<Rebuild> {
        if self.unsealed >= self.upkeep.options.heads_bytes
            && let Some(rebuild) = self.begin_relief()
        {
            return Some(rebuild);
        }
        let due = |engine: &mut Self, index| {
            engine.seal(index, HeadDue::Full).or_else(|| engine.join(index))
        };
        self.begin_in_turn(Sort::Seal, due)
    }

    /// Begins to write the largest head to disk, full or not, for a caller who is short of memory.
    pub fn begin_relief(&mut self) -> Option<Rebuild> {
        let failed = &self.upkeep.failed;
        let heads = self.indexes.iter().filter(|(index, _)| !failed.contains(index));
        let (index, _) = heads.max_by_key(|(_, live)| live.unsealed_bytes())?;
        self.seal(*index, HeadDue::Now)
    }

    /// Whether a head is on its way to disk, from the beginning until a flush has taken it in.
    pub fn is_sealing(&self) -> bool {
        self.upkeep.runs(Sort::Seal)
    }

    /// Begins to build a graph, over rows that have none or over those of several segments, if that is
    /// due. One at a time.
    pub fn begin_graph(&mut self) -> Option<Rebuild> {
        if self.upkeep.runs(Sort::Graph) {
            return None;
        }
        let begun =
            self.begin_in_turn(Sort::Graph, |engine, index| engine.graph(index, Goal::Ingest));
        if begun.is_some() || self.dirty().is_some() {
            return begun;
        }
        while let Some(index) = self.upkeep.restless.pop_first() {
            if let Some(rebuild) = self.graph(index, Goal::Rest) {
                return Some(rebuild);
            }
        }
        None
    }

    fn begin_in_turn(
        &mut self,
        sort: Sort,
        begin: impl Fn(&mut Self, IndexId) -> Option<Rebuild>,
    ) -> Option<Rebuild> {
        for index in self.upkeep.suspects_in_turn(sort) {
            if let Some(rebuild) = begin(self, index) {
                self.upkeep.last.insert(sort, index);
                return Some(rebuild);
            }
            if !self.is_anything_due(index) {
                self.upkeep.suspects.remove(&index);
            }
        }
        None
    }

    /// Takes a finished rebuild. It counts from the next flush on.
    pub fn end_rebuild(&mut self, rebuilt: Box<Rebuilt>) {
        if self.indexes.contains_key(&rebuilt.index) {
            self.upkeep.rebuilt.push(Arc::from(rebuilt));
        } else {
            self.upkeep.end(rebuilt.number);
            self.upkeep.garbage.push(Garbage::Rebuilt(Arc::from(rebuilt)));
        }
    }

    /// Gives up a rebuild that failed. It is tried again after the next flush, or when
    /// [`VectorEngine::retry_rebuilds`] is called.
    pub fn give_up_rebuild(&mut self, number: u64) {
        let index = self.upkeep.running.iter().find(|running| running.number == number);
        let index = index.map(|running| running.index);
        let known = index.filter(|index| self.indexes.contains_key(index));
        self.upkeep.failed.extend(known);
        self.upkeep.end(number);
    }

    /// Whether a rebuilt segment waits for a flush to take it in, or for the one that does to succeed.
    pub fn wants_flush(&self) -> bool {
        !self.upkeep.rebuilt.is_empty() || self.frozen.as_ref().is_some_and(FrozenVectors::adopts)
    }

    /// Memory to be dropped where it takes nobody's time. What is not taken after a flush is dropped by
    /// the next one.
    pub fn take_garbage(&mut self) -> Option<VectorGarbage> {
        let garbage = std::mem::take(&mut self.upkeep.garbage);
        (!garbage.is_empty()).then_some(VectorGarbage { _garbage: garbage })
    }

    fn is_anything_due(&self, index: IndexId) -> bool {
        let options = &self.upkeep.options;
        self.indexes.get(&index).is_some_and(|live| {
            let sizes: Vec<_> = live.segments().map(|part| part.size(live.definition)).collect();
            live.aside().is_some()
                || live.is_head_full(options.head_rows)
                || tiers::due(&sizes, options.merge_bytes, Goal::Ingest).is_some()
                || tiers::due_flat(&sizes, options.merge_bytes).is_some()
        })
    }

    fn seal(&mut self, index: IndexId, due: HeadDue) -> Option<Rebuild> {
        if self.upkeep.runs(Sort::Seal) {
            return None;
        }
        let live = self.indexes.get_mut(&index)?;
        if live.aside().is_none() {
            let is_due = match due {
                HeadDue::Full => live.is_head_full(self.upkeep.options.head_rows),
                HeadDue::Now => live.head.len() > 0,
            };
            if !is_due {
                return None;
            }
            // Everything in the head is of this record or an earlier one, and nothing later will be.
            let until = self.applied?;
            live.set_aside(self.upkeep.next_part(), until);
        }
        let aside = live.aside()?.clone();
        Some(self.begin(index, Sort::Seal, vec![aside]))
    }

    fn join(&mut self, index: IndexId) -> Option<Rebuild> {
        if self.upkeep.runs(Sort::Join) {
            return None;
        }
        let bytes_max = self.upkeep.options.merge_bytes;
        self.merge(index, Sort::Join, |sizes| tiers::due_flat(sizes, bytes_max))
    }

    fn graph(&mut self, index: IndexId, goal: Goal) -> Option<Rebuild> {
        let bytes_max = self.upkeep.options.merge_bytes;
        self.merge(index, Sort::Graph, |sizes| tiers::due(sizes, bytes_max, goal))
    }

    fn merge(
        &mut self,
        index: IndexId,
        sort: Sort,
        due: impl FnOnce(&[Size]) -> Option<Vec<usize>>,
    ) -> Option<Rebuild> {
        let live = self.indexes.get(&index)?;
        let free = live.segments().filter(|part| !self.upkeep.is_in_use(part.id));
        let free: Vec<&Part> = free.collect();
        let sizes: Vec<_> = free.iter().map(|part| part.size(live.definition)).collect();
        let parts = due(&sizes)?.into_iter().filter_map(|place| free.get(place).copied().cloned());
        let parts = parts.collect();
        Some(self.begin(index, sort, parts))
    }

    #[expect(clippy::expect_used, reason = "its callers have looked the index up")]
    fn begin(&mut self, index: IndexId, sort: Sort, parts: Vec<Part>) -> Rebuild {
        self.upkeep.rebuilds += 1;
        let number = self.upkeep.rebuilds;
        let ids = parts.iter().map(|part| part.id).collect();
        self.upkeep.running.push(Running { number, index, sort, parts: ids });
        let definition = self.indexes.get(&index).expect("the index is there").definition;
        let (dir, spec) = (Arc::clone(&self.dir), definition.spec(index));
        let id = self.upkeep.next_part();
        let shape = match sort {
            Sort::Seal | Sort::Join => Shape::Flat,
            Sort::Graph => Shape::Graph,
        };
        Rebuild::new(Recipe { number, dir, spec, id, parts, shape })
    }

    /// Puts rebuilt segments in the place of what they were rebuilt from, in one turn with whatever has
    /// died since the freeze: a search sees each row once, and no dead one (protocol rule P12).
    pub(crate) fn install_adoptions(&mut self, adopted: Vec<(Adoption, RoaringBitmap)>) {
        for (adoption, dead) in adopted {
            let rebuilt = &adoption.rebuilt;
            self.upkeep.end(rebuilt.number);
            if let Some(live) = self.indexes.get_mut(&rebuilt.index) {
                let late = replace(live, &adoption, dead);
                self.unsealed = self.unsealed + live.unsealed_bytes() - live.counted;
                live.counted = live.unsealed_bytes();
                let died = &mut self.changes.died;
                for Input { id, .. } in &rebuilt.inputs {
                    died.remove(&(rebuilt.index, *id));
                }
                if late.some_died {
                    died.insert((rebuilt.index, rebuilt.id));
                }
                self.upkeep.garbage.push(Garbage::Parts(late.replaced));
                self.upkeep.suspects.insert(rebuilt.index);
                self.upkeep.restless.insert(rebuilt.index);
            }
            self.upkeep.garbage.push(Garbage::Adoption(adoption));
        }
    }

    /// What a flush makes possible: a head that could not be sealed before, for want of room for one
    /// more segment or because it failed, is tried again.
    pub(crate) fn look_after_flush(&mut self) {
        let waiting = self.indexes.iter().filter(|(_, live)| live.aside().is_some());
        let waiting: Vec<_> = waiting.map(|(index, _)| *index).collect();
        self.upkeep.suspects.extend(waiting);
        self.retry_rebuilds();
    }

    /// Lets what has failed be tried again, for a caller who needs it. Whether there was anything.
    pub fn retry_rebuilds(&mut self) -> bool {
        let failed = std::mem::take(&mut self.upkeep.failed);
        let any = !failed.is_empty();
        self.upkeep.restless.extend(&failed);
        self.upkeep.suspects.extend(failed);
        any
    }
}

/// When a head is written to disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HeadDue {
    Full,
    Now,
}

struct Replaced {
    replaced: Vec<Part>,
    /// Whether rows have died since the freeze.
    some_died: bool,
}

fn replace(live: &mut LiveIndex, adoption: &Adoption, mut dead: RoaringBitmap) -> Replaced {
    let rebuilt = &adoption.rebuilt;
    let (replaced, kept) = std::mem::take(&mut live.parts)
        .into_iter()
        .partition::<Vec<_>, _>(|part| adoption.replaces(part.id));
    live.parts = kept;
    assert_eq!(replaced.len(), rebuilt.inputs.len(), "what is rebuilt stays until then");
    let at_freeze = dead.len();
    for (input, then) in rebuilt.inputs.iter().zip(&adoption.then) {
        if let Some(part) = replaced.iter().find(|part| part.id == input.id) {
            input.carry((then, &part.dead), &mut dead);
        }
    }
    let some_died = dead.len() > at_freeze;
    if let Some(sealed) = &rebuilt.sealed {
        let rows = PartRows::Sealed(Arc::clone(&sealed.segment));
        live.parts.push(Part { id: rebuilt.id, rows, dead: Arc::new(dead) });
    }
    Replaced { replaced, some_died }
}
