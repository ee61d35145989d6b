//! The part of an engine that the maintenance thread works on: manifest, tables, flush, compaction.

use crate::{
    Dropped, Ports, TableSnapshot,
    floor_row::FloorRow,
    memtable::Memtable,
    row_key::FLOOR_KEY,
    stored::Stored,
    tables::{Row, SortedTables},
};
use bytes::Bytes;
use nodedb_engine::{
    DurableLog, EngineError, EngineKind, Flushed, IoMeter, Manifest, ManifestDir, NotDurable,
};
use nodedb_types::Lsn;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

const KIND: EngineKind = EngineKind::Documents;
/// Directory of the tables within the engine's.
pub(crate) const TABLES: &str = "tables";

/// Shared by the core, which never locks it, and the maintenance thread.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) ports: Ports,
    path: Arc<PathBuf>,
    state: Mutex<State>,
    retired: parking_lot::Mutex<Vec<Retired>>,
}

#[derive(Debug)]
struct State {
    dir: ManifestDir,
    tables: Option<Box<dyn SortedTables>>,
    floor: Option<Lsn>,
    generation: u64,
}

/// What a core has replaced. Freeing it takes long, so the maintenance thread does.
#[derive(Debug)]
pub(crate) enum Retired {
    Memtable(#[expect(dead_code, reason = "held to be dropped elsewhere")] Arc<Memtable>),
    Tables(#[expect(dead_code, reason = "held to be dropped elsewhere")] TableSnapshot),
}

/// What a flush writes.
#[derive(Debug)]
pub(crate) struct Flush<'a> {
    pub(crate) memtable: &'a Memtable,
    pub(crate) watermark: Lsn,
    pub(crate) dropped: &'a Dropped,
}

/// What the files held when the engine was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Arc<Store>,
    pub(crate) flushed: Flushed,
    pub(crate) tables: TableSnapshot,
    pub(crate) dropped: Dropped,
}

impl Store {
    /// Makes an empty store.
    pub(crate) fn create(ports: &Ports, dir: &Path) -> Result<Opened, EngineError> {
        let (manifest, flushed) = ManifestDir::create(Arc::clone(&ports.files), dir, KIND)?;
        Ok(Self::opened(ports, manifest, flushed, None, Dropped::default()))
    }

    /// Opens a store. A kill between the ingestion and the switch of the manifest leaves tables above
    /// the manifest's floor; the switch is made up for here, with the same proof. The manifest's open
    /// has synced the name of the tables' directory, and the tables' open everything in it.
    pub(crate) fn open(ports: &Ports, dir: &Path) -> Result<Opened, EngineError> {
        let (mut manifest, mut flushed) = ManifestDir::open(Arc::clone(&ports.files), dir, KIND)?;
        let created = was_created(dir, manifest.manifest())?;
        let path = dir.join(TABLES);
        let exists = ports.tables.exists(&*ports.files, &path)?;
        if created && !exists {
            return Err(EngineError::corrupt(path, "missing, though the manifest names it"));
        }
        if !exists {
            remove_litter(ports, &path)?;
            return Ok(Self::opened(ports, manifest, flushed, None, Dropped::default()));
        }
        let mut tables = ports.tables.open(&ports.files, &path)?;
        let row = floor_row(&path, &*tables)?;
        let proven = row.as_ref().map(|row| row.floor);
        if proven < flushed.floor() || (created && proven.is_none()) {
            let (found, promised) = (Lsn::encode(proven), Lsn::encode(flushed.floor()));
            let message = format!("holds records up to {found}, the manifest promises {promised}");
            return Err(EngineError::corrupt(path, message));
        }
        if proven > ports.log.durable() {
            let found = Lsn::encode(proven);
            let message = format!("holds records up to {found}, which the log does not have");
            return Err(EngineError::corrupt(path, message));
        }
        if proven > flushed.floor() || (proven.is_some() && !created) {
            flushed = manifest.switch(next_manifest(proven), &*ports.log)?;
        }
        let dropped = row.map(|row| row.dropped).unwrap_or_default();
        tables.set_dropped(&dropped);
        Ok(Self::opened(ports, manifest, flushed, Some(tables), dropped))
    }

    fn opened(
        ports: &Ports,
        dir: ManifestDir,
        flushed: Flushed,
        tables: Option<Box<dyn SortedTables>>,
        dropped: Dropped,
    ) -> Opened {
        let path = Arc::new(dir.path().join(TABLES));
        let state = State { dir, tables, floor: flushed.floor(), generation: 0 };
        let tables = state.snapshot(&path);
        let store = Arc::new(Self {
            ports: ports.clone(),
            path,
            state: Mutex::new(state),
            retired: parking_lot::Mutex::default(),
        });
        Opened { store, flushed, tables, dropped }
    }

