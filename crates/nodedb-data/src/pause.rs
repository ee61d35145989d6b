//! A vshard that waits for the end of a group.

use crate::{group::PendingPart, task::TaskEnvelope};
use nodedb_types::Durability;
use std::{collections::VecDeque, time::Duration};

/// What a vshard holds while a group visits others. Everything that comes meanwhile waits, reads too:
/// a read in between could miss a group that its caller has seen acknowledged (protocol rule P4).
#[derive(Debug)]
pub(crate) struct Pause {
    pub(crate) part: PendingPart,
    pub(crate) durability: Durability,
    /// When the group is given up, unless it is being logged.
    pub(crate) deadline: Duration,
    pub(crate) queue: PausedQueue,
}

/// The requests that wait for a paused vshard, in the order of their arrival.
#[derive(Debug)]
pub(crate) struct PausedQueue {
    waiting: VecDeque<TaskEnvelope>,
    /// What they hold.
    bytes: usize,
    limits: PausedLimits,
}

/// How much may wait for a paused vshard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PausedLimits {
    pub(crate) requests_max: usize,
    /// A single request that holds more waits alone, or it never could.
    pub(crate) bytes_max: usize,
}

impl PausedQueue {
    pub(crate) const fn new(limits: PausedLimits) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, limits }
    }

    /// Adds at the end, or gives it back if the queue is full.
    pub(crate) fn push(&mut self, envelope: TaskEnvelope) -> Result<(), TaskEnvelope> {
        let bytes = self.bytes.saturating_add(bytes_of(&envelope));
        let over = envelope.bytes > 0 && self.bytes > 0 && bytes > self.limits.bytes_max;
        if over || self.waiting.len() >= self.limits.requests_max {
            return Err(envelope);
        }
        self.bytes = bytes;
        self.waiting.push_back(envelope);
        Ok(())
    }

    /// Takes out what is due at `now`.
    pub(crate) fn take_due(&mut self, now: Duration) -> Vec<TaskEnvelope> {
        let (due, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|envelope| envelope.is_due(now));
        self.waiting = waiting.into();
        let freed: usize = due.iter().map(bytes_of).sum();
        assert!(freed <= self.bytes, "what leaves was counted in");
        self.bytes -= freed;
        due
    }

    /// The earliest deadline.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.waiting.iter().map(|envelope| envelope.deadline).min()
    }

    /// Ends the queue: all that waits, in order.
    pub(crate) fn into_waiting(self) -> VecDeque<TaskEnvelope> {
        self.waiting
    }
}

fn bytes_of(envelope: &TaskEnvelope) -> usize {
    usize::try_from(envelope.bytes).unwrap_or(usize::MAX)
}

impl Pause {
    /// When something in here times out.
    pub(crate) fn next_due(&self) -> Duration {
        let queue = self.queue.next_due();
        queue.map_or(self.deadline, |due| due.min(self.deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Op, task::Task};
    use nodedb_bridge::{Bridge, BridgeOptions, Inbox, Priority, Received, Request, Ticket};
    use nodedb_env::Env;
    use nodedb_types::{CoreId, TenantId, VshardId};
    use std::sync::Arc;

    type Side = (Bridge<Task, Answer>, Inbox<Task, Answer>);

    fn side() -> Side {
        let clock = Env::real().clock;
        let (bridge, mut inboxes) = Bridge::new(1, BridgeOptions::default(), Arc::clone(&clock));
        (bridge, inboxes.remove(0))
    }

    const LIMITS: PausedLimits = PausedLimits { requests_max: 2, bytes_max: 100 };

    fn envelope(
        side: &mut Side,
        (deadline, bytes): (Duration, u32),
    ) -> (TaskEnvelope, Ticket<Answer>) {
        let request = Request {
            tenant: TenantId::DEFAULT,
            vshard: VshardId::new(0),
            op: Task::Op(Box::new(Op::Status)),
            deadline: Duration::MAX,
            priority: Priority::Foreground,
            bytes,
        };
        let ticket = side.0.send(CoreId::new(0), request).expect("room");
        let Received::Request(mut envelope) = side.1.receive(None) else {
            panic!("a request was sent");
        };
        envelope.deadline = deadline;
        (envelope, ticket)
    }

    #[test]
    fn the_queue_is_bounded_and_keeps_the_order_of_arrival() {
        let mut side = side();
        let mut queue = PausedQueue::new(LIMITS);
        let seconds = Duration::from_secs;
        let (first, _a) = envelope(&mut side, (seconds(9), 0));
        let (second, _b) = envelope(&mut side, (seconds(3), 0));
        let (third, _c) = envelope(&mut side, (seconds(1), 0));
        let ids = [first.id, second.id];
        assert!(queue.push(first).is_ok() && queue.push(second).is_ok());
        let refused = queue.push(third).expect_err("the limit is 2");
        assert_eq!(queue.next_due(), Some(seconds(3)));
        assert!(queue.take_due(seconds(2)).is_empty());
        assert_eq!(queue.take_due(seconds(3))[0].id, ids[1]);
        assert!(queue.push(refused).is_ok(), "there is room again");
        assert_eq!(queue.into_waiting()[0].id, ids[0]);
    }

    #[test]
    fn the_queue_is_bounded_in_bytes_and_takes_a_single_larger_request() {
        let mut side = side();
        let mut queue = PausedQueue::new(PausedLimits { requests_max: 9, ..LIMITS });
        let second = Duration::from_secs(1);
        let mut push = |deadline, bytes| {
            let (envelope, ticket) = envelope(&mut side, (deadline, bytes));
            let taken = queue.push(envelope).is_ok();
            (taken, ticket, queue.bytes)
        };
        let far = Duration::MAX;
        assert!(push(second, 60).0 && push(far, 40).0, "exactly the limit");
        assert!(!push(far, 1).0, "one more than it");
        assert!(push(far, 0).0, "a read holds nothing");
        assert_eq!(queue.take_due(second).len(), 1);
        let (taken, _ticket, bytes) = {
            let (envelope, ticket) = envelope(&mut side, (far, 60));
            (queue.push(envelope).is_ok(), ticket, queue.bytes)
        };
        assert_eq!((taken, bytes), (true, 100), "there is room again");
        let mut queue = PausedQueue::new(LIMITS);
        let (large, _a) = envelope(&mut side, (far, 101));
        let (small, _b) = envelope(&mut side, (far, 1));
        assert!(queue.push(large).is_ok() && queue.push(small).is_err());
    }
}
