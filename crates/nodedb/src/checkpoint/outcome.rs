//! How a round ends.

use super::{Stage, floor_board::Behind};
use nodedb_types::Lsn;
use std::time::Duration;

/// How a round has ended: never a bare position, since a caller must be able to tell.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Outcome {
    /// Everything up to the barrier is flushed; recovery begins here.
    Advanced { redo: Lsn },
    /// Nothing has changed since the last one.
    Unchanged,
    /// Some engine has not proved the barrier; it counts at its last proof.
    Blocked {
        /// Who holds the log, by the lowest floor.
        by: Behind,
        /// Since when it has been behind in every round.
        since: Duration,
        /// All who are behind, the lowest first.
        behind: Vec<Behind>,
    },
    /// A step failed; CONTROL is as it was, or ahead of what is reported.
    Failed { stage: Stage },
}
