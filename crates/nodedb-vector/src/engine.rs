//! All vector indexes of one vshard.

use crate::{
    Definition, Found, Query, SearchMode, SearchPlan,
    changes::{Change, Changes, Dead},
    definition::{created, dropped},
    frozen::{FrozenVectors, PersistedVectors},
    live_index::{Killed, LiveIndex},
    load,
    rebuilt::Adoption,
    upkeep::Upkeep,
    vector_dir::VectorDir,
};
use bytes::Bytes;
use nodedb_engine::{
    Dirty, Engine, EngineError, EngineKind, Flushed, IndexEntry, IoBudget, Persisted, Redo,
};
use nodedb_env::Files;
use nodedb_types::{IndexId, Lsn, Stamp, TenantId};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

/// The vectors of one vshard. A vector belongs to an index, whose id no other tenant or collection
/// has, and to a key.
#[derive(Debug)]
pub struct VectorEngine {
    pub(crate) indexes: BTreeMap<IndexId, LiveIndex>,
    pub(crate) flushed: Flushed,
    /// Last record seen: what lies at or below it is in `indexes` already.
    pub(crate) applied: Option<Lsn>,
    pub(crate) changes: Changes,
    pub(crate) frozen: Option<FrozenVectors>,
    /// Flushes begun in this process.
    pub(crate) flushes: u64,
    pub(crate) upkeep: Upkeep,
    /// Memory of the rows that are not sealed.
    pub(crate) unsealed: usize,
    pub(crate) dir: Arc<Mutex<VectorDir>>,
}

/// When heads are sealed and segments merged. Nothing on disk depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VectorOptions {
    /// Rows of a head that become a segment, at least 1. A head of 16 MiB is sealed earlier. Default
    /// 4,096: looking at all of them takes 0.2 to 0.3 ms at 384 dimensions, less than walking the graphs
    /// of five segments.
    pub head_rows: usize,
    /// Memory of all heads together, in bytes, from which on the largest is sealed though it is not
    /// full. Default 32 MiB.
    pub heads_bytes: usize,
    /// Memory that one merge of segments may take, in bytes, beside as much again while its graph is
    /// saved; a head may be above it. A segment of half of it is not merged with others any more, so an
    /// index has more than six graphs once it has several of those. Default 256 MiB: 240,000 vectors of
    /// 384 dimensions as bf16.
    pub merge_bytes: u64,
}

impl VectorOptions {
    /// What is used where nothing else is chosen.
    pub const DEFAULT: Self =
        Self { head_rows: 4096, heads_bytes: 32 << 20, merge_bytes: 256 << 20 };
}

