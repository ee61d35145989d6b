//! What can go wrong, by situation.

use crate::EntryError;
use bytes::Bytes;
use nodedb_bridge::TicketError;
use nodedb_crdt::CrdtError;
use nodedb_document::DocumentError;
use nodedb_engine::{CatalogError, EngineError, EngineKind, SnapshotExpired};
use nodedb_types::{
    CollectionId, CoreId, DecodeError, ErrorKind, IndexId, Lsn, Stamp, TenantId, VshardId,
};
use nodedb_vector::VectorError;
use nodedb_wal::{AppendError, ReadError};
use std::{io, path::PathBuf, sync::Arc};

/// Failure of a request, or of starting and stopping the data plane.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// An option is out of range.
    #[error("{reason}")]
    InvalidOptions {
        /// Which, and what it should be.
        reason: &'static str,
    },
    /// A request that makes no sense; nothing was done.
    #[error("{reason}")]
    InvalidRequest {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such vshard.
    #[error("vshard {vshard} does not exist: the database has {vshards}")]
    NoSuchVshard {
        /// What was asked for.
        vshard: VshardId,
        /// How many there are.
        vshards: u16,
    },
    /// Too many requests, or bytes of them, wait for this core; nothing was done.
    #[error("the inbox of core {core} is full: try again later")]
    InboxFull {
        /// Which core.
        core: CoreId,
    },
    /// The tenant has as many requests under way as it may; nothing was done.
    #[error("tenant {tenant} has {limit} requests under way, its limit: await some of the answers")]
    TenantBusy {
        /// Whose requests.
        tenant: TenantId,
        /// How many may be under way.
        limit: u32,
    },
    /// Too many requests, or bytes of them, wait for a vshard that an atomic batch visits; nothing was done.
    #[error("vshard {vshard} waits for an atomic batch and its queue is full: try again later")]
    PausedFull {
        /// Which vshard.
        vshard: VshardId,
    },
    /// A vshard holds as many unflushed bytes as it may; nothing was done.
    #[error("vshard {vshard} holds {bytes} bytes that are not flushed yet: try again later")]
    MemtableFull {
        /// Which vshard.
        vshard: VshardId,
        /// How many bytes.
        bytes: usize,
    },
    /// A vshard holds as many vectors in memory as it may until they are sealed; nothing was done. Deletes,
    /// and writes without vectors, are taken all the same.
    #[error("vshard {vshard} holds {bytes} bytes of vectors that are not sealed: try again later")]
    VectorsFull {
        /// Which vshard.
        vshard: VshardId,
        /// How many bytes.
        bytes: usize,
    },
    /// The vshards of a core take as much memory as they may; nothing was done.
    #[error("core {core} holds {bytes} bytes in memory: try again later")]
    MemoryFull {
        /// Which core.
        core: CoreId,
        /// How many bytes.
        bytes: usize,
    },
    /// Too many answers of this core wait for the log; nothing was done.
    #[error("too many answers wait for the log to become durable: try again later")]
    ParkedFull,
    /// The log takes nothing at the moment; nothing was done.
    #[error("the log is busy: try again later")]
    LogBusy,
    /// The disk is full; nothing was done.
    #[error("no space is left for the log: free space and try again")]
    LogFull,
    /// The redo of the request does not fit into the log; nothing was done.
    #[error("the request takes {bytes} bytes of log, {limit} are the limit: make it smaller")]
    TooLarge {
        /// What it takes.
        bytes: usize,
        /// What the log takes at once.
        limit: usize,
    },
    /// The log takes nothing until it is opened again; nothing was done.
    #[error("the log is poisoned: {cause}; nothing was done, reopen the database")]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// The log was poisoned before what the answer rests on became durable.
    #[error("the log is poisoned: {cause}; whether the request survives shows after a reopen")]
    OutcomeUnknown {
        /// The first failure.
        cause: String,
    },
    /// The data plane is closed or closing; nothing was done.
    #[error("the database is being closed: nothing was done")]
    Closed,
    /// The thread of the vshard has ended by a defect.
    #[error("core {core} has ended by a defect: reopen the database")]
    CoreDied {
        /// Which core.
        core: CoreId,
    },
    /// The deadline passed before anything was done.
    #[error("the deadline passed before the request was served: nothing was done")]
    TimedOut,
    /// The answer did not come; see the source for what is known.
    #[error(transparent)]
    Unanswered(#[from] TicketError),
    /// Some threads did not end in time. They hold nothing that a reopen needs.
    #[error("{threads} threads did not end before the deadline")]
    CloseTimedOut {
        /// How many.
        threads: usize,
    },
    /// A precondition did not hold; nothing was done.
    #[error("the key was changed meanwhile: read it again and decide")]
    Conflict {
        /// Which write is there; `None` if there is no such key.
        found: Option<Stamp>,
    },
    /// A key that was expected is not there; nothing was done.
    #[error(
        "collection {collection} has no key `{}`: look with a scan",
        String::from_utf8_lossy(key)
    )]
    NoSuchKey {
        /// The collection's id.
        collection: CollectionId,
        /// The key.
        key: Bytes,
    },
    /// Another document has the same value in a unique index; nothing was done.
    #[error(
        "the value at `{path}` must be unique and `{}` has it already: change one of them",
        String::from_utf8_lossy(key)
    )]
    NotUnique {
        /// The indexed path.
        path: String,
        /// The key of the other document.
        key: Bytes,
    },
    /// The idempotency key stands for another request; nothing was done.
    #[error("the idempotency key was used for another request: take a new key for a new request")]
    IdempotencyConflict,
    /// The idempotency key is so old that its first run may be forgotten; nothing was done.
    #[error(
        "the idempotency key was issued at {issued_ms} ms, and of keys up to {horizon_ms} ms some are \
         forgotten: read what the request was to change and decide"
    )]
    IdempotencyExpired {
        /// When it was issued, in milliseconds since 1970.
        issued_ms: u64,
        /// Up to here keys are not judged any more.
        horizon_ms: u64,
    },
    /// The tenant has no such collection, or it was dropped meanwhile; nothing was done.
    #[error("there is no collection with id {collection}: it may have been dropped")]
    NoSuchCollection {
        /// Its id.
        collection: CollectionId,
    },
    /// The collection has no such index, or a write does not cover its indexes; nothing was done.
    #[error("collection {collection} has other indexes than the request names (index {index})")]
    WrongIndex {
        /// Which collection.
        collection: CollectionId,
        /// The index that is missing or too much.
        index: IndexId,
    },
    /// The index has not all documents yet; nothing was done.
    #[error("index {index} is being built: search again when it is ready")]
    IndexBuilding {
        /// Which index.
        index: IndexId,
    },
    /// A vector that cannot be searched; nothing was done.
    #[error("index {index}: {source}")]
    Vector {
        /// Which index.
        index: IndexId,
        /// What is wrong with it.
        source: VectorError,
    },
    /// An index cannot take a document; nothing was done.
    #[error("key `{key}` does not fit the indexes of its collection: {source}")]
    Unindexable {
        /// Whose document.
        key: String,
        /// Which field does not, and why.
        source: Arc<EntryError>,
    },
    /// The operation does not go with what the collection holds; nothing was done.
    #[error("a {kind} collection does not take {operation}")]
    WrongKind {
        /// What the collection holds.
        kind: &'static str,
        /// What was asked.
        operation: &'static str,
    },
    /// The change does not fit the catalog; nothing was done.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A CRDT document could not be merged, read or exported; nothing was done.
    #[error(transparent)]
    Crdt(#[from] CrdtError),
    /// The snapshot of a scan was given up; start the scan again.
    #[error(transparent)]
    SnapshotExpired(#[from] SnapshotExpired),
    /// An engine failed.
    #[error("vshard {vshard}: {source}")]
    Engine {
        /// Of which vshard.
        vshard: VshardId,
        /// What happened.
        source: Arc<EngineError>,
    },
    /// An engine's own floor lies below what was proven: an older generation of its files was put
    /// back. Nothing was changed.
    #[error(
        "the {} files of vshard {vshard} end at record {}, though {} was proven: \
         an older generation was put back; restore from the archive",
        engine.name(), Lsn::encode(*own), Lsn::encode(*proven)
    )]
    FloorFellBack {
        /// Which vshard.
        vshard: VshardId,
        /// Which engine.
        engine: EngineKind,
        /// What its files prove.
        own: Option<Lsn>,
        /// What they proved once.
        proven: Option<Lsn>,
    },
    /// An engine's files are ahead of the log. Nothing was changed.
    #[error(
        "the {} files of vshard {vshard} hold record {own}, but the log ends at {}: \
         they belong to another history; restore from the archive",
        engine.name(), Lsn::encode(*last)
    )]
    FloorAhead {
        /// Which vshard.
        vshard: VshardId,
        /// Which engine.
        engine: EngineKind,
        /// What its files prove.
        own: Lsn,
        /// The last record of the log.
        last: Option<Lsn>,
    },
    /// A document or a filter cannot be understood.
    #[error(transparent)]
    Document(Arc<DocumentError>),
    /// The log cannot be read.
    #[error("reading the log failed")]
    Log(#[source] Arc<ReadError>),
    /// A record of a kind that this version does not know.
    #[error("record {lsn} of the log has kind {kind}: use a newer version")]
    UnknownRecord {
        /// Its position.
        lsn: Lsn,
        /// Its kind.
        kind: u16,
    },
    /// A record names a vshard that the database does not have.
    #[error("record {lsn} of the log names vshard {vshard}, which does not exist")]
    ForeignVshard {
        /// Its position.
        lsn: Lsn,
        /// The vshard.
        vshard: VshardId,
    },
    /// A record names a collection that nobody created.
    #[error("record {lsn} of the log names collection {collection}, which never existed")]
    UnknownCollection {
        /// Its position.
        lsn: Lsn,
        /// The collection.
        collection: CollectionId,
    },
    /// A record names a vector index that nobody created, or sets a vector of another length.
    #[error("record {lsn} of the log has a vector that index {index} does not take")]
    UnknownIndex {
        /// Its position.
        lsn: Lsn,
        /// The index.
        index: IndexId,
    },
    /// A record is no redo.
    #[error("record {lsn} of the log cannot be decoded; restore from the archive")]
    Undecodable {
        /// Its position.
        lsn: Lsn,
        /// How it shows.
        #[source]
        source: DecodeError,
    },
    /// The system failed.
    #[error("{action} {} failed", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
}

