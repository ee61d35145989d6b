//! A request, before and after it is on its way.

use crate::Reply;
use nodedb_types::{RequestId, TenantId, VshardId};
use std::{fmt, time::Duration};

/// Which queue of a core a request waits in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Priority {
    /// Somebody waits for the answer.
    Foreground,
    /// Housekeeping: served when no foreground request waits, and at the latest after
    /// [`BridgeOptions::foreground_run`](crate::BridgeOptions::foreground_run) of them.
    Background,
}

/// What a caller asks, handed to [`Bridge::send`](crate::Bridge::send).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<Q> {
    /// On whose behalf.
    pub tenant: TenantId,
    /// The vshard it is for.
    pub vshard: VshardId,
    /// What to do.
    pub op: Q,
    /// When the answer stops being of use, in time of [`Clock::now`](nodedb_env::Clock::now);
    /// `Duration::MAX` is never.
    pub deadline: Duration,
    /// Which queue it waits in.
    pub priority: Priority,
    /// About how many bytes the op holds beside itself, such as the value to be written; 0 where that is
    /// not worth counting. Bounded by [`BridgeOptions::capacity_bytes`](crate::BridgeOptions).
    pub bytes: u32,
}

/// A request on its way or in the hands of a core.
pub struct Envelope<Q, A> {
    /// Its id, unique within the bridge.
    pub id: RequestId,
    /// On whose behalf.
    pub tenant: TenantId,
    /// The vshard it is for.
    pub vshard: VshardId,
    /// What to do.
    pub op: Q,
    /// When the answer stops being of use, in time of [`Clock::now`](nodedb_env::Clock::now).
    pub deadline: Duration,
    /// Which queue it waits in, also after [`Bridge::forward`](crate::Bridge::forward).
    pub priority: Priority,
    /// About how many bytes the op holds, as its sender said.
    pub bytes: u32,
    /// Where the answer goes. Dropping it unanswered is
    /// [`TicketError::Cancelled`](crate::TicketError::Cancelled) for the caller.
    pub reply: Reply<A>,
}

impl<Q, A> Envelope<Q, A> {
    /// What it counts in a lane. Kept in fewer bytes, which fit between the other fields: an envelope is
    /// moved several times on its way.
    pub(crate) fn weight(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    /// Whether its deadline has come at `now`.
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.deadline
    }
}

// The op is the caller's data and stays out of logs.
impl<Q> fmt::Debug for Request<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("tenant", &self.tenant)
            .field("vshard", &self.vshard)
            .field("deadline", &self.deadline)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

impl<Q, A> fmt::Debug for Envelope<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("vshard", &self.vshard)
            .field("deadline", &self.deadline)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}