impl Default for VectorOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl VectorEngine {
    /// Makes an engine without vectors in a new directory, whose name the caller makes durable.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    pub fn create(files: Arc<dyn Files>, dir: &Path) -> Result<Self, EngineError> {
        let (dir, flushed) = VectorDir::create(files, dir)?;
        Ok(load::engine(BTreeMap::new(), flushed, dir, VectorOptions::default()))
    }

    /// Loads the vectors as of the floor; the log above it is replayed by the caller.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`], [`EngineError::UnsupportedFormat`] or [`EngineError::Io`]. Nothing is
    /// changed.
    pub fn load(files: Arc<dyn Files>, dir: &Path) -> Result<Self, EngineError> {
        let (dir, flushed) = VectorDir::open(files, dir)?;
        let indexes = load::indexes(&dir)?;
        Ok(load::engine(indexes, flushed, dir, VectorOptions::default()))
    }

    /// The same engine with other options.
    ///
    /// # Panics
    /// If an option is out of its range.
    #[must_use]
    pub fn with_options(mut self, options: VectorOptions) -> Self {
        self.set_options(options);
        self
    }

    /// Seals and merges by other options from now on.
    ///
    /// # Panics
    /// If an option is out of its range.
    pub fn set_options(&mut self, options: VectorOptions) {
        assert!(options.head_rows > 0, "a head without rows is not sealed");
        assert!(options.heads_bytes > 0 && options.merge_bytes > 0, "limits are above 0");
        self.upkeep.options = options;
    }

    /// Lets flushes write no faster than a budget allows from now on. Rebuilds are paced by whoever runs
    /// their steps ([`Rebuild::take_unpaid`](crate::Rebuild::take_unpaid)).
    pub fn set_budget(&mut self, budget: Arc<IoBudget>) {
        if let Ok(mut dir) = self.dir.lock() {
            dir.budget = Some(budget);
        }
    }

    /// The nearest vectors of an index, ascending by distance, then by key. `accept` is asked of keys in
    /// that order, of each at most once, until `k` are accepted.
    ///
    /// An index without vectors answers nothing.
    ///
    /// # Errors
    /// The first one of `accept`.
    ///
    /// # Panics
    /// If the query has another number of dimensions or another metric than the index, which
    /// [`check_vector`](crate::check_vector) and its caller have refused.
    pub fn nearest<E>(
        &self,
        query: &Query<'_>,
        accept: &mut dyn FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<Found, E> {
        match self.indexes.get(&query.index) {
            Some(index) if query.k > 0 => index.nearest(query, accept),
            _ => Ok(Found { neighbours: Vec::new(), plan: SearchPlan::Exact }),
        }
    }

    /// The nearest vectors of those of some keys, for a filter whose matches are known. Exact; each key
    /// must come once. `accept` is asked as by [`VectorEngine::nearest`].
    ///
    /// # Errors
    /// The first one of `accept`.
    ///
    /// # Panics
    /// As [`VectorEngine::nearest`].
    pub fn nearest_among<E>(
        &self,
        query: &Query<'_>,
        keys: &mut dyn Iterator<Item = Bytes>,
        accept: &mut dyn FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<Found, E> {
        match self.indexes.get(&query.index) {
            Some(index) if query.k > 0 => index.nearest_among(query, keys, accept),
            _ => Ok(Found { neighbours: Vec::new(), plan: SearchPlan::Among { matches: 0 } }),
        }
    }

    /// How [`VectorEngine::nearest`] begins to look for `k` neighbours. It goes over to
    /// [`SearchPlan::Exact`] if so few rows are accepted that this is faster.
    pub fn plan(
        &self,
        index: IndexId,
        k: usize,
        ef: Option<usize>,
        mode: SearchMode,
    ) -> SearchPlan {
        let index = self.indexes.get(&index);
        index.map_or(SearchPlan::Exact, |index| index.first_plan(k, ef, mode))
    }

    /// What is known of an index.
    pub fn definition(&self, index: IndexId) -> Option<Definition> {
        self.indexes.get(&index).map(|index| index.definition)
    }

    /// The first index that a record names and this engine cannot take a vector for: it is unknown, or
    /// takes vectors of another length. Such a record is not of this history.
    pub fn misfit(&self, redo: &Redo) -> Option<IndexId> {
        let misfit = |index: IndexId, vector: &[f32]| {
            let definition = self.definition(index);
            definition.is_none_or(|definition| definition.width() != vector.len()).then_some(index)
        };
        match redo {
            Redo::Put { vectors, .. } => vectors.iter().find_map(|change| {
                change.vector.as_ref().and_then(|vector| misfit(change.index, vector))
            }),
            Redo::IndexRows { index, rows, .. } => rows.iter().find_map(|row| match &row.entry {
                IndexEntry::Vector(vector) => misfit(*index, vector),
                IndexEntry::Field(_) => None,
            }),
            Redo::Delete { .. }
            | Redo::Catalog(_)
            | Redo::Idempotency(_)
            | Redo::CrdtMerge { .. }
            | Redo::CrdtSnapshot { .. } => None,
        }
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
        self.indexes.get(&index).map_or(0, LiveIndex::len)
    }

    /// Whether an index has no vector.
    pub fn is_empty(&self, index: IndexId) -> bool {
        self.len(index) == 0
    }

    /// Number of graphs that a search of an index walks: at most 6, unless some are so large that they
    /// are not merged any more ([`VectorOptions::merge_bytes`]).
    pub fn graphs(&self, index: IndexId) -> usize {
        self.indexes.get(&index).map_or(0, |index| index.graphs().count())
    }

    /// Number of sealed segments of an index, those that wait for a graph included.
    pub fn segments(&self, index: IndexId) -> usize {
        self.indexes.get(&index).map_or(0, |index| index.segments().count())
    }

    /// Memory, in bytes, of the rows that stand in heads and are not sealed. They take it until a flush
    /// has taken in the segment they went to.
    pub const fn unsealed_bytes(&self) -> usize {
        self.unsealed
    }

    /// The indexes there are.
    pub fn indexes(&self) -> impl Iterator<Item = IndexId> {
        self.indexes.keys().copied()
    }

    /// The keys of an index in ascending order. Looks at all of them at once.
    pub fn keys(&self, index: IndexId) -> impl Iterator<Item = &[u8]> {
        let index = self.indexes.get(&index);
        index.into_iter().flat_map(LiveIndex::keys)
    }

    /// About how much memory the vectors take on the heap, without what waits for a flush. Rows of
    /// sealed segments are mapped from their files and take almost none.
    pub fn memory_bytes(&self) -> usize {
        self.indexes.values().map(LiveIndex::memory_bytes).sum()
    }

    fn set(&mut self, at: Stamp, index: IndexId, key: &[u8], vector: &[f32]) {
        let live = self.indexes.get_mut(&index);
        assert!(live.is_some(), "index {index} was created before it is written to");
        let Some(live) = live else { return };
        let (key, killed) = live.set(key, at, vector);
        if live.is_head_full(self.upkeep.options.head_rows) {
            self.upkeep.look_at(index);
        }
        self.unsealed = self.unsealed + live.unsealed_bytes() - live.counted;
        live.counted = live.unsealed_bytes();
        self.note_death(at, index, killed);
        self.changes.record(index, key, Change { stamp: at, vector: Some(vector.into()) });
    }

    fn remove(&mut self, at: Stamp, index: IndexId, key: &[u8]) {
        let Some(live) = self.indexes.get_mut(&index) else { return };
        if let Some(key) = live.head.remove(key) {
            self.unsealed = self.unsealed + live.unsealed_bytes() - live.counted;
            live.counted = live.unsealed_bytes();
            return self.changes.record(index, key, Change { stamp: at, vector: None });
        }
        let killed = live.kill(key);
        if killed == Killed::Aside {
            let key = Bytes::copy_from_slice(key);
            self.changes.record(index, key, Change { stamp: at, vector: None });
        }
        self.note_death(at, index, killed);
    }

    fn note_death(&mut self, at: Stamp, index: IndexId, killed: Killed) {
        let Killed::Sealed(part) = killed else { return };
        self.changes.record_death(at.lsn, index, part);
        let Some(live) = self.indexes.get(&index) else { return };
        let part = live.parts.iter().find(|other| other.id == part);
        if part.is_some_and(|part| part.size(live.definition).is_rotten()) {
            self.upkeep.look_at(index);
        }
    }

    fn apply_catalog(&mut self, at: Stamp, redo: &Redo) {
        for index in created(redo) {
            let definition = Definition::of(index);
            self.indexes.insert(index.id, LiveIndex::new(definition));
            self.changes.create_index(at.lsn, index.id, definition);
        }
        for index in dropped(redo) {
            if let Some(live) = self.indexes.remove(index) {
                self.unsealed -= live.counted;
                let changes = self.changes.drop_index(at.lsn, *index);
                self.upkeep.forget(*index, live, changes);
            }
        }
    }

    fn dead(&self) -> Dead {
        let dead = |(index, id): &(IndexId, _)| {
            let parts = &self.indexes.get(index)?.parts;
            let part = parts.iter().find(|part| part.id == *id)?;
            Some(((*index, *id), Arc::clone(&part.dead)))
        };
        self.changes.died.iter().filter_map(dead).collect()
    }

    fn adoptions(&mut self) -> Vec<Adoption> {
        let rebuilt = self.upkeep.take_rebuilt();
        let adopt = |rebuilt: Arc<crate::Rebuilt>| {
            let live = self.indexes.get(&rebuilt.index)?;
            Some(Adoption::new(rebuilt, &live.parts))
        };
        rebuilt.into_iter().filter_map(adopt).collect()
    }
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
            Redo::IndexRows { index, rows, .. } => {
                for row in rows {
                    if let IndexEntry::Vector(vector) = &row.entry {
                        self.set(at, *index, &row.key, vector);
                    }
                }
            }
            Redo::Catalog(_) => self.apply_catalog(at, redo),
            Redo::Idempotency(_) | Redo::CrdtMerge { .. } | Redo::CrdtSnapshot { .. } => {}
        }
    }

    fn flushed(&self) -> Flushed {
        self.flushed
    }

    fn dirty(&self) -> Option<Dirty> {
        let frozen = self.frozen.as_ref().map(FrozenVectors::changes);
        let parts = frozen.into_iter().chain([&self.changes]);
        let oldest = parts.clone().find_map(|changes| changes.oldest)?;
        let bytes = parts.map(Changes::bytes).sum();
        Some(Dirty { oldest, bytes })
    }

    /// Also something to flush is a rebuilt segment that waits to be taken in
    /// ([`VectorEngine::wants_flush`]).
    fn freeze(&mut self, watermark: Lsn) -> Option<FrozenVectors> {
        if self.frozen.is_none() {
            if self.changes.oldest.is_none() && !self.wants_flush() {
                return None;
            }
            assert!(self.applied <= Some(watermark), "the watermark covers what was applied");
            let dead = self.dead();
            let adoptions = self.adoptions();
            let in_runs: u64 = self.indexes.values().map(LiveIndex::rows_in_runs).sum();
            let sealed: u64 = adoptions.iter().map(|adoption| adoption.rows_from_runs).sum();
            self.flushes += 1;
            self.frozen = Some(FrozenVectors::new(crate::frozen::Parts {
                dir: Arc::clone(&self.dir),
                number: self.flushes,
                changes: std::mem::take(&mut self.changes),
                dead,
                adoptions,
                live: in_runs - sealed,
                watermark,
            }));
        }
        self.frozen.clone()
    }

    fn install(&mut self, persisted: PersistedVectors) {
        assert!(persisted.flushed().floor() >= self.flushed.floor(), "floors never fall");
        self.flushed = persisted.flushed();
        // What nobody took since the flush before: a caller without a thread for it.
        drop(self.take_garbage());
        self.install_adoptions(persisted.adopted);
        if let Some(frozen) = self.frozen.take() {
            self.upkeep.free(frozen);
        }
        self.look_after_flush();
    }
}
