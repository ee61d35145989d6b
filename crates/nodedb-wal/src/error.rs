//! What can go wrong, by situation.

use nodedb_types::{ErrorKind, Lsn};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The first failed write or sync of a log. Nothing is acknowledged after it.
#[derive(Clone, Debug)]
pub struct PoisonCause {
    operation: &'static str,
    path: PathBuf,
    error: Arc<io::Error>,
}

impl PoisonCause {
    pub(crate) fn new(operation: &'static str, path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        let error = Arc::new(error);
        Self { operation, path, error }
    }

    /// The cause that a failure of the log's own files is.
    #[expect(clippy::wildcard_enum_match_arm, reason = "files fail by Io and NoSpace only")]
    pub(crate) fn from_failure(error: WalError) -> Self {
        match error {
            WalError::Poisoned(cause) => cause,
            WalError::Io { operation, path, source } => Self::new(operation, &path, source),
            WalError::NoSpace { operation, path } => {
                Self::new(operation, &path, io::ErrorKind::StorageFull.into())
            }
            other => Self::new("use", Path::new("the log"), io::Error::other(other)),
        }
    }

    /// What the system reported.
    pub fn error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for PoisonCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "{} {path} failed: {}", self.operation, self.error)
    }
}

/// What proves that records up to some LSN were durable once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Evidence {
    /// CONTROL says so.
    Control,
    /// A segment says where the one before it ended; it is written only after that one's sync.
    SegmentLink {
        /// The segment that says so.
        segment: u64,
    },
    /// A batch header carries the durable position known when it was written.
    BatchHeader {
        /// Segment of the batch.
        segment: u64,
        /// Byte offset of the batch.
        offset: u64,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control => f.write_str("CONTROL"),
            Self::SegmentLink { segment } => write!(f, "the link of segment {segment}"),
            Self::BatchHeader { segment, offset } => {
                write!(f, "the batch header at {offset} of segment {segment}")
            }
        }
    }
}

/// Why a log could not be created, opened, verified, truncated or closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// The operating system failed.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system reported.
        source: io::Error,
    },
    /// The disk is full; nothing was changed.
    #[error("no space to {operation} {}; free space and try again", path.display())]
    NoSpace {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// Another process, or another handle of this one, has the log open.
    #[error("log {} is open elsewhere; close it there first", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A new log needs an empty directory.
    #[error("directory {} is not empty; a new log needs an empty one", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory holds no log.
    #[error("directory {} holds no log", dir.display())]
    NotALog {
        /// The directory.
        dir: PathBuf,
    },
    /// An option is out of range.
    #[error("{reason}")]
    InvalidOptions {
        /// Which, and what it should be.
        reason: &'static str,
    },
    /// CONTROL is missing, or both of its slots are damaged.
    #[error("{}: {reason}; restore the database from its archive", path.display())]
    ControlCorrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The named pins are not readable, so nobody knows what they hold.
    #[error(
        "{}: {reason}, and what it holds must not be reclaimed; nothing was changed, restore the file, \
         or remove it to give up all named pins", path.display()
    )]
    PinsCorrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// A segment, or the file of the named pins, belongs to another log.
    #[error("{} belongs to another log; move it out of the directory", path.display())]
    WrongLog {
        /// The file.
        path: PathBuf,
    },
    /// Written by another version of this software.
    #[error("{} has format {found}, this version reads {supported}; use a newer one", path.display())]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The version that is understood.
        supported: u16,
    },
    /// A segment that CONTROL or its neighbours promise is not there.
    #[error("segment {segment} of {} is missing; restore it or the database", dir.display())]
    MissingSegment {
        /// The directory.
        dir: PathBuf,
        /// Number of the first missing segment.
        segment: u64,
    },
    /// A part of a file that is always durable before it is used does not check out.
    #[error("{} is damaged: {reason}; nothing was changed, restore from the archive", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Records that were durable are gone. Either the medium is damaged, or the device acknowledged a
    /// flush that it did not do. Nothing was changed.
    #[error(
        "segment {segment} is damaged at offset {offset}: record {first_bad_lsn} is unreadable, but \
         {evidence} proves that records up to {durable_lsn} were durable (damaged medium, or a device \
         that does not flush); nothing was changed, restore from the archive"
    )]
    Corruption {
        /// Number of the segment.
        segment: u64,
        /// Where the valid part of it ends, in bytes.
        offset: u64,
        /// The first record that cannot be read.
        first_bad_lsn: Lsn,
        /// The last record that was durable.
        durable_lsn: Lsn,
        /// What proves it.
        evidence: Evidence,
    },
    /// A lossy truncation was begun and did not end. It must be run to its end before the log opens.
    #[error(
        "the truncation of log {} at record {at} did not end; run it again with the same record",
        dir.display()
    )]
    TruncationUnfinished {
        /// The directory.
        dir: PathBuf,
        /// The record that it was asked for.
        at: Lsn,
    },
    /// A lossy truncation would drop what recovery needs, or was asked for a record that is not there.
    /// Nothing was changed.
    #[error(
        "the log cannot be cut at record {at}, which would end it at {}: it must keep record {} and is \
         readable up to {}; give a record between the two, where there is one, or restore from the \
         archive",
        Lsn::encode(*kept), Lsn::encode(*lowest), Lsn::encode(*highest)
    )]
    CannotTruncate {
        /// The record that was asked for.
        at: Lsn,
        /// The last record that would be kept, at the end of an atomic group.
        kept: Option<Lsn>,
        /// Recovery of the engines needs all up to here.
        lowest: Option<Lsn>,
        /// The last valid record.
        highest: Option<Lsn>,
    },
    /// A batch holds more than a segment of this log can take.
    #[error("a group of {bytes} bytes does not fit; this log takes at most {limit}")]
    TooLarge {
        /// Bytes of the group with record headers.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Records given to a log builder do not follow the ones before.
    #[error("record {found} does not follow: record {expected} is next")]
    NotConsecutive {
        /// The record that must come.
        expected: Lsn,
        /// The record that came.
        found: Lsn,
    },
    /// An atomic group is not whole, or epoch or commit time went back.
    #[error("the batch at record {lsn} is not well formed: {reason}")]
    Malformed {
        /// First record of the batch.
        lsn: Lsn,
        /// What is wrong.
        reason: &'static str,
    },
    /// An earlier write or sync failed; reopen the log.
    #[error("the log is poisoned: {0}; reopen it")]
    Poisoned(PoisonCause),
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
}

