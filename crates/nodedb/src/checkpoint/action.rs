//! What a checkpointer wants done.

use super::{
    CheckpointRecord, Outcome, Trigger, Urgency, caller::CallerId, drain::Stop,
    floor_board::ProvenRedo, round::RoundId,
};
use nodedb_types::{Lsn, VshardId};
use std::time::Duration;

/// Something to do. Whoever does it answers with an event of the same round.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Action {
    /// Make the log durable.
    Fence { round: RoundId, deadline: Duration },
    /// Ask a vshard to flush everything up to the barrier.
    Flush { round: RoundId, vshard: VshardId, barrier: Lsn, deadline: Duration, urgency: Urgency },
    /// Log the record and make it durable.
    Record { round: RoundId, record: CheckpointRecord },
    /// Name it in both slots of CONTROL.
    Switch { round: RoundId, redo: ProvenRedo, record: Lsn },
    /// Tell who waited how the round ended; after one that did not fail, log is given back.
    Conclude { trigger: Trigger, callers: Vec<CallerId>, outcome: Outcome },
    /// Tell a caller that nothing is done for him.
    Refuse { caller: CallerId, reason: Refusal },
    /// Nothing follows.
    Stop(Stop),
}

/// Why a caller is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Refusal {
    /// Too many wait.
    Busy,
    /// The checkpointer has stopped, or is about to.
    Stopped,
}
