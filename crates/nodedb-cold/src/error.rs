//! What can go wrong with an archive.

use crate::{
    hash::ObjectHash,
    restore::RestoreTarget,
    store::{ObjectKey, StoreError, StoreStatus},
    writer::WriterEpoch,
};
use nodedb_types::{DatabaseId, DecodeError, ErrorKind, Lsn};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why bytes are not the object that they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The object does not begin or end as one of its kind.
    #[error("the magic number is wrong")]
    Magic,
    /// Written by another version of this software.
    #[error("format version {version} is unknown")]
    Version {
        /// The version.
        version: u32,
    },
    /// Needs features that this version does not have.
    #[error("features {bits:#x} are unknown")]
    Feature {
        /// The unknown bits.
        bits: u64,
    },
    /// A field cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A field contradicts another or its own range.
    #[error("the {field} is out of range or contradicts another field")]
    Field {
        /// Which.
        field: &'static str,
    },
    /// A checksum is wrong.
    #[error("the checksum of the {part} is wrong: {written:08x} was written, {found:08x} is found")]
    Checksum {
        /// Of which part.
        part: &'static str,
        /// As written.
        written: u32,
        /// Of the bytes that are there.
        found: u32,
    },
    /// The digest is wrong.
    #[error("the digest is wrong: {written} was written, {found} is found")]
    Digest {
        /// As written or expected.
        written: ObjectHash,
        /// Of the bytes that are there.
        found: ObjectHash,
    },
    /// A block does not decompress to what it promised, or promised too much.
    #[error("the block at offset {offset} does not decompress to the {raw_len} bytes it promises")]
    Block {
        /// Where it begins, in bytes.
        offset: u64,
        /// What it promised.
        raw_len: u32,
    },
    /// Belongs to another database, writer or position than its name says.
    #[error("the {field} is another than the object's name says")]
    Foreign {
        /// Which field shows it.
        field: &'static str,
    },
    /// A path in a base image could lead out of the directory it is restored into.
    #[error("path `{path}` is not allowed in a base image")]
    Path {
        /// The path.
        path: String,
    },
}

/// What went wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ColdError {
    /// The address of the archive cannot be used.
    #[error("archive address `{url}`: {advice}")]
    BadUrl {
        /// As given.
        url: String,
        /// What is wrong with it and what to give.
        advice: String,
    },
    /// The store failed. After a failed upload it is unknown whether the object exists; uploading
    /// the same object again is right.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store overwrites objects that exist, so it cannot keep two writers apart.
    #[error(
        "the store does not create objects conditionally, so two writers would overwrite each \
         other; use a store that honours `If-None-Match: *`"
    )]
    NotConditional,
    /// The store said that it has the object, and does not give it back as it was written.
    #[error("object {key} was stored, but reading it back gives {found}; upload it again")]
    Unverified {
        /// The object.
        key: ObjectKey,
        /// What was read instead.
        found: String,
    },
    /// Another object stands under the name. Nothing was overwritten.
    #[error(
        "object {key} exists with other contents ({found}, not {expected}): another writer has \
         written here; find out which of the two is the database, and attach the other one anew"
    )]
    Diverged {
        /// The object.
        key: ObjectKey,
        /// Digest of what was to be written.
        expected: ObjectHash,
        /// Digest of what stands there.
        found: ObjectHash,
    },
    /// Another writer has taken the archive over.
    #[error("fenced: the writer of epoch {by} has taken this archive over; stop writing")]
    Fenced {
        /// Its epoch.
        by: WriterEpoch,
    },
    /// Another copy of this directory has opened under the same number.
    #[error(
        "object {key} was written by another copy of this database directory; attach or detach \
         the archive explicitly in the copy"
    )]
    CopiedDirectory {
        /// The object that shows it.
        key: ObjectKey,
    },
    /// There is an archive of this database that somebody else made.
    #[error("object {key} exists: this database has an archive here already")]
    AlreadyExists {
        /// The object.
        key: ObjectKey,
    },
    /// An object that must be there is missing.
    #[error("object {key} is missing from the archive")]
    Missing {
        /// The object.
        key: ObjectKey,
    },
    /// No archive is here.
    #[error("no archive of any database is here; look at the address")]
    NoArchive,
    /// Several archives are here and none was named.
    #[error("archives of {} databases are here; name one of {found:?}", found.len())]
    Ambiguous {
        /// The databases.
        found: Vec<DatabaseId>,
    },
    /// An object is damaged, or not what its name says.
    #[error("object {key}: {problem}")]
    Corrupt {
        /// The object.
        key: ObjectKey,
        /// What is wrong with it.
        problem: FormatError,
    },
    /// Two neighbouring log objects do not belong to one history.
    #[error(
        "object {key} follows an object with digest {expected}, but the one before has {found}"
    )]
    BrokenChain {
        /// The later object.
        key: ObjectKey,
        /// What it says of its predecessor.
        expected: ObjectHash,
        /// What the predecessor is.
        found: ObjectHash,
    },
    /// Records are missing from the archive.
    #[error(
        "records {from} up to {to} are missing from the archive; restore to {from} or before, or \
         from a base image above"
    )]
    Gap {
        /// The first missing record.
        from: Lsn,
        /// The first record after them, or the target's.
        to: Lsn,
    },
    /// The target lies above everything in the archive.
    #[error("{target} lies beyond the archive, whose newest is {}", position(*newest_lsn, *newest_ms))]
    BeyondEnd {
        /// As asked for.
        target: RestoreTarget,
        /// The newest restorable record, if there is any.
        newest_lsn: Option<Lsn>,
        /// Its commit time in milliseconds since 1970; 0 if there is none.
        newest_ms: u64,
    },
    /// The target lies below everything that can be restored.
    #[error("{target} lies before the oldest that can be restored, {}", position(*oldest_lsn, *oldest_ms))]
    BeforeBeginning {
        /// As asked for.
        target: RestoreTarget,
        /// The oldest restorable record, if there is any.
        oldest_lsn: Option<Lsn>,
        /// Its commit time in milliseconds since 1970; 0 if unknown.
        oldest_ms: u64,
    },
    /// No restore point has that name.
    #[error("no restore point `{name}` is in the archive; list them or give a position or a time")]
    UnknownPoint {
        /// The name.
        name: String,
    },
    /// A base image was to be completed above the archived log.
    #[error(
        "the base image holds records up to {ceiling}, the archive only up to {}; archive the log \
         first",
        Lsn::encode(*archived)
    )]
    BaseAboveArchive {
        /// The highest record in the base.
        ceiling: Lsn,
        /// The highest archived record.
        archived: Option<Lsn>,
    },
    /// A base image contradicts itself.
    #[error("the base image cannot be completed: {problem}")]
    BadBase {
        /// How.
        problem: FormatError,
    },
    /// A receipt does not continue the archived log.
    #[error("log object {start} does not continue the archive, which goes on with {next}")]
    OutOfOrder {
        /// The first record of the uploaded object.
        start: Lsn,
        /// The record that is awaited.
        next: Lsn,
    },
    /// The local file system failed.
    #[error("{}: {source}", path.display())]
    Local {
        /// Where.
        path: PathBuf,
        /// How.
        source: io::Error,
    },
    /// An object could not be compressed.
    #[error("the log cannot be compressed: {source}")]
    Compress {
        /// What the library reports.
        source: io::Error,
    },
}

