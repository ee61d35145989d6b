//! A live CRDT document.

use crate::{
    Begin, CrdtError, CrdtLimits,
    depth::{DEPTH_MAX, depth_of},
    inspect::{Inspected, inspect, is_snapshot, weigh},
    joint::join,
    json::to_json,
    value::Skipped,
    version,
    weight::Weight,
};
use bytes::Bytes;
use loro::{ExportMode, ImportBlobMetadata, ImportStatus, LoroDoc, LoroResult, VersionVector};
use std::{
    any::Any,
    fmt,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
};

/// A live CRDT document with its whole history.
pub struct CrdtDocument {
    /// `None` only while it is dropped.
    doc: Option<LoroDoc>,
    /// Set once loro has panicked inside of it: its locks and invariants are not trusted any more.
    dead: AtomicBool,
    /// Operations of its history.
    ops: u64,
    /// What was imported so far takes in memory.
    weight: Weight,
    /// Whether it had to be unfolded since it was loaded.
    unfolded: AtomicBool,
    /// A bound of how deep its value nests; `None` if nobody has looked yet.
    depth: Option<u64>,
}

/// What an import did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Imported {
    /// Whether it brought anything new.
    pub changed: bool,
    /// Where what it brought begins.
    pub begin: Begin,
    /// What to store in the place of the bytes that were imported, if they should not be: the history
    /// of a snapshot without its state, which nobody has checked against it.
    pub stored: Option<Bytes>,
    /// What it takes in memory.
    pub(crate) weight: Weight,
}

impl CrdtDocument {
    /// An empty document.
    pub fn new() -> Self {
        Self {
            doc: Some(LoroDoc::new()),
            dead: AtomicBool::new(false),
            ops: 0,
            weight: Weight::default(),
            unfolded: AtomicBool::new(false),
            depth: None,
        }
    }

