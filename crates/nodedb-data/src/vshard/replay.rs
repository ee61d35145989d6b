//! Loading vshards and replaying the log into them.

use super::Vshard;
use crate::{
    DataError, DataOptions, Proven, Replayed,
    ballast::{Ballast, Need},
    engines::Engines,
    vshard_dir,
};
use nodedb_document::Ports;
use nodedb_engine::{
    DurableLog, Engine, EngineError, EngineKind, Floor, Flushed, Frozen, RecordKind, Redo,
};
use nodedb_types::{ErrorKind, Lsn, Stamp, VshardId};
use nodedb_vector::{Rebuild, RebuildStep, Rebuilt};
use nodedb_wal::{Batch, ReadLimit, RecordView, SKIPPABLE, Wal};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// What a core needs to load its vshards.
pub(crate) struct Replay<'a> {
    pub(crate) ports: &'a Ports,
    /// The directory of all vshards.
    pub(crate) dir: &'a Path,
    pub(crate) wal: &'a Wal,
    /// How many vshards the database has.
    pub(crate) vshards: u16,
    pub(crate) redo: Lsn,
    pub(crate) proven: &'a [Proven],
    pub(crate) options: &'a DataOptions,
    pub(crate) ballast: &'a Ballast,
}

/// A vshard with the floors that its replay starts from.
struct Loaded {
    vshard: Vshard,
    /// Whether the disk has refused a flush of this replay.
    disk_is_full: bool,
    floors: [(EngineKind, Floor); EngineKind::ALL.len()],
}

/// The vshards of a core, with their floors, and what was replayed into them.
pub(crate) struct LoadedVshards {
    pub(crate) vshards: BTreeMap<VshardId, Vshard>,
    pub(crate) floors: Vec<(VshardId, EngineKind, Floor)>,
    pub(crate) replayed: Replayed,
}

/// Loads the vshards and replays the log into them, in bounded memory.
pub(crate) fn load_all(
    replay: &Replay<'_>,
    ids: impl Iterator<Item = VshardId>,
) -> Result<LoadedVshards, DataError> {
    let mut loaded = BTreeMap::new();
    for id in ids {
        loaded.insert(id, replay.load(id)?);
    }
    let replayed = replay.run(&mut loaded)?;
    let mut all = LoadedVshards { vshards: BTreeMap::new(), floors: Vec::new(), replayed };
    for (id, Loaded { vshard, floors, .. }) in loaded {
        for (kind, floor) in floors {
            // Also what a flush during replay has proven.
            let flushed = Floor::proven(vshard.engines.flushed(kind));
            all.floors.push((id, kind, floor.merge(flushed)));
        }
        all.vshards.insert(id, vshard);
    }
    Ok(all)
}

