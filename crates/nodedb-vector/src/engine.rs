//! All vector indexes of one vshard.

use crate::{
    Neighbour, Query,
    changes::{Change, Changes},
    flat::Flat,
    run::{Part, Row},
    run_dir::{Flush, RunDir},
};
use nodedb_engine::{
    CatalogChange, Dirty, DurableLog, Engine, EngineError, EngineKind, Flushed, Frozen, Persisted,
    Redo,
};
use nodedb_env::Files;
use nodedb_types::{DecodeError, IndexId, Lsn, Stamp, TenantId};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

/// The vectors of one vshard. A vector belongs to an index, whose id no other tenant or collection
/// has, and to a key.
#[derive(Debug)]
pub struct VectorEngine {
    indexes: BTreeMap<IndexId, Flat>,
    flushed: Flushed,
    /// Last record seen: what lies at or below it is in `indexes` already.
    applied: Option<Lsn>,
    changes: Changes,
    frozen: Option<FrozenVectors>,
    dir: Arc<Mutex<RunDir>>,
}

/// The changes of some records on their way to disk.
#[derive(Clone, Debug)]
pub struct FrozenVectors {
    dir: Arc<Mutex<RunDir>>,
    changes: Arc<Changes>,
    /// Rows that lived at the freeze.
    live: u64,
    watermark: Lsn,
}

/// Flushed changes.
#[derive(Debug)]
pub struct PersistedVectors {
    flushed: Flushed,
}