impl WalError {
    /// The stable kind, by which a caller decides what to do.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } => ErrorKind::Io,
            Self::NoSpace { .. } => ErrorKind::NoSpace,
            Self::Locked { .. } => ErrorKind::Locked,
            Self::NotEmpty { .. } => ErrorKind::AlreadyExists,
            Self::NotALog { .. } => ErrorKind::NotFound,
            Self::InvalidOptions { .. }
            | Self::CannotTruncate { .. }
            | Self::TooLarge { .. }
            | Self::NotConsecutive { .. }
            | Self::Malformed { .. } => ErrorKind::InvalidInput,
            Self::ControlCorrupt { .. }
            | Self::PinsCorrupt { .. }
            | Self::Damaged { .. }
            | Self::Corruption { .. }
            | Self::TruncationUnfinished { .. } => ErrorKind::Corrupt,
            Self::WrongLog { .. } => ErrorKind::WrongHistory,
            Self::UnsupportedFormat { .. } => ErrorKind::UnsupportedFormat,
            Self::MissingSegment { .. } => ErrorKind::Gap,
            Self::Poisoned(_) => ErrorKind::Poisoned,
            Self::Closed => ErrorKind::Closed,
        }
    }

    /// Wraps what the system reported; a full disk is its own situation.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let path = path.to_owned();
            if is_full(&source) {
                Self::NoSpace { operation, path }
            } else {
                Self::Io { operation, path, source }
            }
        }
    }
}

/// Whether the system means that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Why nothing was appended. No LSN was taken, and nothing of the group will ever appear.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The staging buffer is full, or the next segment is still being prepared.
    #[error("the log is busy; try again when it has written more")]
    Backpressure,
    /// No segment can be prepared, as on a full disk. Appends resume by themselves when one can.
    #[error("no space left for the log; free space, appends then resume by themselves")]
    NoSpace,
    /// The group does not fit into a segment or into the staging buffer.
    #[error("a group of {bytes} bytes does not fit; this log takes at most {limit}")]
    TooLarge {
        /// Bytes of the group with record headers.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// An earlier write or sync failed; reopen the log.
    #[error("the log is poisoned: {0}; reopen it")]
    Poisoned(PoisonCause),
    /// The log is closed or closing.
    #[error("the log is closed")]
    Closed,
}

impl AppendError {
    /// The stable kind, by which a caller decides what to do.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Backpressure => ErrorKind::Busy,
            Self::NoSpace => ErrorKind::NoSpace,
            Self::TooLarge { .. } => ErrorKind::InvalidInput,
            Self::Poisoned(_) => ErrorKind::Poisoned,
            Self::Closed => ErrorKind::Closed,
        }
    }
}

/// Why a position was not reached. Whether the records survive is unknown.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The deadline passed; the records may still become durable.
    #[error("the deadline passed before the log was durable; the outcome is unknown")]
    Timeout,
    /// A write or sync failed; the records may or may not be there after reopening.
    #[error("the log is poisoned: {0}; the outcome is unknown until it is reopened")]
    Poisoned(PoisonCause),
    /// The log was closed before such a record was appended.
    #[error("the log is closed")]
    Closed,
}

impl WaitError {
    /// The stable kind, by which a caller decides what to do.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Timeout => ErrorKind::Timeout,
            Self::Poisoned(_) => ErrorKind::Poisoned,
            Self::Closed => ErrorKind::Closed,
        }
    }
}

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The record was reclaimed.
    #[error("the log starts at record {oldest}; what came before is reclaimed")]
    Truncated {
        /// The oldest record there is.
        oldest: Lsn,
    },
    /// A batch that was written does not check out any more.
    #[error(
        "segment {segment} is damaged at offset {offset}, record {lsn}; restore from the archive"
    )]
    Corrupt {
        /// Number of the segment.
        segment: u64,
        /// Byte offset of the batch.
        offset: u64,
        /// First record that cannot be read.
        lsn: Lsn,
    },
    /// The operating system failed.
    #[error("read {}: {source}", path.display())]
    Io {
        /// Which segment file.
        path: PathBuf,
        /// What the system reported.
        source: io::Error,
    },
}

impl ReadError {
    /// The stable kind, by which a caller decides what to do.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Truncated { .. } => ErrorKind::Gap,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Io { .. } => ErrorKind::Io,
        }
    }
}