impl Replay<'_> {
    fn load(&self, id: VshardId) -> Result<Loaded, DataError> {
        let dir = vshard_dir(self.dir, id);
        let engines = Engines::load(self.ports, &dir).map_err(DataError::engine(id))?;
        let mut floors = EngineKind::ALL.map(|kind| (kind, Floor::default()));
        for (kind, floor) in &mut floors {
            *floor = self.checked_floor(id, *kind, &engines)?;
        }
        let vshard = Vshard::new(id, dir, engines, self.options);
        Ok(Loaded { vshard, disk_is_full: false, floors })
    }

    /// Compares what the files prove with what was proven once (protocol rule P2). Only the pair of
    /// floors tells an idle engine from an older generation that someone put back: the higher one of
    /// both alone would silently skip what the older files lack.
    fn checked_floor(
        &self,
        vshard: VshardId,
        engine: EngineKind,
        engines: &Engines,
    ) -> Result<Floor, DataError> {
        let floor = Floor::proven(engines.flushed(engine));
        let last = self.wal.durable();
        if let Some(own) = floor.own().filter(|own| Some(*own) > last) {
            return Err(DataError::FloorAhead { vshard, engine, own, last });
        }
        let of_it = |proven: &&Proven| proven.vshard == vshard && proven.engine == engine;
        let Some(proven) = self.proven.iter().find(of_it) else {
            return Ok(floor);
        };
        if floor.own() < proven.floor.own() {
            return Err(DataError::FloorFellBack {
                vshard,
                engine,
                own: floor.own(),
                proven: proven.floor.own(),
            });
        }
        Ok(floor.merge(proven.floor))
    }

    fn run(&self, loaded: &mut BTreeMap<VshardId, Loaded>) -> Result<Replayed, DataError> {
        let mut replayed = Replayed::default();
        // The whole database waits for it.
        let _hurry = self.ports.budget.hurry();
        if self.wal.durable() < Some(self.redo) {
            return Ok(replayed);
        }
        let log_error = |error| DataError::Log(Arc::new(error));
        let reader = self.wal.reader(self.redo, ReadLimit::Durable);
        // By position: what is replayed may lie on a bad sector, which must be an error here.
        let mut reader = reader.map_err(log_error)?.unmapped();
        while let Some(batch) = reader.next_batch().map_err(log_error)? {
            for record in batch.records() {
                if self.replay(loaded, &batch, &record)? {
                    replayed.records += 1;
                }
            }
        }
        Ok(replayed)
    }

    /// Replays one record. Whether it changed anything.
    fn replay(
        &self,
        loaded: &mut BTreeMap<VshardId, Loaded>,
        batch: &Batch,
        record: &RecordView,
    ) -> Result<bool, DataError> {
        let lsn = record.lsn;
        let kind = match RecordKind::from_code(record.kind) {
            Some(kind) if kind.is_housekeeping() => return Ok(false),
            Some(kind) => kind,
            None if record.kind & SKIPPABLE != 0 => return Ok(false),
            None => {
                let kind = record.kind;
                return Err(DataError::UnknownRecord { lsn, kind });
            }
        };
        if record.vshard.get() >= self.vshards {
            let vshard = record.vshard;
            return Err(DataError::ForeignVshard { lsn, vshard });
        }
        let Some(loaded) = loaded.get_mut(&record.vshard) else {
            return Ok(false);
        };
        if loaded.floors.iter().all(|(_, floor)| floor.effective() >= Some(lsn)) {
            return Ok(false);
        }
        let redo = Redo::decode(kind, &record.payload)
            .map_err(|source| DataError::Undecodable { lsn, source })?;
        if !loaded.admits(lsn, &redo)? {
            return Ok(false);
        }
        let stamp = Stamp { epoch: batch.epoch, lsn };
        for (kind, floor) in loaded.floors {
            if floor.effective() < Some(lsn) {
                if kind == EngineKind::Vectors
                    && let Some(index) = loaded.vshard.engines.vectors.misfit(&redo)
                {
                    return Err(DataError::UnknownIndex { lsn, index });
                }
                loaded.vshard.engines.apply_to(kind, stamp, record.tenant, &redo);
            }
        }
        loaded.vshard.applied = loaded.vshard.applied.max(Some(lsn));
        self.relieve(loaded, lsn)?;
        Ok(true)
    }

    /// Keeps replay in bounded memory, as long as the disk has room. A full disk must not keep the database
    /// from opening, since what frees it is deleting (protocol rule P10): what is replayed then stands in
    /// memory, as it did before the end of the process that logged it, and its flush is tried again once
    /// the database is open.
    fn relieve(&self, loaded: &mut Loaded, lsn: Lsn) -> Result<(), DataError> {
        if loaded.disk_is_full {
            return Ok(());
        }
        let vshard = &mut loaded.vshard;
        let relieved =
            self.seal_if_full(vshard, lsn).and_then(|()| self.flush_if_full(vshard, lsn));
        match relieved {
            Err(error) if error.kind() == ErrorKind::NoSpace => {
                if self.ballast.release(Need::Flush) {
                    // The next record tries it again.
                    return Ok(());
                }
                tracing::warn!(vshard_id = %vshard.id, %error, "replaying without room to flush");
                loaded.disk_is_full = true;
                Ok(())
            }
            relieved => relieved,
        }
    }

    /// Writes full heads of vectors to disk. Graphs over them are built once the database is open.
    fn seal_if_full(&self, vshard: &mut Vshard, lsn: Lsn) -> Result<(), DataError> {
        let failed = DataError::engine(vshard.id);
        let vectors = &mut vshard.engines.vectors;
        while let Some(rebuild) = vectors.begin_seal() {
            let number = rebuild.number();
            match finish(rebuild) {
                Ok(rebuilt) => vectors.end_rebuild(rebuilt),
                Err(error) => {
                    vectors.give_up_rebuild(number);
                    return Err(failed(error));
                }
            }
            if let Some(frozen) = vectors.freeze(above_floor(vectors.flushed(), lsn)) {
                vectors.install(frozen.persist(&*self.ports.log).map_err(&failed)?);
            }
            drop(vectors.take_garbage());
        }
        Ok(())
    }

    /// Keeps replay in bounded memory. Everything that is replayed is durable, so the flush waits for
    /// nothing.
    fn flush_if_full(&self, vshard: &mut Vshard, lsn: Lsn) -> Result<(), DataError> {
        let bytes = vshard.engines.dirty().map_or(0, |dirty| dirty.bytes);
        if bytes < self.options.memtable_bytes {
            return Ok(());
        }
        let log: &dyn DurableLog = &*self.ports.log;
        let failed = DataError::engine(vshard.id);
        for kind in EngineKind::ALL {
            let watermark = above_floor(vshard.engines.flushed(kind), lsn);
            if let Some(frozen) = vshard.engines.freeze(kind, watermark) {
                vshard.engines.install(frozen.persist(log).map_err(&failed)?);
            }
        }
        drop(vshard.engines.vectors.take_garbage());
        while let Some(tables) = vshard.engines.table_maintenance().compact().map_err(&failed)? {
            vshard.engines.install_tables(tables);
        }
        Ok(())
    }
}

fn finish(mut rebuild: Rebuild) -> Result<Box<Rebuilt>, EngineError> {
    loop {
        match rebuild.step()? {
            RebuildStep::More(rest) => rebuild = rest,
            RebuildStep::Done(segment) => return Ok(segment),
        }
    }
}

/// What a flush of an engine proves at a record of replay. The files may be ahead of what is replayed, for
/// the sake of another engine, and floors never fall.
fn above_floor(flushed: Flushed, lsn: Lsn) -> Lsn {
    flushed.floor().map_or(lsn, |floor| floor.max(lsn))
}

impl Loaded {
    /// Whether the redo belongs to this history (protocol rule P11).
    fn admits(&self, lsn: Lsn, redo: &Redo) -> Result<bool, DataError> {
        let Some(collection) = redo.collection() else {
            return Ok(true);
        };
        let catalog = self.vshard.engines.catalog.catalog();
        catalog.admits(collection, lsn).ok_or(DataError::UnknownCollection { lsn, collection })
    }
}
