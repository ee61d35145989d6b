//! The stable kinds of failure, as a caller reacts to them.

use std::fmt;

/// What went wrong, by what the caller should do about it. The names are a contract of the binary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong; correct it.
    InvalidInput,
    /// The named thing does not exist.
    NotFound,
    /// The named thing exists already.
    AlreadyExists,
    /// A precondition did not hold; read again and decide.
    Conflict,
    /// The version, cursor or token belongs to another history of the database; read again.
    WrongHistory,
    /// The snapshot of a long scan was given up; start the scan again.
    SnapshotExpired,
    /// The idempotency key is too old to be judged; find out by reading.
    IdempotencyExpired,
    /// A queue or a memory limit is full; nothing was done; try again later.
    Busy,
    /// The deadline passed. For a write the outcome is unknown.
    Timeout,
    /// This database takes no writes.
    ReadOnly,
    /// Another process has the directory open.
    Locked,
    /// The disk is full; nothing was done; free space and go on.
    NoSpace,
    /// Unarchived log has reached its limit; nothing was done; repair the archive.
    ArchiveBackpressure,
    /// Another writer has taken the archive over; this one must stop.
    Fenced,
    /// Stored bytes are damaged; nothing was changed; restore or repair.
    Corrupt,
    /// A range of the log is missing.
    Gap,
    /// Written by another version of this software, or not by it at all.
    UnsupportedFormat,
    /// An earlier write failed; the log takes no more until it is opened again.
    Poisoned,
    /// The operating system failed.
    Io,
    /// The database is being closed.
    Closed,
    /// A defect of this software.
    Internal,
}

impl ErrorKind {
    /// The name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidInput => "InvalidInput",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::WrongHistory => "WrongHistory",
            Self::SnapshotExpired => "SnapshotExpired",
            Self::IdempotencyExpired => "IdempotencyExpired",
            Self::Busy => "Busy",
            Self::Timeout => "Timeout",
            Self::ReadOnly => "ReadOnly",
            Self::Locked => "Locked",
            Self::NoSpace => "NoSpace",
            Self::ArchiveBackpressure => "ArchiveBackpressure",
            Self::Fenced => "Fenced",
            Self::Corrupt => "Corrupt",
            Self::Gap => "Gap",
            Self::UnsupportedFormat => "UnsupportedFormat",
            Self::Poisoned => "Poisoned",
            Self::Io => "Io",
            Self::Closed => "Closed",
            Self::Internal => "Internal",
        }
    }

    /// Whether the same request may succeed later without anything being corrected.
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Busy | Self::NoSpace | Self::ArchiveBackpressure | Self::Locked)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