    /// Flushes a memtable. Everything that could show or keep what a crash takes back is awaited
    /// before the first byte is written: the log up to the watermark, and the readers below it.
    pub(crate) fn persist(
        &self,
        flush: &Flush<'_>,
        log: &dyn DurableLog,
    ) -> Result<(Flushed, TableSnapshot), EngineError> {
        self.free_retired();
        let lsn = flush.watermark;
        log.wait_durable(lsn).map_err(|NotDurable| EngineError::NotDurable { lsn })?;
        assert!(log.durable() >= Some(lsn), "WAL before data: {lsn} is not durable");
        self.ports.snapshots.wait_for_ingestion(lsn);
        let mut state = self.lock()?;
        assert!(state.floor <= Some(lsn), "memtables are flushed in the order of the log");
        state.ingest(&self.ports, &self.path, flush)?;
        let flushed = state.dir.switch(next_manifest(Some(lsn)), log)?;
        Ok((flushed, state.snapshot(&self.path)))
    }

    /// Merges tables if that is worth it.
    pub(crate) fn compact(&self) -> Result<Option<TableSnapshot>, EngineError> {
        self.free_retired();
        let mut state = self.lock()?;
        let Some(tables) = &mut state.tables else {
            return Ok(None);
        };
        if !tables.compact(&self.ports.budget)? {
            return Ok(None);
        }
        state.generation += 1;
        Ok(Some(state.snapshot(&self.path)))
    }

    /// Takes over what the core needs no more.
    pub(crate) fn retire(&self, retired: Retired) {
        self.retired.lock().push(retired);
    }

    fn free_retired(&self) {
        // Freed after the list is unlocked: the core adds to it.
        let retired = std::mem::take(&mut *self.retired.lock());
        drop(retired);
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>, EngineError> {
        self.state.lock().or(Err(EngineError::FlushPanicked { engine: KIND }))
    }
}

impl State {
    fn ingest(&mut self, ports: &Ports, path: &Path, flush: &Flush<'_>) -> Result<(), EngineError> {
        if self.tables.is_none() {
            // A creation that failed before leaves a part of a directory. The name of the new one is
            // synced by the switch, before the manifest speaks of it.
            remove_litter(ports, path)?;
            self.tables = Some(ports.tables.create(&ports.files, path)?);
        }
        let Some(tables) = &mut self.tables else {
            return Ok(());
        };
        let floor = FloorRow { floor: flush.watermark, dropped: flush.dropped.clone() };
        let mut meter = IoMeter::new(Arc::clone(&ports.budget));
        let floor: Row = (Bytes::from_static(FLOOR_KEY), Some(floor.encode()));
        let rows = flush.memtable.newest().filter(|(key, _)| !flush.dropped.has(key)).map(
            |(key, version)| {
                let value = version.value.as_ref();
                let encode = |value| Stored::encode(version.stamp, version.expires, value);
                let row = value.map(|value| encode(value));
                meter.add(key.len() + row.as_ref().map_or(0, Vec::len));
                (key.clone(), row)
            },
        );
        tables.ingest(&mut std::iter::once(floor).chain(rows))?;
        // Only drops that are durable: what merging leaves out never comes back.
        tables.set_dropped(flush.dropped);
        self.floor = Some(flush.watermark);
        self.generation += 1;
        Ok(())
    }

    fn snapshot(&self, path: &Arc<PathBuf>) -> TableSnapshot {
        TableSnapshot {
            generation: self.generation,
            floor: self.floor,
            view: self.tables.as_ref().map(|tables| tables.view()),
            path: Arc::clone(path),
        }
    }
}

fn remove_litter(ports: &Ports, path: &Path) -> Result<(), EngineError> {
    let files = &ports.files;
    let entry = files.entry(path).map_err(EngineError::io("looking at", path))?;
    match entry {
        None => Ok(()),
        Some(_) => files.remove_dir_all(path).map_err(EngineError::io("removing", path)),
    }
}

fn floor_row(path: &Path, tables: &dyn SortedTables) -> Result<Option<FloorRow>, EngineError> {
    let Some(bytes) = tables.view().get(FLOOR_KEY)? else {
        return Ok(None);
    };
    FloorRow::decode(&bytes)
        .map(Some)
        .map_err(|error| EngineError::corrupt(path, error.to_string()))
}

/// Version of the rows.
const FORMAT: u8 = 3;
/// What the manifest says besides the floor: the version of the rows, and that tables were made, so that
/// their absence is damage and never an empty store.
const CREATED: [u8; 2] = [FORMAT, 1];

fn next_manifest(floor: Option<Lsn>) -> Manifest {
    Manifest { floor, files: Vec::new(), extra: CREATED.to_vec() }
}

fn was_created(dir: &Path, manifest: &Manifest) -> Result<bool, EngineError> {
    let path = dir.join("MANIFEST");
    match (manifest.extra.as_slice(), manifest.floor) {
        ([], None) => Ok(false),
        (extra, Some(_)) if extra == CREATED => Ok(true),
        ([format, 1], Some(_)) => Err(EngineError::UnsupportedFormat {
            path,
            found: u32::from(*format),
            supported: u32::from(FORMAT),
        }),
        _ => Err(EngineError::corrupt(path, "floor and tables do not fit together")),
    }
}
