//! What can go wrong, with the kind that tells a caller how to react.

use bytes::Bytes;
use nodedb_cold::ColdError;
use nodedb_control::AdmissionError;
use nodedb_crdt::CrdtError;
use nodedb_data::{DataError, EntryError};
use nodedb_document::DocumentError;
use nodedb_engine::{CatalogError, EngineError, SnapshotExpired};
use nodedb_types::{DecodeError, ErrorKind, Lsn, NameError, VersionError};
use nodedb_vector::VectorError;
use nodedb_wal::{AppendError, PinError, ReadError, WaitError, WalError};
use std::{io, path::PathBuf, sync::Arc};

/// Failure of a call. [`Error::kind`] says how to react; the text says what, where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option is outside its range.
    #[error("option `{option}` is `{value}`: give {expected}")]
    InvalidOption {
        /// Which.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is accepted.
        expected: String,
    },
    /// There is no database in the directory.
    #[error("{path} holds no database: create one with `init`")]
    NoDatabase {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds a database already.
    #[error("{path} holds a database already: open it, or choose another directory")]
    DatabaseExists {
        /// The directory.
        path: PathBuf,
    },
    /// Something stands where a restore should make a directory.
    #[error("{path} exists already: restore to a path where nothing stands")]
    TargetExists {
        /// The path.
        path: PathBuf,
    },
    /// The directory holds something else.
    #[error(
        "{path} is not empty and holds no database (there is `{found}`): \
         give the directory of a database, or an empty one for a new database"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What stands in it.
        found: String,
    },
    /// Another process has the database open.
    #[error("{path} is open in process {process}: close it there first")]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Its process id, where known.
        process: String,
    },
    /// The database lies where nothing can be written, and an open writes. Looking works: `verify_database` and
    /// the log tools that only look.
    #[error(
        "{path} is on a read-only file system, and opening a database writes: make it writable or copy the \
         directory; `verify`, `wal verify`, `wal segments` and `wal dump` look at it as it is"
    )]
    ReadOnlyFileSystem {
        /// The directory.
        path: PathBuf,
    },
    /// A file of the database is damaged or missing. Nothing was changed.
    #[error("{path} is damaged: {message}; restore from the archive, or run `verify`")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// How it shows.
        message: String,
    },
    /// A file of another version of this software, or of another program.
    #[error(
        "{path} has format version {found}, this software knows {supported}: use a matching version"
    )]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// The system failed.
    #[error("{action} {path} failed")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No such tenant.
    #[error("there is no tenant `{name}`: creating a collection for it creates it")]
    NoTenant {
        /// Its name.
        name: String,
    },
    /// No such document.
    #[error("collection `{collection}` has no key `{key}`: put it first, or look with `scan`")]
    NoDocument {
        /// The collection.
        collection: String,
        /// The key.
        key: String,
    },
    /// A collection of another kind is needed.
    #[error("collection `{collection}` is of kind {kind}: {message}")]
    WrongCollectionKind {
        /// The collection.
        collection: String,
        /// What it holds.
        kind: &'static str,
        /// What to do.
        message: &'static str,
    },
    /// No such index over the field or path.
    #[error(
        "collection `{collection}` has no {what} over `{field}`, those there are: {indexed}; \
         name one of them, or add it with `index add`"
    )]
    NoIndex {
        /// The collection.
        collection: String,
        /// The field or path.
        field: String,
        /// What was looked for: an index, or a vector index.
        what: &'static str,
        /// What such indexes are over.
        indexed: String,
    },
    /// An index has not all documents yet.
    #[error(
        "the index over `{over}` of `{collection}` is being built: search again when it is ready"
    )]
    IndexBuilding {
        /// The collection.
        collection: String,
        /// The field.
        over: String,
    },
    /// An index was dropped, or its collection, while it was being built.
    #[error("the index over `{over}` of `{collection}` was dropped while it was being built")]
    IndexDropped {
        /// The collection.
        collection: String,
        /// The field or path.
        over: String,
    },
    /// The building of an index was given up by its caller; the index is dropped again.
    #[error("the index over `{over}` of `{collection}` was given up: nothing of it is left")]
    IndexCancelled {
        /// The collection.
        collection: String,
        /// The field or path.
        over: String,
    },
    /// A value is not the JSON that was wanted.
    #[error("the value is not the expected JSON: {message}")]
    NotJson {
        /// How it shows.
        message: String,
    },
    /// An import ended early for a reason that is not in its lines, such as a full disk.
    #[error(
        "the import ended: its first {imported} rows are durable and later ones may be; once the cause is gone \
         import again from line {next_line}, or from the start"
    )]
    ImportEnded {
        /// Rows that were acknowledged before the first that was not.
        imported: u64,
        /// The first line whose row may be missing.
        next_line: u64,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A line of an import is refused; the lines before it are imported.
    #[error("line {line} is refused after {imported} imported rows: {message}")]
    ImportLine {
        /// Its number, from 1.
        line: u64,
        /// Rows imported so far.
        imported: u64,
        /// Why.
        message: String,
    },
    /// A version or cursor of another history of this database.
    #[error("the {what} belongs to another history of the database: read again")]
    WrongHistory {
        /// What was given.
        what: &'static str,
    },
    /// A cursor that no scan answered.
    #[error(
        "`{cursor}` is no cursor of a scan of this collection in this direction: begin without one"
    )]
    BadCursor {
        /// What was given.
        cursor: String,
    },
    /// A restore point of that name exists.
    #[error("restore point `{name}` exists already: choose another name")]
    RestorePointExists {
        /// Its name.
        name: String,
    },
    /// The number of restore points has reached its limit.
    #[error("{limit} restore points exist, which is the limit")]
    TooManyRestorePoints {
        /// The limit.
        limit: usize,
    },
    /// A lossy truncation of the log would drop what lies in files that hold on to it. Nothing was
    /// changed.
    #[error(
        "the log cannot end at record {}: {by} hold everything up to {needed}; \
         end it there or later, or restore from the archive",
        Lsn::encode(*kept)
    )]
    LogNeeded {
        /// The last record that would be kept.
        kept: Option<Lsn>,
        /// Which files.
        by: String,
        /// The last record in them.
        needed: Lsn,
    },
    /// The database has no archive.
    #[error("this database has no archive: create one with `--archive URL`")]
    NoArchive,
    /// The archive did not take everything in time.
    #[error("the archive reached record {archived}, not {wanted}, within the deadline: {reason}")]
    ArchiveBehind {
        /// Where it is; 0 for nothing.
        archived: u64,
        /// What was asked for.
        wanted: u64,
        /// The last failure, if any.
        reason: String,
    },
    /// A step of a checkpoint failed; nothing was reclaimed.
    #[error("checkpoint failed while {stage}")]
    Checkpoint {
        /// Which step.
        stage: &'static str,
        /// Why.
        #[source]
        source: Arc<Self>,
    },
    /// Too many callers wait for a checkpoint; try again when one has ended.
    #[error("too many callers wait for a checkpoint: try again when one has ended")]
    CheckpointBusy,
    /// Checkpoints do not keep up, and recovery would need more log than twice `log_bytes_max`. Nothing was
    /// done; try again. If it stays, [`Database::status`](crate::Database::status) names the vshard.
    #[error(
        "recovery needs {bytes} bytes of log, the limit is {limit}: try again when a checkpoint has caught up; \
         `status` names the vshard that holds it back"
    )]
    CheckpointBehind {
        /// Bytes of log from the redo position on.
        bytes: u64,
        /// Twice `log_bytes_max`.
        limit: u64,
    },
    /// The local log is as large as it may be. Nothing was done. Let go what keeps it, or raise
    /// `log_disk_max`.
    #[error(
        "the log takes {bytes} bytes, the limit is {limit}, and {holder} keeps it: see to that, or raise \
         `log-disk-max`"
    )]
    LogHeld {
        /// Bytes of the local log.
        bytes: u64,
        /// `log_disk_max`.
        limit: u64,
        /// What keeps its oldest part.
        holder: String,
    },
    /// The log no longer has the changes that a watch wants next. Read the collection anew, and watch on from
    /// before that read.
    #[error(
        "the log begins at record {oldest}, and the changes before it are reclaimed: read the collection anew \
         and watch from now on"
    )]
    WatchBehind {
        /// The oldest record there is.
        oldest: Lsn,
    },
    /// As many watches are open as may be; try again when one is dropped.
    #[error("{limit} watches are open, as many as may be: drop one first")]
    TooManyWatches {
        /// How many.
        limit: usize,
    },
    /// The deadline passed. Of a write the outcome is unknown.
    #[error("no answer within the deadline: of a write the outcome is unknown, read to find out")]
    Timeout,
    /// The database is closed.
    #[error("the database is closed: open it again")]
    Closed,
    /// A defect of this software.
    #[error("internal error: {message}")]
    Internal {
        /// What did not hold.
        message: String,
    },
    /// Refused by the limits.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// Refused as a hold of the log.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// Refused by the catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Refused as a document or a filter.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A document does not fit an index of its collection.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Refused as a vector.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// An archived record cannot be read.
    #[error("an archived record is damaged: {0}; restore to a point before it")]
    Record(#[from] DecodeError),
    /// Refused as CRDT data.
    #[error(transparent)]
    Crdt(#[from] CrdtError),
    /// The data plane failed or refused.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The log could not be appended to.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log could not be waited for.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ColdError),
    /// A text is no version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A text is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The snapshot of a scan was given up.
    #[error(transparent)]
    SnapshotExpired(#[from] SnapshotExpired),
}

impl Error {
    /// How a caller reacts to it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidOption { .. }
            | Self::WrongCollectionKind { .. }
            | Self::NotJson { .. }
            | Self::ImportLine { .. }
            | Self::BadCursor { .. }
            | Self::TooManyRestorePoints { .. }
            | Self::LogNeeded { .. }
            | Self::NoArchive
            | Self::Version(_)
            | Self::Name(_) => ErrorKind::InvalidInput,
            Self::NoDatabase { .. }
            | Self::NoTenant { .. }
            | Self::NoDocument { .. }
            | Self::NoIndex { .. }
            | Self::IndexDropped { .. } => ErrorKind::NotFound,
            Self::DatabaseExists { .. }
            | Self::TargetExists { .. }
            | Self::RestorePointExists { .. } => ErrorKind::AlreadyExists,
            Self::Foreign { .. } | Self::UnsupportedFormat { .. } => ErrorKind::UnsupportedFormat,
            Self::Locked { .. } => ErrorKind::Locked,
            Self::Corrupt { .. } | Self::Record(_) => ErrorKind::Corrupt,
            Self::Io { source, .. } => kind_of_io(source),
            Self::ReadOnlyFileSystem { .. } => ErrorKind::Io,
            Self::ImportEnded { source, .. } => source.kind(),
            Self::WrongHistory { .. } => ErrorKind::WrongHistory,
            Self::ArchiveBehind { .. } | Self::Timeout => ErrorKind::Timeout,
            Self::IndexBuilding { .. }
            | Self::CheckpointBusy
            | Self::CheckpointBehind { .. }
            | Self::TooManyWatches { .. } => ErrorKind::Busy,
            Self::WatchBehind { .. } => ErrorKind::Gap,
            Self::LogHeld { .. } => ErrorKind::NoSpace,
            Self::Closed | Self::IndexCancelled { .. } => ErrorKind::Closed,
            Self::Internal { .. } => ErrorKind::Internal,
            Self::SnapshotExpired(_) => ErrorKind::SnapshotExpired,
            Self::Checkpoint { source, .. } => source.kind(),
            Self::Admission(error) => error.kind(),
            Self::Pin(error) => error.kind(),
            Self::Catalog(error) => kind_of_catalog(error),
            Self::Document(error) => error.kind(),
            Self::Crdt(error) => error.kind(),
            Self::Entry(error) => error.kind(),
            Self::Vector(error) => error.kind(),
            Self::Data(error) => error.kind(),
            Self::Engine(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Append(error) => error.kind(),
            Self::Wait(error) => error.kind(),
            Self::Read(error) => error.kind(),
            Self::Archive(error) => error.kind(),
        }
    }

    /// The text with its causes, for where a text is all that is kept.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn corrupt(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Corrupt { path: path.into(), message: message.into() }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Internal { message: message.into() }
    }

    /// The data plane answered a request with the answer of another one.
    pub(crate) fn mismatched(request: &'static str) -> Self {
        Self::internal(format!("a {request} was answered with something else"))
    }

    pub(crate) fn no_document(collection: &str, key: &Bytes) -> Self {
        let key = String::from_utf8_lossy(key).into_owned();
        Self::NoDocument { collection: collection.to_owned(), key }
    }
}

fn kind_of_io(error: &io::Error) -> ErrorKind {
    if error.kind() == io::ErrorKind::StorageFull { ErrorKind::NoSpace } else { ErrorKind::Io }
}

fn kind_of_catalog(error: &CatalogError) -> ErrorKind {
    match error {
        CatalogError::Exists { .. } | CatalogError::IndexExists { .. } => ErrorKind::AlreadyExists,
        CatalogError::Missing { .. } | CatalogError::IndexMissing { .. } => ErrorKind::NotFound,
        CatalogError::TooMany { .. } | _ => ErrorKind::InvalidInput,
    }
}
