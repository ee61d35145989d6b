//! The tables of a real database: `lsm-tree`, used as immutable sorted tables only.
//!
//! All calls of the library stand in this file, among them some that its documentation hides, so the
//! version is pinned exactly. It does its own file I/O, below the file port.

use super::{
    Row, Rows, SortedTables, TableStore, TableView, Verified, lsm_files, write_back::WriteBack,
};
use crate::{
    Direction, Dropped,
    row_range::Bounds,
    tables::lsm_files::{CURRENT, LsmFiles},
};
use bytes::Bytes;
use lsm_tree::{
    AbstractTree, AnyTree, Cache, Config, DescriptorTable, Error, InternalValue,
    SequenceNumberCounter, Slice, Table, Tree, ValueType,
    compaction::{
        Leveled,
        filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict},
    },
    merge::Merger,
    mvcc_stream::MvccStream,
    table::filter::standard_bloom::Builder as Bloom,
};
use nodedb_engine::{EngineError, IoBudget, IoMeter};
use nodedb_env::Files;
use std::{
    io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes of blocks that all trees of a database keep in memory.
const CACHE_BYTES: u64 = 64 << 20;
/// Table files that all trees of a database keep open.
const OPEN_FILES: usize = 512;
/// Length from which on a value that is read alone shares the memory of its block.
const SHARED_MIN: usize = 2048;
/// Runs of the first level above which a flush merges first: the library stores their number in a byte.
const RUNS_MAX: usize = 64;

/// About the most bytes of a table.
const TABLE_BYTES: u64 = 64 << 20;
/// Tombstones from which on all tables are merged, if they are one row of so many.
const TOMBSTONES_MIN: u64 = 4096;
const TOMBSTONE_SHARE: u64 = 4;
/// Bytes of tables above which they are not all merged at once: the flushes behind would wait too long.
const WHOLE_MERGE_BYTES_MAX: u64 = 512 << 20;

/// Readers see everything. The counter's value would be raced by a switch of the tree's version.
const ALL: u64 = u64::MAX;

/// Tables on the real file system.
pub struct LsmTables {
    cache: Arc<Cache>,
    open_files: Arc<DescriptorTable>,
}

impl std::fmt::Debug for LsmTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LsmTables").finish_non_exhaustive()
    }
}

impl Default for LsmTables {
    fn default() -> Self {
        Self {
            cache: Arc::new(Cache::with_capacity_bytes(CACHE_BYTES)),
            open_files: Arc::new(DescriptorTable::new(OPEN_FILES)),
        }
    }
}

impl LsmTables {
    fn open_tree(&self, files: &Arc<dyn Files>, dir: &Path) -> Result<LsmTree, EngineError> {
        let merging = Merging::default();
        // Counters of its own: its sequence numbers mean nothing outside.
        let counter = SequenceNumberCounter::default();
        let visible = SequenceNumberCounter::default();
        let tree = Config::new(dir, counter.clone(), visible.clone())
            .use_cache(Arc::clone(&self.cache))
            .use_descriptor_table(Some(Arc::clone(&self.open_files)))
            .with_compaction_filter_factory(Some(Arc::new(merging.clone())))
            .open()
            .map_err(failed("opening", dir))?;
        let AnyTree::Standard(tree) = tree else {
            return Err(EngineError::corrupt(dir, "a tree with value files"));
        };
        // Without this, new tables would get numbers below those of old ones and lose against them.
        if let Some(highest) = tree.get_highest_persisted_seqno() {
            counter.fetch_max(highest + 1);
            visible.fetch_max(highest + 1);
        }
        Ok(LsmTree { tree, files: Arc::clone(files), dir: dir.to_owned(), merging, failed: false })
    }
}

impl TableStore for LsmTables {
    fn create(
        &self,
        files: &Arc<dyn Files>,
        dir: &Path,
    ) -> Result<Box<dyn SortedTables>, EngineError> {
        Ok(Box::new(self.open_tree(files, dir)?))
    }

