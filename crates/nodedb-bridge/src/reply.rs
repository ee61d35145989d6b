//! The answering side of a request.

use crate::{TicketError, slot::Slot};
use std::{fmt, sync::Arc};

/// The right, and the duty, to answer one request. Consumed by answering, so it happens once.
///
/// Dropping it unanswered gives the caller [`TicketError::Cancelled`]; nobody waits for ever. While it
/// lives the request counts as one of its tenant
/// ([`BridgeOptions::tenant_in_flight`](crate::BridgeOptions::tenant_in_flight)), also when the ticket is
/// gone: the work is not.
#[must_use = "dropping a reply cancels the request"]
pub struct Reply<A> {
    slot: Arc<Slot<A>>,
    settled: bool,
}

impl<A> Reply<A> {
    pub(crate) const fn new(slot: Arc<Slot<A>>) -> Self {
        Self { slot, settled: false }
    }

    /// Answers. If the ticket is gone the answer is dropped here. Never blocks.
    pub fn send(mut self, answer: A) {
        self.settle(Ok(answer));
    }

    /// Gives the caller `error` in place of an answer, such as [`TicketError::Timeout`] when the
    /// deadline passes while the answer is parked. Never blocks.
    pub fn refuse(mut self, error: TicketError) {
        self.settle(Err(error));
    }

    fn settle(&mut self, result: Result<A, TicketError>) {
        // First, so that a waker that panics does not make the drop settle once more.
        self.settled = true;
        self.slot.settle(result);
    }

    /// Whether the ticket is gone, so that nobody will see an answer.
    ///
    /// `true` stays true. `false` may be outdated when it is returned.
    pub fn is_cancelled(&self) -> bool {
        self.slot.is_abandoned()
    }
}

impl<A> Drop for Reply<A> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Err(TicketError::Cancelled));
        }
    }
}

impl<A> fmt::Debug for Reply<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}
