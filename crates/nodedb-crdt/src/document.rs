//! A live CRDT document.

use crate::{CrdtError, json::to_json, version};
use loro::{ExportMode, ImportStatus, LoroDoc, LoroResult, VersionVector};
use nodedb_types::limits;
use std::{
    fmt,
    mem::ManuallyDrop,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
};

/// Bytes of an update's header that loro writes as zeros and that its checksum leaves out.
const UNCHECKED: Range<usize> = 4..16;

/// A live CRDT document with its whole history.
pub struct CrdtDocument {
    /// `None` only while it is dropped.
    doc: Option<LoroDoc>,
    /// Set once loro has panicked inside of it: its locks and invariants are not trusted any more.
    dead: AtomicBool,
    /// Bytes imported so far.
    bytes: usize,
}

/// What an import did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Imported {
    /// Whether it brought anything new.
    pub changed: bool,
}

impl CrdtDocument {
    /// An empty document.
    pub fn new() -> Self {
        Self { doc: Some(LoroDoc::new()), dead: AtomicBool::new(false), bytes: 0 }
    }

    /// Builds a document from its stored rows: a snapshot, then updates in the order of the log.
    ///
    /// # Errors
    /// [`CrdtError::Corrupt`] names the row that is damaged or lacks what it builds on.
    /// [`CrdtError::Panicked`] if loro did.
    pub fn load(
        snapshot: Option<&[u8]>,
        updates: impl Iterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Self, CrdtError> {
        let mut document = Self::new();
        if let Some(snapshot) = snapshot {
            document.import(snapshot).map_err(|error| corrupt("snapshot".to_owned(), error))?;
        }
        for (number, update) in updates.enumerate() {
            document
                .import(update.as_ref())
                .map_err(|error| corrupt(format!("update {number}"), error))?;
        }
        Ok(document)
    }

    /// Merges an update or a snapshot of another replica. Importing it again changes nothing.
    ///
    /// # Errors
    /// [`CrdtError::TooLarge`], [`CrdtError::InvalidUpdate`] and [`CrdtError::MissingDependencies`]
    /// leave the document as it was; after [`CrdtError::Panicked`] it is dead.
    pub fn import(&mut self, update: &[u8]) -> Result<Imported, CrdtError> {
        if update.len() > limits::VALUE_BYTES_MAX {
            return Err(CrdtError::TooLarge {
                bytes: update.len(),
                limit: limits::VALUE_BYTES_MAX,
            });
        }
        if update.get(UNCHECKED).is_some_and(|bytes| bytes != [0; 12]) {
            return Err(CrdtError::InvalidUpdate {
                message: "its header is damaged or of an outdated encoding".to_owned(),
            });
        }
        let tried = self.guarded("importing", |doc| Attempt::new(doc, update))?;
        match tried.result {
            Ok(ImportStatus { pending: None, .. }) if tried.shallow => {
                self.restore(&tried.frontiers)?;
                Err(CrdtError::InvalidUpdate {
                    message: "a shallow snapshot lacks the history that others build on".to_owned(),
                })
            }
            Ok(ImportStatus { pending: None, .. }) => {
                self.bytes += if tried.changed { update.len() } else { 0 };
                Ok(Imported { changed: tried.changed })
            }
            Ok(ImportStatus { pending: Some(pending), .. }) => {
                let start = tried.start.iter().flat_map(loro::Frontiers::iter);
                let missing = version::missing(&tried.version, &pending, start);
                self.restore(&tried.frontiers)?;
                Err(CrdtError::MissingDependencies { missing })
            }
            Err(error) => {
                // Without a readable header nothing was touched; a fork would cost for nothing.
                if tried.start.is_some() {
                    self.restore(&tried.frontiers)?;
                }
                Err(CrdtError::InvalidUpdate { message: error.to_string() })
            }
        }
    }

    /// Goes back to an earlier state of this document, without what waits for dependencies.
    fn restore(&mut self, frontiers: &loro::Frontiers) -> Result<(), CrdtError> {
        let fork = self.guarded("going back", |doc| {
            if frontiers.is_empty() { Ok(LoroDoc::new()) } else { doc.fork_at(frontiers) }
        })?;
        let Ok(fork) = fork else {
            self.dead.store(true, Ordering::Relaxed);
            return Err(CrdtError::Panicked { action: "going back" });
        };
        self.doc = Some(fork);
        Ok(())
    }

    /// The whole value as compact JSON text with ordered members.
    ///
    /// # Errors
    /// [`CrdtError::Panicked`].
    pub fn value_json(&self) -> Result<String, CrdtError> {
        self.guarded("reading", |doc| to_json(&doc.get_deep_value()))
    }

    /// State and full history, for a fast load.
    ///
    /// # Errors
    /// [`CrdtError::Panicked`].
    pub fn snapshot(&self) -> Result<Vec<u8>, CrdtError> {
        self.export(&ExportMode::Snapshot)
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

    /// The version vector, as [`CrdtDocument::export_since`] takes it.
    ///
    /// # Errors
    /// [`CrdtError::Panicked`].
    pub fn version(&self) -> Result<Vec<u8>, CrdtError> {
        self.guarded("reading", |doc| doc.oplog_vv().encode())
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

    /// About how much memory it takes, in bytes: some multiple of what was imported.
    pub const fn estimated_bytes(&self) -> usize {
        4096 + self.bytes.saturating_mul(4)
    }

    fn export(&self, mode: &ExportMode<'_>) -> Result<Vec<u8>, CrdtError> {
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
        let panicked = CrdtError::Panicked { action };
        let doc = self.doc.as_ref().filter(|_| !self.dead.load(Ordering::Relaxed));
        let Some(doc) = doc else { return Err(panicked) };
        // Whatever state a panic leaves behind is never looked at again, see `dead`.
        catch_unwind(AssertUnwindSafe(|| call(doc))).map_err(|_panic| {
            self.dead.store(true, Ordering::Relaxed);
            panicked
        })
    }
}

/// An import that was tried on the document itself, with what is needed to take it back.
struct Attempt {
    result: LoroResult<ImportStatus>,
    changed: bool,
    /// Whether the document lost its history to a snapshot without one.
    shallow: bool,
    version: VersionVector,
    frontiers: loro::Frontiers,
    /// What the update builds on; only looked for when the import did not go through, and `None` if
    /// even its header cannot be read.
    start: Option<loro::Frontiers>,
}

impl Attempt {
    fn new(doc: &LoroDoc, update: &[u8]) -> Self {
        let version = doc.oplog_vv();
        let frontiers = doc.oplog_frontiers();
        let result = doc.import(update);
        let complete = matches!(result, Ok(ImportStatus { pending: None, .. }));
        let meta = LoroDoc::decode_import_blob_meta(update, true).ok();
        if complete && meta.as_ref().is_some_and(|meta| meta.mode.is_snapshot()) {
            // A snapshot is decoded on first use. What cannot be read must fail before it is logged.
            drop(doc.get_deep_value());
        }
        Self {
            changed: doc.oplog_vv() != version,
            shallow: doc.is_shallow(),
            start: meta.map(|meta| meta.start_frontiers),
            result,
            version,
            frontiers,
        }
    }
}

fn corrupt(part: String, error: CrdtError) -> CrdtError {
    if matches!(error, CrdtError::Panicked { .. }) {
        return error;
    }
    CrdtError::Corrupt { part, message: error.to_string() }
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
            .field("bytes", &self.bytes)
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