    fn exists(&self, files: &dyn Files, dir: &Path) -> Result<bool, EngineError> {
        lsm_files::exists(files, dir)
    }

    fn open(
        &self,
        files: &Arc<dyn Files>,
        dir: &Path,
    ) -> Result<Box<dyn SortedTables>, EngineError> {
        LsmFiles::check(&**files, dir)?.sync(&**files, dir)?;
        lsm_files::sweep(&**files, dir)?;
        Ok(Box::new(self.open_tree(files, dir)?))
    }

    fn verify(&self, files: &dyn Files, dir: &Path) -> Result<Verified, EngineError> {
        LsmFiles::check(files, dir)?.verify(files)
    }
}

/// An open tree. Only the maintenance thread changes it; readers hold views of it.
struct LsmTree {
    tree: Tree,
    files: Arc<dyn Files>,
    dir: PathBuf,
    merging: Merging,
    /// After a failure that is not a full disk nothing here is trusted before a reopen.
    failed: bool,
}

impl std::fmt::Debug for LsmTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LsmTree")
            .field("dir", &self.dir)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl LsmTree {
    fn change(
        &mut self,
        action: &'static str,
        change: impl FnOnce(&Tree) -> lsm_tree::Result<()>,
    ) -> Result<(), EngineError> {
        if self.failed {
            let path = self.dir.clone();
            return Err(EngineError::InDoubt { path });
        }
        let next_table = self.tree.next_table_id();
        let result = change(&self.tree);
        if let Err(error) = result {
            let full = matches!(&error, Error::Io(error) if is_full(error));
            // A full disk may be tried again, unless the failure came after the new version took
            // over on disk: then memory and disk disagree, and the next switch would write over it.
            self.failed = !full || !self.is_current();
            if !self.failed {
                self.remove_tables_from(next_table);
            }
            return Err(failed(action, &self.dir)(error));
        }
        // Versions that no reader starts from any more, and their files.
        self.tree
            .get_version_history_lock()
            .maintenance(&self.dir, ALL)
            .map_err(failed(action, &self.dir))
    }

    fn merge(&mut self) -> Result<bool, EngineError> {
        let before = self.tree.current_version().id();
        let write_back = self.write_back();
        self.merging.change(|state| state.write_back = Some(write_back));
        // Everything may be evicted: readers keep the tables that they started with.
        if self.is_mostly_deleted() {
            self.change("merging", |tree| tree.major_compact(TABLE_BYTES, ALL))?;
        } else {
            let strategy = Arc::new(Leveled::default().with_table_target_size(TABLE_BYTES));
            self.change("merging", |tree| tree.compact(strategy, ALL))?;
        }
        Ok(self.tree.current_version().id() != before)
    }

    /// For what is written next.
    fn write_back(&self) -> WriteBack {
        let tables = self.dir.join(lsm_tree::file::TABLES_FOLDER);
        WriteBack::new(&self.files, &tables, self.tree.next_table_id())
    }

    /// Whether so many rows are tombstones that all tables are merged at once, which frees what they hide
    /// and themselves. Levels alone let them wait for other writes: whoever reads there would pass over
    /// them, and deleting everything would free nothing. Each tombstone pays for at most a few rows that
    /// are written again.
    fn is_mostly_deleted(&self) -> bool {
        let tombstones = self.tree.tombstone_count();
        tombstones >= TOMBSTONES_MIN
            && tombstones.saturating_mul(TOMBSTONE_SHARE) >= self.tree.approximate_len() as u64
            && self.tree.disk_space() <= WHOLE_MERGE_BYTES_MAX
    }

    /// Whether the disk names the version that is in memory.
    fn is_current(&self) -> bool {
        let version = self.tree.current_version().id().to_le_bytes();
        let bytes = self.files.read(&self.dir.join(CURRENT));
        bytes.is_ok_and(|bytes| bytes.starts_with(&version))
    }

    /// Removes the tables of a failed change, so that a full disk does not stay full of them. No
    /// version names them, and no reader can know them.
    fn remove_tables_from(&self, next_table: u64) {
        let dir = self.dir.join(lsm_tree::file::TABLES_FOLDER);
        for id in next_table..self.tree.next_table_id() {
            // What cannot be removed is removed by the next open, which knows it as unnamed.
            drop(self.files.remove_file(&dir.join(id.to_string())));
        }
    }
}

