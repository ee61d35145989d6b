//! Back-pressure: what a core refuses before its memory ends, and what it flushes first.

use crate::{
    DataError, DataOptions, core::Core, engines::FrozenEngine, room::limit_for, vshard::Vshard,
};
use nodedb_engine::EngineKind;
use nodedb_types::VshardId;
use nodedb_wal::AppendClass;

impl Core {
    /// Refuses a write to a vshard while there is no room for it: too much waits for the log, too much
    /// memory is taken, or too many vectors stand in memory, which refuses only what adds some. Nothing was
    /// done.
    pub(crate) fn admit(
        &self,
        id: VshardId,
        class: AppendClass,
        adds_vectors: bool,
    ) -> Result<(), DataError> {
        let Some(vshard) = self.vshards.get(&id) else {
            return Err(DataError::NoSuchVshard { vshard: id, vshards: self.shared.vshards });
        };
        self.admit_write(class)?;
        vshard.admit(&self.options, class)?;
        if adds_vectors { self.admit_vectors(vshard) } else { Ok(()) }
    }

    fn admit_write(&self, class: AppendClass) -> Result<(), DataError> {
        if !self.release.has_room() {
            return Err(DataError::ParkedFull);
        }
        let bytes = self.memory.saturating_add(self.release.bytes());
        if bytes >= limit_for(class, self.options.memory_bytes_max) {
            return Err(DataError::MemoryFull { core: self.id, bytes });
        }
        Ok(())
    }

    /// Takes note of what a vshard takes now.
    pub(crate) fn weigh(&mut self, id: VshardId) {
        let Some(vshard) = self.vshards.get_mut(&id) else {
            return;
        };
        let documents = vshard.crdt.estimated_bytes();
        let memory = vshard.dirty_bytes().saturating_add(documents);
        let unsealed = vshard.unsealed_bytes();
        // Half of what makes writers wait.
        let presses = vshard.dirty_bytes() >= self.options.memtable_bytes_max / 2;
        if presses != vshard.pressure.is_some() {
            vshard.pressure = presses.then(|| self.maintenance.press());
        }
        recount(&mut self.crdt_bytes, &mut vshard.crdt_bytes, documents);
        recount(&mut self.memory, &mut vshard.memory, memory);
        recount(&mut self.unsealed, &mut vshard.unsealed, unsealed);
    }

    /// Lets live documents go while those of all vshards together take more than they may: the least
    /// recently used of the vshard whose documents take the most. A single one stays, whatever it takes.
    pub(crate) fn trim_documents(&mut self) {
        while self.crdt_bytes > self.options.crdt_bytes_max {
            if self.vshards.values().map(|vshard| vshard.crdt.len()).sum::<usize>() <= 1 {
                return;
            }
            let bytes = |vshard: &&mut Vshard| vshard.crdt.estimated_bytes();
            let Some(fullest) = self.vshards.values_mut().max_by_key(bytes) else {
                return;
            };
            fullest.crdt.evict_oldest();
            let id = fullest.id;
            self.weigh(id);
        }
    }

    /// Flushes the largest memtable once half of the memory is taken by what nobody flushes yet, and seals
    /// the largest head of vectors if heads take a good part of that. A vshard whose flush hangs is left
    /// out, so that it does not keep the others from theirs.
    pub(crate) fn relieve_memory(&mut self) {
        let half = self.options.memory_bytes_max / 2;
        if self.memory.saturating_add(self.unsealed) < half {
            self.pressure = None;
            return;
        }
        let maintenance = &self.maintenance;
        self.pressure.get_or_insert_with(|| maintenance.press());
        self.seal_largest(half / 4);
        let idle = |vshard: &&mut Vshard| vshard.pause.is_none() && !vshard.flushes.is_running();
        let mut waiting: Vec<_> = self.vshards.values_mut().filter(idle).collect();
        let unflushed: usize = waiting.iter().map(|vshard| vshard.memory).sum();
        if unflushed.saturating_add(self.unsealed) < half {
            return;
        }
        waiting.sort_by_key(|vshard| std::cmp::Reverse(vshard.memory));
        for vshard in waiting {
            if let Some(frozen) = vshard.freeze_largest() {
                self.maintenance.persist(vshard.id, frozen, true);
                return;
            }
        }
    }
}

/// Puts what a vshard takes now in the place of what was known of it, also in the sum of its core.
fn recount(total: &mut usize, known: &mut usize, now: usize) {
    let before = std::mem::replace(known, now);
    assert!(before <= *total, "what a vshard takes is counted in what its core takes");
    *total = *total - before + now;
}

impl Vshard {
    /// Refuses writes while too much waits to be flushed.
    fn admit(&self, options: &DataOptions, class: AppendClass) -> Result<(), DataError> {
        let bytes = self.dirty_bytes();
        if bytes >= limit_for(class, options.memtable_bytes_max) {
            return Err(DataError::MemtableFull { vshard: self.id, bytes });
        }
        Ok(())
    }

    /// Memory of what is not flushed.
    fn dirty_bytes(&self) -> usize {
        self.engines.dirty().map_or(0, |dirty| dirty.bytes)
    }

    /// Freezes the engine with the most unflushed bytes.
    fn freeze_largest(&mut self) -> Option<FrozenEngine> {
        let dirty = EngineKind::ALL
            .into_iter()
            .filter(|kind| self.flushes.may_begin(*kind))
            .filter_map(|kind| Some((self.engines.dirty_of(kind)?.bytes, kind)));
        let (_, kind) = dirty.max_by_key(|(bytes, _)| *bytes)?;
        self.freeze(kind)
    }
}