fn position(lsn: Option<Lsn>, ms: u64) -> String {
    match lsn {
        Some(lsn) => format!("record {lsn}, committed {ms} ms after 1970"),
        None => "an empty database".to_owned(),
    }
}

impl ColdError {
    pub(crate) fn local(path: &Path, source: io::Error) -> Self {
        Self::Local { path: path.to_owned(), source }
    }

    pub(crate) fn corrupt(key: &ObjectKey) -> impl FnOnce(FormatError) -> Self {
        |problem| Self::Corrupt { key: key.clone(), problem }
    }

    /// By what the caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BadUrl { .. }
            | Self::NotConditional
            | Self::Ambiguous { .. }
            | Self::BeyondEnd { .. }
            | Self::BeforeBeginning { .. }
            | Self::BaseAboveArchive { .. } => ErrorKind::InvalidInput,
            Self::Store(error) => error.kind(),
            Self::Local { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                ErrorKind::NoSpace
            }
            Self::Unverified { .. } | Self::Local { .. } => ErrorKind::Io,
            Self::Diverged { .. } | Self::CopiedDirectory { .. } => ErrorKind::Conflict,
            Self::Fenced { .. } => ErrorKind::Fenced,
            Self::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Self::NoArchive | Self::UnknownPoint { .. } => ErrorKind::NotFound,
            Self::Corrupt {
                problem: FormatError::Version { .. } | FormatError::Feature { .. },
                ..
            } => ErrorKind::UnsupportedFormat,
            Self::Missing { .. } | Self::Corrupt { .. } | Self::BrokenChain { .. } => {
                ErrorKind::Corrupt
            }
            Self::Gap { .. } => ErrorKind::Gap,
            Self::BadBase { .. } | Self::OutOfOrder { .. } | Self::Compress { .. } => {
                ErrorKind::Internal
            }
        }
    }

    /// Whether the same call may succeed later although nobody repairs anything: then the archiver
    /// goes on trying, with pauses. Everything else needs somebody to look.
    pub fn is_temporary(&self) -> bool {
        if let Self::Store(error) = self {
            error.status() == StoreStatus::Temporary
        } else {
            matches!(self, Self::Unverified { .. })
        }
    }
}
