//! One bounded queue of requests.

use crate::{
    Envelope,
    sync::atomic::{AtomicUsize, Ordering},
};
use flume::{Receiver, Sender, TrySendError};

/// A request as it waits.
pub(crate) struct Waiting<Q, A> {
    pub(crate) envelope: Envelope<Q, A>,
    /// Whether a core passed it on. Then it is handed over whatever became of its ticket.
    pub(crate) forwarded: bool,
}

/// The requests of one priority for one core, first in, first out.
///
/// Both ends stand here, so flume never disconnects the queue and never keeps requests that nobody
/// can reach; ending is the business of [`CoreQueue`](crate::core_queue::CoreQueue).
pub(crate) struct Lane<Q, A> {
    sender: Sender<Waiting<Q, A>>,
    receiver: Receiver<Waiting<Q, A>>,
    bytes: Bytes,
    bytes_max: usize,
}

/// What the requests that wait hold, on a cache line of its own: it is written at both ends, what stands
/// beside it is only read. A request without bytes does not touch it.
#[repr(align(64))]
struct Bytes(AtomicUsize);

impl<Q, A> Lane<Q, A> {
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> Self {
        let (sender, receiver) = flume::bounded(requests_max);
        Self { sender, receiver, bytes: Bytes(AtomicUsize::new(0)), bytes_max }
    }

    /// Adds at the end, or gives it back if the queue is full.
    pub(crate) fn push(&self, waiting: Waiting<Q, A>) -> Result<(), Waiting<Q, A>> {
        let bytes = waiting.envelope.weight();
        if !self.bytes.enter(bytes, self.bytes_max) {
            return Err(waiting);
        }
        self.sender.try_send(waiting).map_err(|error| {
            self.bytes.leave(bytes);
            match error {
                TrySendError::Full(waiting) | TrySendError::Disconnected(waiting) => waiting,
            }
        })
    }

    /// Takes the first.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Waiting<Q, A>> {
        let waiting = self.receiver.try_recv().ok()?;
        self.bytes.leave(waiting.envelope.weight());
        Some(waiting)
    }

    /// How many bytes the requests hold that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.0.load(Ordering::Relaxed)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }
}

impl Bytes {
    /// Counts a request's bytes in, before it is left: then the sum is never below what waits. Whether they
    /// fit. A request that alone is above the limit fits where nothing is counted, or it never would.
    ///
    /// Relaxed, here and below: the sum publishes nothing. The queue itself hands the request over.
    #[inline]
    fn enter(&self, bytes: usize, max: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let mut held = self.0.load(Ordering::Relaxed);
        loop {
            let sum = held.saturating_add(bytes);
            if held > 0 && sum > max {
                return false;
            }
            match self.0.compare_exchange_weak(held, sum, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => held = now,
            }
        }
    }

    /// Counts them out.
    #[inline]
    fn leave(&self, bytes: usize) {
        if bytes > 0 {
            let before = self.0.fetch_sub(bytes, Ordering::Relaxed);
            assert!(before >= bytes, "what leaves was counted in");
        }
    }
}