impl VectorEngine {
    /// Makes an engine without vectors in a new directory, whose name the caller makes durable.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    pub fn create(files: Arc<dyn Files>, dir: &Path) -> Result<Self, EngineError> {
        let (dir, flushed) = RunDir::create(files, dir)?;
        Ok(Self::new(BTreeMap::new(), flushed, dir))
    }

    /// Loads the vectors as of the floor; the log above it is replayed by the caller.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`], [`EngineError::UnsupportedFormat`] or [`EngineError::Io`]. Nothing is
    /// changed.
    pub fn load(files: Arc<dyn Files>, dir: &Path) -> Result<Self, EngineError> {
        let (dir, flushed) = RunDir::open(files, dir)?;
        let mut indexes = BTreeMap::new();
        dir.read(|part| take_over(&mut indexes, part))?;
        Ok(Self::new(indexes, flushed, dir))
    }

    fn new(indexes: BTreeMap<IndexId, Flat>, flushed: Flushed, dir: RunDir) -> Self {
        Self {
            indexes,
            flushed,
            applied: flushed.floor(),
            changes: Changes::default(),
            frozen: None,
            dir: Arc::new(Mutex::new(dir)),
        }
    }

    /// The nearest vectors of an index, ascending by distance, then by key. The answer is exact: every
    /// row is looked at. `accept` is asked of keys in that order, until `k` are accepted.
    ///
    /// An index without vectors answers nothing.
    ///
    /// # Errors
    /// The first one of `accept`.
    ///
    /// # Panics
    /// If the query has another number of dimensions than the index, which
    /// [`check_vector`](crate::check_vector) has refused.
    pub fn nearest<E>(
        &self,
        query: &Query<'_>,
        accept: &mut dyn FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<Vec<Neighbour>, E> {
        let Some(flat) = self.indexes.get(&query.index) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::with_capacity(query.k.min(flat.len()));
        if query.k == 0 {
            return Ok(found);
        }
        let mut candidates = flat.candidates(query.vector, query.metric);
        while let Some(candidate) = candidates.pop() {
            if accept(candidate.key)? {
                found.push(Neighbour { key: candidate.key.clone(), distance: candidate.distance });
                if found.len() == query.k {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The vector of a key.
    pub fn vector(&self, index: IndexId, key: &[u8]) -> Option<&[f32]> {
        self.row(index, key).map(|(_, vector)| vector)
    }

    /// Which write the vector of a key comes from.
    pub fn stamp(&self, index: IndexId, key: &[u8]) -> Option<Stamp> {
        self.row(index, key).map(|(stamp, _)| stamp)
    }

    fn row(&self, index: IndexId, key: &[u8]) -> Option<(Stamp, &[f32])> {
        self.indexes.get(&index)?.get(key)
    }

    /// Number of vectors in an index.
    pub fn len(&self, index: IndexId) -> usize {
        self.indexes.get(&index).map_or(0, Flat::len)
    }

    /// Whether an index has no vector.
    pub fn is_empty(&self, index: IndexId) -> bool {
        self.len(index) == 0
    }

    /// The indexes that have had vectors and are not dropped.
    pub fn indexes(&self) -> impl Iterator<Item = IndexId> {
        self.indexes.keys().copied()
    }

    /// The keys of an index in ascending order.
    pub fn keys(&self, index: IndexId) -> impl Iterator<Item = &[u8]> {
        let flat = self.indexes.get(&index);
        flat.into_iter().flat_map(Flat::keys).map(|key| &**key)
    }

    /// About how much memory the vectors take, without what waits for a flush.
    pub fn memory_bytes(&self) -> usize {
        self.indexes.values().map(Flat::memory_bytes).sum()
    }

    fn set(&mut self, at: Stamp, index: IndexId, key: &[u8], vector: &[f32]) {
        let flat = self.indexes.entry(index);
        let flat = flat.or_insert_with(|| Flat::new(vector.len()));
        let key = flat.set(key, at, vector);
        let vector = Some(vector.into());
        self.changes.record(index, key, Change { stamp: at, vector });
    }

    fn remove(&mut self, at: Stamp, index: IndexId, key: &[u8]) {
        // What the head does not hold, no file holds alive.
        let removed = self.indexes.get_mut(&index).and_then(|flat| flat.remove(key));
        if let Some(key) = removed {
            let removal = Change { stamp: at, vector: None };
            self.changes.record(index, key, removal);
        }
    }

    fn drop_indexes(&mut self, at: Stamp, indexes: &[IndexId]) {
        for index in indexes {
            if self.indexes.remove(index).is_some() {
                self.changes.drop_index(at.lsn, *index);
            }
        }
    }
}

/// Takes over one part of the files; parts come oldest first.
fn take_over(indexes: &mut BTreeMap<IndexId, Flat>, part: Part) -> Result<(), DecodeError> {
    for index in part.dropped {
        indexes.remove(&index);
    }
    for row in part.rows {
        take_over_row(indexes, &row)?;
    }
    Ok(())
}

fn take_over_row(indexes: &mut BTreeMap<IndexId, Flat>, row: &Row) -> Result<(), DecodeError> {
    let Some(vector) = row.vector() else {
        if let Some(flat) = indexes.get_mut(&row.index) {
            flat.remove(&row.key);
        }
        return Ok(());
    };
    let flat = indexes.entry(row.index).or_insert_with(|| Flat::new(vector.len()));
    if flat.dimensions() != vector.len() {
        return Err(DecodeError::OutOfRange { field: "dimensions", value: vector.len() as u64 });
    }
    flat.set(&row.key, row.stamp, &vector);
    Ok(())
}

impl Engine for VectorEngine {
    type Frozen = FrozenVectors;

    const KIND: EngineKind = EngineKind::Vectors;

    fn apply(&mut self, at: Stamp, _tenant: TenantId, redo: &Redo) {
        // Records come in the order of the log, so this skips what the files or the head hold.
        if Some(at.lsn) <= self.applied {
            return;
        }
        self.applied = Some(at.lsn);
        match redo {
            Redo::Put { key, vectors, .. } => {
                for change in vectors {
                    match &change.vector {
                        Some(vector) => self.set(at, change.index, key, vector),
                        None => self.remove(at, change.index, key),
                    }
                }
            }
            Redo::Delete { key, vectors, .. } => {
                for index in vectors {
                    self.remove(at, *index, key);
                }
            }
            Redo::Catalog(CatalogChange::DropCollection { indexes, .. }) => {
                self.drop_indexes(at, indexes);
            }
            Redo::Catalog(
                CatalogChange::CreateTenant { .. }
                | CatalogChange::CreateCollection(_)
                | CatalogChange::CreateIndex { .. }
                | CatalogChange::IndexReady { .. }
                | CatalogChange::DropIndex { .. },
            )
            | Redo::IndexRows { .. }
            | Redo::Idempotency(_)
            | Redo::CrdtMerge { .. }
            | Redo::CrdtSnapshot { .. } => {}
        }
    }

    fn flushed(&self) -> Flushed {
        self.flushed
    }

    fn dirty(&self) -> Option<Dirty> {
        let frozen = self.frozen.as_ref().map(|frozen| &*frozen.changes);
        let parts = frozen.into_iter().chain([&self.changes]);
        let oldest = parts.clone().find_map(|changes| changes.oldest)?;
        let bytes = parts.map(Changes::bytes).sum();
        Some(Dirty { oldest, bytes })
    }

    fn freeze(&mut self, watermark: Lsn) -> Option<FrozenVectors> {
        if self.frozen.is_none() {
            self.changes.oldest?;
            assert!(self.applied <= Some(watermark), "the watermark covers what was applied");
            let live = self.indexes.values().map(|flat| flat.len() as u64).sum();
            self.frozen = Some(FrozenVectors {
                dir: Arc::clone(&self.dir),
                changes: Arc::new(std::mem::take(&mut self.changes)),
                live,
                watermark,
            });
        }
        self.frozen.clone()
    }

    fn install(&mut self, persisted: PersistedVectors) {
        assert!(persisted.flushed.floor() >= self.flushed.floor(), "floors never fall");
        self.flushed = persisted.flushed;
        self.frozen = None;
    }
}

impl Frozen for FrozenVectors {
    type Persisted = PersistedVectors;

    fn watermark(&self) -> Lsn {
        self.watermark
    }

    fn persist(self, log: &dyn DurableLog) -> Result<PersistedVectors, EngineError> {
        let mut dir =
            self.dir.lock().or(Err(EngineError::FlushPanicked { engine: EngineKind::Vectors }))?;
        let flush = Flush { changes: &self.changes, watermark: self.watermark, live: self.live };
        Ok(PersistedVectors { flushed: dir.flush(&flush, log)? })
    }
}

impl Persisted for PersistedVectors {
    fn flushed(&self) -> Flushed {
        self.flushed
    }
}
