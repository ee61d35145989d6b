//! Who waits for a checkpoint.

use super::Urgency;
use nodedb_types::Lsn;

/// Callers that may wait at a time; more are refused.
pub(crate) const CALLERS_MAX: usize = 1024;

/// Which caller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct CallerId(u64);

impl CallerId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Somebody who asked for a checkpoint of everything that was in the log then.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Caller {
    pub(crate) id: CallerId,
    pub(crate) urgency: Urgency,
    /// The end of the log when he asked: only a barrier at or above it serves him.
    pub(crate) wants: Option<Lsn>,
}
