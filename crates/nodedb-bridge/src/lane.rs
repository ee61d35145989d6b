//! One bounded queue of requests.

use crate::Envelope;
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
}

impl<Q, A> Lane<Q, A> {
    pub(crate) fn new(capacity: usize) -> Self {
        let (sender, receiver) = flume::bounded(capacity);
        Self { sender, receiver }
    }

    /// Adds at the end, or gives it back if the queue is full.
    pub(crate) fn push(&self, waiting: Waiting<Q, A>) -> Result<(), Waiting<Q, A>> {
        self.sender.try_send(waiting).map_err(|error| match error {
            TrySendError::Full(waiting) | TrySendError::Disconnected(waiting) => waiting,
        })
    }

    /// Takes the first.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Waiting<Q, A>> {
        self.receiver.try_recv().ok()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }
}
