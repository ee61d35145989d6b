//! The waiting side of a request.

use crate::{
    TicketError,
    slot::{Slot, Waiter},
    sync::{current, park_timeout},
};
use nodedb_types::RequestId;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A claim to the answer of one request. Wait for it blocking, or await it on any runtime.
///
/// Dropping it cancels: a request that the core has not received yet is never handed to it; one that
/// it has received may still take effect, only its answer is lost.
///
/// # Cancel safety
/// As a future it holds no place in any queue of waiters; dropping it at any point is the
/// cancellation above and nothing else.
///
/// # Deadlines of futures
/// A poll at or after the deadline gives [`TicketError::Timeout`], but nothing here wakes a task *at*
/// the deadline, as this crate has no timers. Whoever awaits wraps the ticket in the timer of their
/// runtime, or relies on the core to refuse in time ([`Reply::refuse`](crate::Reply::refuse)).
#[must_use = "dropping a ticket cancels the request"]
pub struct Ticket<A> {
    id: RequestId,
    deadline: Duration,
    slot: Arc<Slot<A>>,
    /// Whether the result was given: then the slot knows that nobody waits.
    given: bool,
}

impl<A> Ticket<A> {
    pub(crate) const fn new(id: RequestId, deadline: Duration, slot: Arc<Slot<A>>) -> Self {
        Self { id, deadline, slot, given: false }
    }

    /// The id of the request.
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Blocks until the answer or the deadline, whichever is first.
    ///
    /// An answer that is there is given even when the deadline has passed. A core that is stuck or has
    /// ended holds nobody beyond that; only a deadline of `Duration::MAX` waits for as long as a core
    /// is stuck ([`Bridge::core_health`](crate::Bridge::core_health)).
    ///
    /// # Errors
    /// - [`TicketError::Timeout`]: the deadline passed; the outcome is unknown.
    /// - [`TicketError::Cancelled`]: the core dropped the reply; the outcome is unknown.
    /// - [`TicketError::Closed`]: the core ended before it received the request.
    pub fn wait(mut self) -> Result<A, TicketError> {
        loop {
            if let Some(result) = self.look(|| Waiter::Thread(current())) {
                return result;
            }
            let left = self.deadline.saturating_sub(self.slot.exchange().now());
            if left.is_zero() {
                return Err(TicketError::Timeout);
            }
            // The waiter was noted before, so an answer that came in between makes this return at
            // once; returning early for any other reason costs one more round.
            park_timeout(left);
        }
    }

    /// Takes the result if it is there, else notes who is to be told.
    fn look(&mut self, waiter: impl FnOnce() -> Waiter) -> Option<Result<A, TicketError>> {
        let waiter = (!self.slot.is_answered()).then(waiter);
        let result = self.slot.take_or_wait(waiter);
        self.given |= result.is_some();
        result
    }
}

impl<A> Future for Ticket<A> {
    type Output = Result<A, TicketError>;

    /// # Panics
    /// If polled again after it was ready with what the core left.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.look(|| Waiter::Task(context.waker().clone())) {
            Some(result) => Poll::Ready(result),
            None if self.slot.exchange().now() >= self.deadline => {
                Poll::Ready(Err(TicketError::Timeout))
            }
            None => Poll::Pending,
        }
    }
}

impl<A> Drop for Ticket<A> {
    fn drop(&mut self) {
        if !self.given {
            self.slot.abandon();
        }
    }
}

impl<A> fmt::Debug for Ticket<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("id", &self.id)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
