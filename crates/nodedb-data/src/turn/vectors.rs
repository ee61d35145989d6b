//! Sealing heads of vectors and building graphs: begun on the core, done by the maintenance thread.

use crate::{DataError, core::Core, desk::FailedRebuild, turn::failures::Work, vshard::Vshard};
use nodedb_engine::EngineKind;
use nodedb_types::VshardId;
use nodedb_vector::Rebuilt;
use std::{
    cell::Cell,
    cmp::Reverse,
    ops::Bound::{Excluded, Included, Unbounded},
    time::Duration,
};

/// How long after what has failed it is tried again at the earliest, for the sake of refused writes: on a
/// full disk each attempt writes a head in vain.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Vectors that were refused, which is when sealing that has failed must be tried again: writes are what
/// fills memtables, and a flush with nothing to write never begins.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Whether there were any since the last look.
    any: Cell<bool>,
    not_before: Duration,
}

/// The graphs that a core has built.
#[derive(Debug, Default)]
pub(crate) struct Graphs {
    /// The one under way, and its number. One at a time: each takes a share of the memory of its own, and
    /// two would only take turns on the one thread.
    running: Option<(VshardId, u64)>,
    /// The vshard that had the last one; the others come first now.
    last: Option<VshardId>,
}

impl Core {
    /// Refuses a write that adds vectors while too many of them stand in memory. Nothing was done. Deletes
    /// are never refused by it: they end in fewer rows.
    pub(super) fn admit_vectors(&self, vshard: &Vshard) -> Result<(), DataError> {
        let bytes = vshard.unsealed_bytes();
        if bytes >= self.options.unsealed_bytes_max {
            self.refusals.any.set(true);
            return Err(DataError::VectorsFull { vshard: vshard.id, bytes });
        }
        let bytes = self.memory.saturating_add(self.unsealed).saturating_add(self.release.bytes());
        if bytes >= self.options.memory_bytes_max {
            self.refusals.any.set(true);
            return Err(DataError::MemoryFull { core: self.id, bytes });
        }
        Ok(())
    }

    /// Tries again what has failed if vectors are refused for it.
    pub(crate) fn retry_sealing(&mut self) {
        let now = self.now();
        if now < self.refusals.not_before || !self.refusals.any.take() {
            return;
        }
        self.refusals.not_before = now.saturating_add(RETRY_AFTER);
        for (id, vshard) in &mut self.vshards {
            let sealing = vshard.engines.vectors.retry_rebuilds();
            if vshard.flushes.retry(EngineKind::Vectors) || sealing {
                self.touched.insert(*id);
            }
        }
    }

    /// Begins to write full heads of a vshard to disk.
    pub(crate) fn seal_due(&mut self, id: VshardId) {
        let Some(vshard) = self.vshards.get_mut(&id).filter(|vshard| vshard.pause.is_none()) else {
            return;
        };
        while let Some(rebuild) = vshard.engines.vectors.begin_seal() {
            self.maintenance.rebuild(id, rebuild);
        }
    }

    /// Begins to write the largest head of all to disk, full or not, once heads take so many bytes. A vshard
    /// that is at it, for ever perhaps, is left out, and so is one that fails: the next one has its turn.
    pub(crate) fn seal_largest(&mut self, bytes: usize) {
        let idle =
            |vshard: &&mut Vshard| vshard.pause.is_none() && !vshard.engines.vectors.is_sealing();
        let mut waiting: Vec<_> = self.vshards.values_mut().filter(idle).collect();
        if waiting.iter().map(|vshard| vshard.unsealed).sum::<usize>() < bytes {
            return;
        }
        waiting.sort_by_key(|vshard| Reverse(vshard.unsealed));
        for vshard in waiting {
            if let Some(rebuild) = vshard.engines.vectors.begin_relief() {
                return self.maintenance.rebuild(vshard.id, rebuild);
            }
        }
    }

    /// Begins the next graph, one vshard after the other.
    pub(crate) fn build_graph(&mut self) {
        if self.graphs.running.is_some() {
            return;
        }
        let last = self.graphs.last;
        let (behind, before) = (last.map_or(Unbounded, Excluded), last.map_or(Unbounded, Included));
        for range in [(behind, Unbounded), (Unbounded, before)] {
            let free = self.vshards.range_mut(range).filter(|(_, vshard)| vshard.pause.is_none());
            let mut begun = free.map(|(id, vshard)| (*id, vshard.engines.vectors.begin_graph()));
            if let Some((id, Some(rebuild))) = begun.find(|(_, rebuild)| rebuild.is_some()) {
                self.graphs.running = Some((id, rebuild.number()));
                self.graphs.last = Some(id);
                return self.maintenance.rebuild(id, rebuild);
            }
        }
    }

    /// A finished segment waits for the next flush, which begins at once; one that failed is begun anew
    /// after a later flush.
    pub(crate) fn end_rebuild(
        &mut self,
        id: VshardId,
        result: Result<Box<Rebuilt>, FailedRebuild>,
    ) {
        self.touched.insert(id);
        let number = match &result {
            Ok(rebuilt) => rebuilt.number(),
            Err(failed) => failed.number,
        };
        if self.graphs.running == Some((id, number)) {
            self.graphs.running = None;
        }
        let Some(vshard) = self.vshards.get_mut(&id) else {
            return;
        };
        match result {
            Ok(rebuilt) => vshard.engines.vectors.end_rebuild(rebuilt),
            Err(FailedRebuild { number, error }) => {
                vshard.engines.vectors.give_up_rebuild(number);
                return self.note_failure(id, Work::Rebuild, &error);
            }
        }
        self.failures.end(Work::Rebuild);
    }
}

impl Vshard {
    /// Memory of its vectors that are not sealed.
    pub(crate) const fn unsealed_bytes(&self) -> usize {
        self.engines.vectors.unsealed_bytes()
    }
}
