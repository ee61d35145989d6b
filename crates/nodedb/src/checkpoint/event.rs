//! What a checkpointer hears.

use super::{Gauge, Stage, caller::Caller, caller::CallerId, floor_board::Report, round::RoundId};
use nodedb_types::{Lsn, VshardId};
use std::time::Duration;

/// Something that has happened. The machine knows of nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Event {
    /// Time has passed.
    Tick,
    /// How the log and the vshards are.
    Observed(Gauge),
    /// Somebody asks for a checkpoint.
    Requested(Caller),
    /// He waits no longer. The round goes on: floors are facts, and others may wait for it.
    Left(CallerId),
    /// Everything up to the barrier is durable; `None` of an empty log.
    Fenced { round: RoundId, barrier: Option<Lsn> },
    /// What a vshard has proved, asked or not.
    Reported(Report),
    /// A vshard could not be asked, failed, or dropped the request.
    Declined { round: RoundId, vshard: VshardId },
    /// The record is durable.
    Recorded { round: RoundId, record: Lsn },
    /// Both slots of CONTROL hold the redo position, durably.
    Switched { round: RoundId },
    /// A step of a round has failed.
    Failed { round: RoundId, stage: Stage },
    /// A write or sync of the log has failed: nothing of it can be trusted any more.
    Poisoned,
    /// The database closes; also if its owner is gone. The final round ends by the deadline.
    ShutDown { deadline: Duration },
}
