//! Flushes: begun on the core, done by the maintenance thread, ended on the core.

use crate::{
    DataError, Outcome, core::Core, desk::Done, engines::FrozenEngine, flushes::Settled,
    task::Caller, turn::failures::Work, vshard::Vshard,
};
use nodedb_document::TableSnapshot;
use nodedb_engine::{EngineError, EngineKind, Floor};
use nodedb_types::{Lsn, VshardId};

impl Core {
    /// Asks for the flush of everything up to a durable barrier.
    pub(crate) fn flush(&mut self, caller: Caller, barrier: Lsn, hurries: bool) {
        if self.shared.wal.durable() < Some(barrier) {
            let reason = "the barrier of a flush is a durable record";
            return caller.reply.send(Err(DataError::InvalidRequest { reason }));
        }
        let Some(vshard) = self.vshards.get_mut(&caller.vshard) else {
            return self.fail_unknown(caller);
        };
        self.touched.insert(caller.vshard);
        vshard.engines.vectors.retry_rebuilds();
        let hurry = hurries.then(|| self.maintenance.hurry());
        if let Err(reply) = vshard.flushes.ask(barrier, caller.reply, hurry) {
            reply.send(Err(DataError::InboxFull { core: self.id }));
        }
    }

    /// Begins what is due, reports what is proven, and answers who waited for it. A paused vshard does
    /// none of it: its group may be in the log already, below any new watermark (protocol rule P4).
    pub(crate) fn drive_flushes(&mut self, id: VshardId) {
        let Some(vshard) = self.vshards.get_mut(&id) else {
            return;
        };
        if vshard.pause.is_none() {
            for (frozen, hurries) in vshard.freeze_due(self.options.memtable_bytes) {
                self.maintenance.persist(id, frozen, hurries);
            }
        }
        self.seal_due(id);
        let Some(vshard) = self.vshards.get_mut(&id) else {
            return;
        };
        if let Some(garbage) = vshard.engines.vectors.take_garbage() {
            self.maintenance.free(id, garbage);
        }
        self.report(id);
    }

    fn report(&mut self, id: VshardId) {
        let Some(vshard) = self.vshards.get_mut(&id) else {
            return;
        };
        let board = &self.shared.board;
        board.set_dirty(id, vshard.engines.dirty());
        if vshard.pause.is_some() {
            return;
        }
        for Settled { barrier, reply, failure } in vshard.take_settled() {
            if let Some(error) = failure {
                reply.send(Err(error));
                continue;
            }
            for kind in EngineKind::ALL {
                // Nothing of this engine at or below the barrier is missing in its files, so it needs
                // no log up to there though it may have written nothing.
                let flushed = vshard.engines.flushed(kind);
                board.prove(id, kind, Floor::idle_at(flushed, Some(barrier)));
            }
            reply.send(Ok(Outcome::Flushed(board.of(id))));
        }
    }

    /// Installs what the maintenance thread has finished.
    pub(crate) fn take_done(&mut self) {
        for done in self.maintenance.take_done() {
            match done {
                Done::Persisted(id, kind, result) => {
                    let result = result.map(|persisted| {
                        let flushed = persisted.flushed();
                        if let Some(vshard) = self.vshards.get_mut(&id) {
                            vshard.engines.install(persisted);
                        }
                        self.shared.board.prove(id, kind, Floor::proven(flushed));
                    });
                    self.end_flush(id, kind, result);
                }
                Done::Compacted(id, result) => self.end_compaction(id, result),
                Done::Rebuilt(id, result) => self.end_rebuild(id, result),
            }
        }
    }

    /// A failed flush leaves the floor where it is, shows, and is tried again only when somebody asks.
    fn end_flush(&mut self, id: VshardId, kind: EngineKind, result: Result<(), EngineError>) {
        self.touched.insert(id);
        if let Err(error) = &result {
            self.note_failure(id, Work::Flush, error);
        } else {
            self.failures.end(Work::Flush);
        }
        let Some(vshard) = self.vshards.get_mut(&id) else {
            return;
        };
        let ok = result.is_ok();
        vshard.flushes.end(kind, result.map_err(DataError::engine(id)));
        if !vshard.flushes.has_failed() {
            self.shared.board.set_failure(id, None);
        }
        if ok && kind == EngineKind::Documents && !vshard.flushes.compacting {
            vshard.flushes.compacting = true;
            self.maintenance.compact(id, vshard.engines.table_maintenance());
        }
    }

    fn end_compaction(&mut self, id: VshardId, result: Result<Option<TableSnapshot>, EngineError>) {
        if let Err(error) = &result {
            self.note_failure(id, Work::Merge, error);
        } else {
            self.failures.end(Work::Merge);
        }
        let Some(vshard) = self.vshards.get_mut(&id) else {
            return;
        };
        vshard.flushes.compacting = false;
        if let Ok(Some(tables)) = result {
            vshard.engines.install_tables(tables);
            // There may be more to merge; flushes that wait meanwhile go first.
            vshard.flushes.compacting = true;
            self.maintenance.compact(id, vshard.engines.table_maintenance());
        }
    }
}

impl Vshard {
    /// Freezes the engines whose flush is due: somebody waits for it, the engine is full, or a rebuilt
    /// segment is to be taken in. Each with whether it hurries, which one that only a checkpoint without haste
    /// waits for does not.
    fn freeze_due(&mut self, memtable_bytes: usize) -> Vec<(FrozenEngine, bool)> {
        let barrier = self.flushes.barrier();
        let mut frozen = Vec::new();
        for kind in EngineKind::ALL {
            let dirty = self.engines.dirty_of(kind);
            // By its own bytes: the flush of one engine does nothing for the memory of another.
            let full = dirty.is_some_and(|dirty| dirty.bytes >= memtable_bytes);
            let due = dirty.is_some_and(|dirty| Some(dirty.oldest) <= barrier);
            let by_itself = full || self.engines.wants_flush(kind);
            if due || by_itself {
                let hurries = by_itself || self.flushes.hurries();
                frozen.extend(self.freeze(kind).map(|frozen| (frozen, hurries)));
            }
        }
        frozen
    }

    /// Freezes an engine, unless a flush of it runs or has failed, or there is nothing to flush.
    pub(super) fn freeze(&mut self, kind: EngineKind) -> Option<FrozenEngine> {
        if !self.flushes.may_begin(kind) {
            return None;
        }
        // At or above everything applied here, and at or below what will be durable: the barrier is. A flush
        // for an earlier barrier has proven more than was applied here, and floors never fall.
        let floor = self.engines.flushed(kind).floor();
        let watermark = self.applied.max(self.flushes.barrier()).max(floor)?;
        let frozen = self.engines.freeze(kind, watermark)?;
        self.flushes.begin(kind);
        Some(frozen)
    }

    fn take_settled(&mut self) -> Vec<Settled> {
        let engines = &self.engines;
        self.flushes.take_settled(|kind, barrier| {
            let dirty = engines.dirty_of(kind);
            dirty.is_some_and(|dirty| dirty.oldest <= barrier)
        })
    }
}