    /// Builds a document from snapshots and updates that were exported or imported before, in that
    /// order.
    ///
    /// # Errors
    /// [`CrdtError::Corrupt`] names the row that is damaged or lacks what it builds on.
    /// [`CrdtError::Panicked`] if loro did.
    pub fn load(rows: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<Self, CrdtError> {
        let mut document = Self::new();
        for (number, row) in (0..).zip(rows) {
            document.import_row(number, row.as_ref())?;
        }
        Ok(document)
    }

    /// Imports a stored row. A snapshot keeps its state: it was made from the history here.
    pub(crate) fn import_row(&mut self, slot: u8, row: &[u8]) -> Result<Imported, CrdtError> {
        let empty = self.ops == 0;
        let mut imported = self.import_checked(row).map_err(|error| {
            if matches!(error, CrdtError::Panicked { .. }) {
                return error;
            }
            CrdtError::Corrupt { part: format!("row {slot}"), message: error.to_string() }
        })?;
        if imported.changed {
            imported.weight = weigh(row);
            self.weight += imported.weight;
        }
        // A snapshot stays folded in an empty document only.
        let folded = empty && is_snapshot(row);
        self.unfolded.fetch_or(!folded, Ordering::Relaxed);
        Ok(imported)
    }

    /// Merges an update or a snapshot of another replica, within the default limits. Importing it
    /// again changes nothing.
    ///
    /// # Errors
    /// As [`CrdtDocument::import_within`].
    pub fn import(&mut self, update: &[u8]) -> Result<Imported, CrdtError> {
        self.import_within(update, &CrdtLimits::default())
    }

    /// Merges an update or a snapshot of another replica. Importing it again changes nothing.
    ///
    /// # Errors
    /// [`CrdtError::TooLarge`], [`CrdtError::TooManyOps`], [`CrdtError::TooDeep`],
    /// [`CrdtError::InvalidUpdate`] and [`CrdtError::MissingDependencies`] leave the document as it was; after
    /// [`CrdtError::Panicked`] it is dead.
    pub fn import_within(
        &mut self,
        update: &[u8],
        limits: &CrdtLimits,
    ) -> Result<Imported, CrdtError> {
        let version = self.guarded("reading", LoroDoc::oplog_vv)?;
        match inspect(update, &version, limits)? {
            Inspected::Updates { cost } => self.import_flat(update, cost, &version),
            Inspected::Snapshot { history, cost } => {
                let imported = self.import_flat(&history, cost, &version)?;
                Ok(Imported { stored: Some(history.into()), ..imported })
            }
        }
    }

    /// Imports what may be trusted not to exhaust memory, and takes it back if the document nests too
    /// deep with it.
    fn import_flat(
        &mut self,
        update: &[u8],
        Skipped { levels, weight }: Skipped,
        version: &VersionVector,
    ) -> Result<Imported, CrdtError> {
        let before = (self.ops, self.weight, self.depth);
        let mut imported = self.import_checked(update)?;
        self.unfolded.store(true, Ordering::Relaxed);
        if imported.changed {
            imported.weight = weight;
            self.weight += weight;
        }
        if !imported.changed || levels == 0 {
            return Ok(imported);
        }
        let bound = self.depth.map_or(u64::MAX, |depth| depth.saturating_add(levels));
        self.depth = Some(bound);
        if bound > DEPTH_MAX as u64 {
            let depth = self.guarded("reading", depth_of)?;
            self.depth = Some(depth as u64);
            if depth > DEPTH_MAX {
                self.restore(version)?;
                (self.ops, self.weight, self.depth) = before;
                return Err(CrdtError::TooDeep { limit: DEPTH_MAX });
            }
        }
        Ok(imported)
    }

    /// Merges several updates, each of which goes on just where those before it end, at about the cost
    /// of the longest. Answers the one update that they amount to; `None` if they must be tried one by
    /// one, and the document is as it was then.
    ///
    /// # Errors
    /// As [`CrdtDocument::import_within`]. It tells nothing about any one of them.
    pub fn import_together(
        &mut self,
        updates: &[Bytes],
        limits: &CrdtLimits,
    ) -> Result<Option<Imported>, CrdtError> {
        let version = self.guarded("reading", LoroDoc::oplog_vv)?;
        let Some((joint, cost)) = join(updates, &version, limits) else {
            return Ok(None);
        };
        let imported = self.import_flat(&joint, cost, &version)?;
        Ok(Some(Imported { stored: Some(joint.into()), ..imported }))
    }

    /// Imports what may be trusted not to exhaust memory.
    fn import_checked(&mut self, update: &[u8]) -> Result<Imported, CrdtError> {
        let tried = self.guarded("importing", |doc| Attempt::new(doc, update))?;
        let status = match tried.result {
            Ok(status) => status,
            Err(error) => {
                self.restore(&tried.version)?;
                return Err(CrdtError::InvalidUpdate { message: error.to_string() });
            }
        };
        let Some(pending) = status.pending else {
            let changed = !status.success.is_empty();
            self.ops += version::count(&status.success);
            let begin = Begin::of(&status.success);
            let (stored, weight) = (None, Weight::default());
            return Ok(Imported { changed, begin, stored, weight });
        };
        self.restore(&tried.version)?;
        // Only here, since it decodes the whole update.
        let start = LoroDoc::decode_import_blob_meta(update, true).ok();
        let start = start.map(|meta| meta.start_frontiers);
        let start = start.iter().flat_map(loro::Frontiers::iter);
        let missing = version::missing(&tried.version, &pending, start);
        Err(CrdtError::MissingDependencies { missing })
    }

    /// Goes back to an earlier version of this document, without what waits for dependencies. By its
    /// operations: a fork would keep the empty root containers that a refused update names.
    fn restore(&mut self, version: &VersionVector) -> Result<(), CrdtError> {
        let built = self.guarded("going back", |doc| {
            let built = LoroDoc::new();
            let history = doc.export(ExportMode::updates_till(version));
            let history = history.map_err(|error| error.to_string())?;
            if !version.is_empty() {
                built.import(&history).map_err(|error| error.to_string())?;
            }
            Ok(built)
        })?;
        match built {
            Ok(built) => self.doc = Some(built),
            Err(message) => {
                self.dead.store(true, Ordering::Relaxed);
                return Err(CrdtError::Panicked { action: "going back", message });
            }
        }
        Ok(())
    }

    /// The whole value as compact JSON text with ordered members.
    ///
    /// # Errors
    /// [`CrdtError::Panicked`].
    pub fn value_json(&self) -> Result<String, CrdtError> {
        self.guarded("reading", |doc| to_json(&doc.get_deep_value()))
    }

    /// State and full history, for a fast load; the history alone if its state does not load again.
    /// Loro takes some values from a hostile update that it cannot read from its own snapshot, so what
    /// is to replace other rows is loaded and compared first.
    ///
    /// # Errors
    /// [`CrdtError::Corrupt`] if neither loads to the same value, [`CrdtError::Panicked`].
    pub fn snapshot(&self) -> Result<Vec<u8>, CrdtError> {
        let value = self.value_json()?;
        let loads = |blob: &Vec<u8>| {
            let loaded = Self::load([blob].into_iter());
            loaded.and_then(|loaded| loaded.value_json()).is_ok_and(|loaded| loaded == value)
        };
        let snapshot = self.export(&ExportMode::Snapshot)?;
        if loads(&snapshot) {
            return Ok(snapshot);
        }
        let history = self.export_all()?;
        if loads(&history) {
            return Ok(history);
        }
        let message = "what it exports does not load to the same value".to_owned();
        Err(CrdtError::Corrupt { part: "history".to_owned(), message })
    }

    /// Full history without state, which any replica can merge.
    ///
    /// # Errors
    /// [`CrdtError::Panicked`].
    pub fn export_all(&self) -> Result<Vec<u8>, CrdtError> {
        self.export(&ExportMode::all_updates())
    }

    /// What a replica at `version` lacks.
    ///
    /// # Errors
    /// [`CrdtError::InvalidVersion`] or [`CrdtError::Panicked`].
    pub fn export_since(&self, version: &[u8]) -> Result<Vec<u8>, CrdtError> {
        let version = version::decode(version)?;
        self.export(&ExportMode::updates(&version))
    }

    /// What was imported since some news began, and all after it.
    ///
    /// # Errors
    /// [`CrdtError::Corrupt`] if it cannot be read again, [`CrdtError::Panicked`].
    pub(crate) fn export_from(&self, begin: &Begin) -> Result<Vec<u8>, CrdtError> {
        let version = self.guarded("reading", LoroDoc::oplog_vv)?;
        let update = self.export(&ExportMode::updates(&begin.before(version.clone())))?;
        let read = catch_unwind(|| LoroDoc::decode_import_blob_meta(&update, true));
        let whole = |meta: &ImportBlobMetadata| {
            let mut ends = meta.partial_end_vv.iter();
            begin.is_start_of(&meta.partial_start_vv)
                && ends.all(|(peer, end)| version.get(peer) == Some(end))
        };
        if read.is_ok_and(|meta| meta.as_ref().is_ok_and(whole)) {
            return Ok(update);
        }
        let message = "what it exports does not read as it was".to_owned();
        Err(CrdtError::Corrupt { part: "history".to_owned(), message })
    }

    /// The version vector, as [`CrdtDocument::export_since`] takes it.
    ///
    /// # Errors
    /// [`CrdtError::Panicked`].
    pub fn version(&self) -> Result<Vec<u8>, CrdtError> {
        self.guarded("reading", |doc| doc.oplog_vv().encode())
    }

    /// Where the operations of a peer end: how many of them the document has.
    ///
    /// # Errors
    /// [`CrdtError::Panicked`].
    pub fn end_of(&self, peer: u64) -> Result<u32, CrdtError> {
        let end = self.guarded("reading", |doc| doc.oplog_vv().get(&peer).copied())?;
        Ok(end.and_then(|end| u32::try_from(end).ok()).unwrap_or(0))
    }

    /// The update that a local edit amounts to. The document itself is unchanged until the update is
    /// imported, so that it can be logged first.
    ///
    /// `peer` is who edits: a random number per session. Two editors must never share one, and an
    /// editor imports its update before it edits again.
    ///
    /// # Errors
    /// [`CrdtError::InvalidEdit`] if `edit` fails, [`CrdtError::Panicked`] if it panics.
    pub fn edit(
        &self,
        peer: u64,
        edit: impl FnOnce(&LoroDoc) -> LoroResult<()>,
    ) -> Result<Vec<u8>, CrdtError> {
        let update = self.guarded("editing", |doc| {
            let fork = doc.fork();
            fork.set_peer_id(peer)?;
            edit(&fork)?;
            fork.commit();
            let update = fork.export(ExportMode::updates(&doc.oplog_vv()));
            Ok(update.map_err(|error| error.to_string()))
        })?;
        let flat = update.map_err(|error: loro::LoroError| error.to_string());
        flat.flatten().map_err(|message| CrdtError::InvalidEdit { message })
    }

    /// About how much memory it takes, in bytes: at least half of the truth, and at most twice of it in a
    /// document that was exported since it was imported into, else four times.
    pub fn estimated_bytes(&self) -> usize {
        let bytes = if self.unfolded.load(Ordering::Relaxed) {
            self.weight.unfolded_bytes()
        } else {
            self.weight.read_bytes()
        };
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Takes note that some of what was imported is held in less room now.
    pub(crate) const fn set_weight(&mut self, weight: Weight) {
        self.weight = weight;
    }

    fn export(&self, mode: &ExportMode<'_>) -> Result<Vec<u8>, CrdtError> {
        self.unfolded.store(true, Ordering::Relaxed);
        let exported = self.guarded("exporting", |doc| doc.export(mode.clone()))?;
        exported.map_err(|error| CrdtError::Corrupt {
            part: "history".to_owned(),
            message: error.to_string(),
        })
    }

    /// Calls loro. A panic in there ends the life of the document, not that of the core.
    fn guarded<T>(
        &self,
        action: &'static str,
        call: impl FnOnce(&LoroDoc) -> T,
    ) -> Result<T, CrdtError> {
        let panicked = |message| CrdtError::Panicked { action, message };
        let doc = self.doc.as_ref().filter(|_| !self.dead.load(Ordering::Relaxed));
        let Some(doc) = doc else {
            return Err(panicked("it failed before".to_owned()));
        };
        // Whatever state a panic leaves behind is never looked at again, see `dead`.
        catch_unwind(AssertUnwindSafe(|| call(doc))).map_err(|panic| {
            self.dead.store(true, Ordering::Relaxed);
            panicked(message_of(&*panic))
        })
    }
}

/// An import that was tried on the document itself, with what is needed to take it back.
struct Attempt {
    result: LoroResult<ImportStatus>,
    version: VersionVector,
}

impl Attempt {
    fn new(doc: &LoroDoc, update: &[u8]) -> Self {
        let version = doc.oplog_vv();
        Self { result: doc.import(update), version }
    }
}

/// What a panic said.
fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").chars().take(200).collect()
}

impl Default for CrdtDocument {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CrdtDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrdtDocument")
            .field("dead", &self.dead)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

impl Drop for CrdtDocument {
    fn drop(&mut self) {
        if self.dead.load(Ordering::Relaxed) {
            // Dropping what panicked may panic again, or abort; the leak is bounded by how often loro
            // fails.
            let _leaked = ManuallyDrop::new(self.doc.take());
        }
    }
}