impl SortedTables for LsmTree {
    fn ingest(&mut self, rows: &mut dyn Iterator<Item = Row>) -> Result<(), EngineError> {
        if self.tree.l0_run_count() >= RUNS_MAX {
            // A flush cannot go on without it, so it takes no notice of the budget.
            self.merge()?;
        }
        let runs = self.tree.l0_run_count();
        assert!(runs < 2 * RUNS_MAX, "merging keeps up with flushes: {runs} runs");
        let mut write_back = self.write_back();
        self.change("flushing", |tree| {
            let tree = AnyTree::Standard(tree.clone());
            let mut ingestion = tree.ingestion()?;
            for (key, value) in rows {
                write_back.add(key.len() + value.as_ref().map_or(0, Vec::len));
                let key = Slice::from(key);
                match value {
                    Some(value) => ingestion.write(key, Slice::from(value))?,
                    None => ingestion.write_tombstone(key)?,
                }
            }
            ingestion.finish()
        })
    }

    fn compact(&mut self, budget: &Arc<IoBudget>) -> Result<bool, EngineError> {
        self.merging.change(|state| state.budget = Some(Arc::clone(budget)));
        let merged = self.merge();
        self.merging.change(|state| state.budget = None);
        merged
    }

    fn set_dropped(&mut self, dropped: &Dropped) {
        self.merging.change(|state| {
            if *state.dropped != *dropped {
                state.dropped = Arc::new(dropped.clone());
            }
        });
    }

    fn view(&self) -> Arc<dyn TableView> {
        // Taken here, on the maintenance thread: a core that asked the tree itself would wait for
        // whoever holds its version lock, up to half a second.
        let tables = self.tree.current_version();
        let dir = self.dir.clone();
        let get = move |key: &[u8]| {
            let hash = Bloom::get_hash(key);
            let runs = tables.iter_levels().flat_map(|level| level.iter());
            for table in runs.filter_map(|run| run.get_for_key(key)) {
                let row = table.get(key, ALL, hash).map_err(|error| {
                    let id = table.id().to_string();
                    failed("reading", &dir.join(lsm_tree::file::TABLES_FOLDER).join(id))(error)
                })?;
                if let Some(row) = row {
                    let value = row.key.value_type == ValueType::Value;
                    return Ok(value.then(|| detached(row.value)));
                }
            }
            Ok(None)
        };
        let dir = self.dir.join(lsm_tree::file::TABLES_FOLDER);
        let tables = self.tree.current_version();
        let range = move |bounds: Bounds<'_>, direction: Direction| -> Rows<'static> {
            let bounds = (bounds.0.map(Slice::from), bounds.1.map(Slice::from));
            let runs = tables.iter_levels().flat_map(|level| level.iter());
            let mut runs: Vec<_> = runs
                .filter_map(|run| {
                    let (first, last) = run.range_overlap_indexes(&bounds)?;
                    Some(one_run(run.get(first..=last)?.to_vec(), bounds.clone()))
                })
                .collect();
            match (runs.pop(), runs.is_empty()) {
                (None, _) => Box::new(std::iter::empty()),
                // Each key is in it once, so nothing is to be merged: that takes longer than to read.
                (Some(run), true) => rows(run, direction, &dir),
                (Some(last), false) => {
                    runs.push(last);
                    rows(MvccStream::new(Merger::new(runs)), direction, &dir)
                }
            }
        };
        Arc::new(LsmView { get, range })
    }
}