impl DataError {
    /// How a caller reacts to it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidOptions { .. }
            | Self::InvalidRequest { .. }
            | Self::NoSuchVshard { .. }
            | Self::TooLarge { .. }
            | Self::WrongIndex { .. }
            | Self::WrongKind { .. } => ErrorKind::InvalidInput,
            Self::InboxFull { .. }
            | Self::TenantBusy { .. }
            | Self::PausedFull { .. }
            | Self::MemtableFull { .. }
            | Self::IndexBuilding { .. }
            | Self::MemoryFull { .. }
            | Self::VectorsFull { .. }
            | Self::ParkedFull
            | Self::LogBusy => ErrorKind::Busy,
            Self::LogFull => ErrorKind::NoSpace,
            Self::Poisoned { .. } | Self::OutcomeUnknown { .. } => ErrorKind::Poisoned,
            Self::Closed => ErrorKind::Closed,
            Self::CoreDied { .. } => ErrorKind::Internal,
            Self::TimedOut | Self::CloseTimedOut { .. } => ErrorKind::Timeout,
            Self::Unanswered(error) => error.kind(),
            Self::Conflict { .. } | Self::IdempotencyConflict => ErrorKind::Conflict,
            Self::NotUnique { .. } => ErrorKind::AlreadyExists,
            Self::IdempotencyExpired { .. } => ErrorKind::IdempotencyExpired,
            Self::NoSuchCollection { .. } | Self::NoSuchKey { .. } => ErrorKind::NotFound,
            Self::Catalog(error) => catalog_kind(error),
            Self::Crdt(error) => error.kind(),
            Self::SnapshotExpired(_) => ErrorKind::SnapshotExpired,
            Self::Engine { source, .. } => source.kind(),
            Self::FloorFellBack { .. }
            | Self::FloorAhead { .. }
            | Self::ForeignVshard { .. }
            | Self::UnknownCollection { .. }
            | Self::UnknownIndex { .. }
            | Self::Undecodable { .. } => ErrorKind::Corrupt,
            Self::Unindexable { source, .. } => source.kind(),
            Self::Vector { source, .. } => source.kind(),
            Self::Document(source) => source.kind(),
            Self::Log(source) => source.kind(),
            Self::UnknownRecord { .. } => ErrorKind::UnsupportedFormat,
            Self::Io { .. } => ErrorKind::Io,
        }
    }

    /// Whether it follows from applied state that a crash may still take back. Such an answer waits
    /// until that state is durable.
    pub(crate) const fn rests_on_state(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. }
                | Self::NotUnique { .. }
                | Self::IdempotencyConflict
                | Self::IdempotencyExpired { .. }
                | Self::NoSuchCollection { .. }
                | Self::NoSuchKey { .. }
                | Self::WrongIndex { .. }
                | Self::IndexBuilding { .. }
                | Self::Unindexable { .. }
                | Self::WrongKind { .. }
                | Self::Catalog(_)
                | Self::Crdt(_)
        )
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source: Arc::new(source) }
    }

    pub(crate) fn unindexable(key: &[u8], source: EntryError) -> Self {
        let key = String::from_utf8_lossy(key).into_owned();
        Self::Unindexable { key, source: source.into() }
    }

    pub(crate) fn engine(vshard: VshardId) -> impl Fn(EngineError) -> Self {
        move |source| Self::Engine { vshard, source: Arc::new(source) }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all others are about the text of a document or a filter"
    )]
    pub(crate) fn document(vshard: VshardId) -> impl Fn(DocumentError) -> Self {
        move |error| match error {
            DocumentError::SnapshotExpired(expired) => Self::SnapshotExpired(expired),
            DocumentError::Engine(source) => Self::engine(vshard)(source),
            other => Self::Document(Arc::new(other)),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all others are limits of what a request may ask"
)]
fn catalog_kind(error: &CatalogError) -> ErrorKind {
    match error {
        CatalogError::Exists { .. } | CatalogError::IndexExists { .. } => ErrorKind::AlreadyExists,
        CatalogError::Missing { .. } | CatalogError::IndexMissing { .. } => ErrorKind::NotFound,
        _ => ErrorKind::InvalidInput,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an unknown refusal of the log is one where nothing was appended, so trying again is safe"
)]
impl From<AppendError> for DataError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::NoSpace => Self::LogFull,
            AppendError::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            AppendError::Poisoned(cause) => Self::Poisoned { cause: cause.to_string() },
            AppendError::Closed => Self::Closed,
            _ => Self::LogBusy,
        }
    }
}
