//! The waiting side of a request.

use crate::{
    TicketError,
    slot::{Slot, Waiter},
};
use nodedb_env::Clock;
use nodedb_types::RequestId;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
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
    clock: Arc<dyn Clock>,
    slot: Arc<Slot<A>>,
}

impl<A> Ticket<A> {
    pub(crate) fn new(
        id: RequestId,
        deadline: Duration,
        clock: Arc<dyn Clock>,
        slot: Arc<Slot<A>>,
    ) -> Self {
        Self { id, deadline, clock, slot }
    }

    /// The id of the request.
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Blocks until the answer or the deadline, whichever is first.
    ///
    /// An answer that is there is given even when the deadline has passed.
    ///
    /// # Errors
    /// - [`TicketError::Timeout`]: the deadline passed; the outcome is unknown.
    /// - [`TicketError::Cancelled`]: the core dropped the reply; the outcome is unknown.
    /// - [`TicketError::Closed`]: the core ended before it received the request.
    pub fn wait(self) -> Result<A, TicketError> {
        loop {
            let waiter = Waiter::Thread(thread::current());
            if let Some(result) = self.slot.take_or_wait(waiter) {
                return result;
            }
            let left = self.deadline.saturating_sub(self.clock.now());
            if left.is_zero() {
                return Err(TicketError::Timeout);
            }
            // The waiter was noted before, so an answer that came in between makes this return at
            // once; returning early for any other reason costs one more round.
            thread::park_timeout(left);
        }
    }
}

impl<A> Future for Ticket<A> {
    type Output = Result<A, TicketError>;

    /// # Panics
    /// If polled again after it was ready with what the core left.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waiter = Waiter::Task(context.waker().clone());
        match self.slot.take_or_wait(waiter) {
            Some(result) => Poll::Ready(result),
            None if self.clock.now() >= self.deadline => Poll::Ready(Err(TicketError::Timeout)),
            None => Poll::Pending,
        }
    }
}

impl<A> Drop for Ticket<A> {
    fn drop(&mut self) {
        self.slot.abandon();
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
