//! The receiving side of one core.

use crate::{
    Envelope, Priority, TicketError, core_queue::CoreQueue, exchange::Exchange, lane::Waiting,
};
use nodedb_types::CoreId;
use std::{fmt, sync::Arc, time::Duration};

/// The receiving side of one core, owned by its thread.
///
/// Dropping it, also by a panic of that thread, refuses what waits as [`TicketError::Closed`] and
/// every later send as [`SendError::Closed`](crate::SendError::Closed).
pub struct Inbox<Q, A> {
    core: CoreId,
    queue: Arc<CoreQueue<Q, A>>,
    exchange: Arc<Exchange>,
    foreground_run: u32,
    /// Foreground requests served since the last background one, `foreground_run` at most.
    run: u32,
    /// Whether the last thing reported was a wake.
    woke: bool,
    /// Whether `Closed` was reported.
    ended: bool,
}

/// What [`Inbox::receive`] came back with.
#[derive(Debug)]
pub enum Received<Q, A> {
    /// A request, now the core's to answer.
    Request(Envelope<Q, A>),
    /// Somebody called [`Bridge::wake`](crate::Bridge::wake) since the last wake.
    Wake,
    /// The moment came and nothing waited.
    TimedOut,
    /// Sending has ended and every request was received. It stays so; only wakes may still come.
    Closed,
}

impl<Q, A> Inbox<Q, A> {
    pub(crate) fn new(
        core: CoreId,
        queue: Arc<CoreQueue<Q, A>>,
        foreground_run: u32,
        exchange: Arc<Exchange>,
    ) -> Self {
        Self { core, queue, exchange, foreground_run, run: 0, woke: false, ended: false }
    }

    /// Whose inbox it is.
    pub const fn core(&self) -> CoreId {
        self.core
    }

    /// Blocks until a request, a wake, `until` (in time of [`nodedb_env::Clock::now`]) or the end.
    ///
    /// A wake goes first, but not twice in a row while a request waits. What waits is reported also
    /// when `until` has passed, so a busy core looks at its own timers between requests. `None`
    /// sleeps until something comes; closing is something.
    pub fn receive(&mut self, until: Option<Duration>) -> Received<Q, A> {
        loop {
            if let Some(received) = self.look() {
                return received;
            }
            // Armed before the second look: what comes after that look rings.
            self.queue.bell.arm();
            if let Some(received) = self.look() {
                return received;
            }
            let left = until.map(|until| until.saturating_sub(self.exchange.now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Received::TimedOut;
            }
            // No `yield_now` before sleep, though it saves rings: a thread that yields stands behind whoever
            // computes, for a time slice of milliseconds, while one that sleeps is put before it.
            // Behind the last look, which says that the core is awake. Who rang since then makes the
            // wait return at once, and the next look says so again.
            self.queue.heartbeat.sleep();
            self.queue.bell.wait(left);
        }
    }

    /// The next request if one waits, for batches in one turn. Wakes stay for
    /// [`receive`](Self::receive). Never blocks.
    pub fn try_receive(&mut self) -> Option<Envelope<Q, A>> {
        let now = self.exchange.now();
        let envelope = self.next_request(now);
        if envelope.is_some() {
            self.queue.heartbeat.busy(now);
        } else {
            self.queue.heartbeat.idle(now);
        }
        envelope
    }

    /// Blocks until a wake or `until` (in time of [`nodedb_env::Clock::now`]), leaving requests where they are.
    /// Whether it was a wake. For a core that must not begin anything before another one is done: it
    /// serves nobody meanwhile, so it does not count as having come to its inbox.
    pub fn wait_for_wake(&mut self, until: Duration) -> bool {
        loop {
            self.queue.bell.arm();
            if self.queue.take_wake() {
                return true;
            }
            let left = until.saturating_sub(self.exchange.now());
            if left.is_zero() {
                return false;
            }
            self.queue.bell.wait(Some(left));
        }
    }

    /// How many requests wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// What there is to report now. Leaves the time for those who ask about the core's health.
    #[inline]
    fn look(&mut self) -> Option<Received<Q, A>> {
        let now = self.exchange.now();
        let received = self.find(now);
        match received {
            Some(Received::Request(_) | Received::Wake) => self.queue.heartbeat.busy(now),
            Some(Received::TimedOut | Received::Closed) | None => self.queue.heartbeat.idle(now),
        }
        received
    }

    #[inline]
    fn find(&mut self, now: Duration) -> Option<Received<Q, A>> {
        // Read before the queues: all that was sent before closing is then seen below.
        let closing = self.queue.is_closing();
        let after_wake = std::mem::take(&mut self.woke);
        if after_wake && let Some(envelope) = self.next_request(now) {
            return Some(Received::Request(envelope));
        }
        if self.queue.take_wake() {
            self.woke = true;
            return Some(Received::Wake);
        }
        if let Some(envelope) = self.next_request(now) {
            return Some(Received::Request(envelope));
        }
        if closing {
            if !self.ended {
                self.ended = true;
                self.queue.retire();
            }
            return Some(Received::Closed);
        }
        None
    }

    /// The next request that anybody still waits for.
    #[inline]
    fn next_request(&mut self, now: Duration) -> Option<Envelope<Q, A>> {
        if self.ended {
            return None;
        }
        while let Some(Waiting { envelope, forwarded }) = self.pop() {
            if forwarded {
                return Some(envelope);
            }
            if envelope.reply.is_cancelled() {
                continue;
            }
            if envelope.is_due(now) {
                envelope.reply.refuse(TicketError::Timeout);
                continue;
            }
            return Some(envelope);
        }
        None
    }

    /// The next in line by priority.
    #[inline]
    fn pop(&mut self) -> Option<Waiting<Q, A>> {
        if self.run >= self.foreground_run
            && let Some(waiting) = self.queue.lane(Priority::Background).pop()
        {
            self.run = 0;
            return Some(waiting);
        }
        if let Some(waiting) = self.queue.lane(Priority::Foreground).pop() {
            self.run = self.run.saturating_add(1).min(self.foreground_run);
            return Some(waiting);
        }
        self.run = 0;
        self.queue.lane(Priority::Background).pop()
    }
}

impl<Q, A> Drop for Inbox<Q, A> {
    fn drop(&mut self) {
        self.queue.retire();
    }
}

impl<Q, A> fmt::Debug for Inbox<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("core", &self.core)
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}
