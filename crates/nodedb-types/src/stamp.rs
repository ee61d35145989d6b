//! Which write, in which life of the log.

use crate::Lsn;
use std::fmt;

/// Number of an open for writing: +1 each time, local to one directory.
///
/// An LSN that was lost with an unacknowledged tail is used again in a later epoch, so values keep
/// both numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogEpoch(u32);

impl LogEpoch {
    /// Wraps the number.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The epoch of the next open.
    ///
    /// # Panics
    /// At 2^32 - 1 opens.
    #[must_use]
    #[expect(clippy::expect_used, reason = "4 billion opens: one a second takes 136 years")]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("fewer than 2^32 opens"))
    }
}

impl fmt::Display for LogEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for LogEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogEpoch({})", self.0)
    }
}

/// Identity of one write within one history: epoch and position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stamp {
    /// The life of the log it was first written in.
    pub epoch: LogEpoch,
    /// Its position.
    pub lsn: Lsn,
}
