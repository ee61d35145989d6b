//! Up to where a database is restored.

use nodedb_types::{Lsn, Name};
use std::fmt;

/// Up to where a database is restored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RestoreTarget {
    /// Everything in the archive.
    Latest,
    /// All records up to and including this one. Inside a batch, the caller cuts at the end of an
    /// atomic group.
    Lsn(Lsn),
    /// Every batch committed at or before this time, in milliseconds since 1970.
    Time(u64),
    /// All records up to and including the restore point; the newest of that name.
    Point(Name),
}

impl fmt::Display for RestoreTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("the newest state"),
            Self::Lsn(lsn) => write!(f, "record {lsn}"),
            Self::Time(ms) => write!(f, "the time {ms} ms after 1970"),
            Self::Point(name) => write!(f, "restore point `{name}`"),
        }
    }
}