/// The rows of tables that do not overlap, deleted ones among them.
fn one_run(
    run: Vec<Table>,
    bounds: (Bound<Slice>, Bound<Slice>),
) -> impl DoubleEndedIterator<Item = lsm_tree::Result<InternalValue>> + use<> {
    run.into_iter().flat_map(move |table| table.range(bounds.clone()))
}

/// What the library has read, in one direction.
fn rows(
    mut found: impl DoubleEndedIterator<Item = lsm_tree::Result<InternalValue>> + 'static,
    direction: Direction,
    dir: &Path,
) -> Rows<'static> {
    let dir = dir.to_owned();
    let found = std::iter::from_fn(move || direction.next(&mut found));
    Box::new(found.map(move |row| {
        let row = row.map_err(|error| failed("reading", &dir)(error))?;
        // Shared with the block that they stand in, which a page of neighbours fills anyway.
        let value = (row.key.value_type == ValueType::Value).then(|| Bytes::from(row.value));
        Ok((Bytes::from(row.key.user_key), value))
    }))
}

/// A version of the tree, in the two closures that know its types, which the library does not name.
struct LsmView<G, R> {
    get: G,
    range: R,
}

impl<G, R> std::fmt::Debug for LsmView<G, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LsmView").finish_non_exhaustive()
    }
}

impl<G, R> TableView for LsmView<G, R>
where
    G: Fn(&[u8]) -> Result<Option<Bytes>, EngineError> + Send + Sync,
    R: Fn(Bounds<'_>, Direction) -> Rows<'static> + Send + Sync,
{
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        (self.get)(key)
    }

    fn range(&self, bounds: Bounds<'_>, direction: Direction) -> Rows<'_> {
        (self.range)(bounds, direction)
    }
}

/// What running merges look at.
#[derive(Clone, Debug, Default)]
struct Merging(Arc<Mutex<MergeState>>);

#[derive(Clone, Debug, Default)]
struct MergeState {
    /// Whose rows are left out.
    dropped: Arc<Dropped>,
    budget: Option<Arc<IoBudget>>,
    /// From the first table on that the merge writes.
    write_back: Option<WriteBack>,
}

impl Merging {
    fn change(&self, change: impl FnOnce(&mut MergeState)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Factory for Merging {
    fn name(&self) -> &'static str {
        "dropped rows and pace"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let MergeState { dropped, budget, write_back } = state;
        Box::new(Merge { dropped, meter: budget.map(IoMeter::new), write_back })
    }
}

/// A merge under way. The library offers no other place to wait in.
struct Merge {
    dropped: Arc<Dropped>,
    meter: Option<IoMeter>,
    write_back: Option<WriteBack>,
}

impl CompactionFilter for Merge {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> lsm_tree::Result<Verdict> {
        let bytes = item.key().len() + item.value()?.len();
        if let Some(meter) = &mut self.meter {
            meter.add(bytes);
        }
        if let Some(write_back) = &mut self.write_back {
            write_back.add(bytes);
        }
        let gone = self.dropped.has(item.key());
        // Older versions further down may show through from now on; nobody reads a dropped id.
        Ok(if gone { Verdict::Destroy } else { Verdict::Keep })
    }
}

/// The value on its own. A small one that its caller keeps would keep the whole block in memory; a large
/// one is about as large as its block.
fn detached(value: Slice) -> Bytes {
    if value.len() < SHARED_MIN { Bytes::copy_from_slice(&value) } else { Bytes::from(value) }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What a failure of the library means: the system's errors stay what they are, everything else is
/// damage that a checksum or a length has shown.
fn failed(action: &'static str, path: &Path) -> impl Fn(Error) -> EngineError {
    let path = path.to_owned();
    move |error| {
        if let Error::Io(source) = error {
            if source.kind() != io::ErrorKind::UnexpectedEof {
                return EngineError::io(action, &path)(source);
            }
            return EngineError::corrupt(&path, format!("{action} failed: {source}"));
        }
        EngineError::corrupt(&path, format!("{action} failed: {error:?}"))
    }
}
