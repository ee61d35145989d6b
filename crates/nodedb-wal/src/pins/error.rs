//! Why a named pin could not be taken or moved.

use crate::WalError;
use nodedb_types::{ErrorKind, Lsn};

/// Why a named pin could not be taken, moved or released. What is durable of it is as it was, except
/// after [`PinError::Log`] with a poisoned log: then the next open tells.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// No pin can have this name.
    #[error("{name:?} is no name of a pin; it takes 1 to 64 of a-z, 0-9, '.', '_' and '-'")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The log has as many named pins as it takes.
    #[error("the log has {limit} named pins, which is all it takes; release one first")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Another handle for the pin is out.
    #[error("pin {name} has another handle; drop that one first")]
    InUse {
        /// Name of the pin.
        name: String,
    },
    /// The record was reclaimed before it was pinned.
    #[error("the log starts at record {oldest}; what came before is reclaimed, pin what is there")]
    Truncated {
        /// The oldest record there is, or would be.
        oldest: Lsn,
    },
    /// The pin would give up records that are not durable. After a power cut others may come in their
    /// place, which it would not hold.
    #[error("a pin cannot pass record {end}, the first that is not durable")]
    Ahead {
        /// As far as a pin may go now.
        end: Lsn,
    },
    /// The pin held more than its policy allows, or a lossy truncation cut the log before its record
    /// (`bytes` is 0 then). It was given up.
    #[error(
        "pin {name} was given up when it held {bytes} bytes of log; release it, bring its follower up \
         to date by other means and pin again"
    )]
    Invalidated {
        /// Name of the pin.
        name: String,
        /// Bytes of log that it held.
        bytes: u64,
    },
    /// The log itself is closed, poisoned, out of space, or failing.
    #[error(transparent)]
    Log(#[from] WalError),
}

impl PinError {
    /// The stable kind, by which a caller decides what to do.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidName { .. } | Self::TooMany { .. } | Self::Ahead { .. } => {
                ErrorKind::InvalidInput
            }
            Self::InUse { .. } => ErrorKind::Locked,
            Self::Truncated { .. } | Self::Invalidated { .. } => ErrorKind::Gap,
            Self::Log(error) => error.kind(),
        }
    }
}
