//! What the senders share with one core.

use crate::{
    CoreHealth, Envelope, Priority, TicketError,
    bell::Bell,
    exchange::Exchange,
    heartbeat::{Beat, Heartbeat},
    lane::{Lane, Waiting},
    sync::atomic::{AtomicBool, Ordering},
};
use std::{sync::Arc, time::Duration};

/// The queues of one core, the wake beside them, and how they end.
///
/// Ending has two steps. `closing`: senders are refused, the core goes on with what waits. `retired`:
/// the core takes nothing more. A sender that passed the first check may still leave a request after
/// the core's last look; so it checks `retired` after it left the request and then empties the queue
/// itself. The core sets `retired` before its own emptying, so one of the two sees every request.
pub(crate) struct CoreQueue<Q, A> {
    foreground: Lane<Q, A>,
    background: Lane<Q, A>,
    pub(crate) bell: Bell,
    pub(crate) heartbeat: Heartbeat,
    exchange: Arc<Exchange>,
    woken: AtomicBool,
    closing: AtomicBool,
    retired: AtomicBool,
}

/// Why an envelope was not taken.
pub(crate) enum Refusal {
    Full,
    Closed,
}

impl<Q, A> CoreQueue<Q, A> {
    /// Each lane holds so many requests and so many bytes.
    pub(crate) fn new((requests, bytes): (usize, usize), exchange: Arc<Exchange>) -> Self {
        Self {
            foreground: Lane::new(requests, bytes),
            background: Lane::new(requests, bytes),
            bell: Bell::new(),
            heartbeat: Heartbeat::new(exchange.now()),
            exchange,
            woken: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        }
    }

    /// Leaves a request for the core, or gives it back with the reason. Never blocks.
    pub(crate) fn push(
        &self,
        envelope: Envelope<Q, A>,
        forwarded: bool,
    ) -> Result<(), (Refusal, Envelope<Q, A>)> {
        if self.is_closing() {
            return Err((Refusal::Closed, envelope));
        }
        self.leave(envelope, forwarded).map_err(|envelope| (Refusal::Full, envelope))
    }

    /// Leaves it after the first check, however much later that is.
    fn leave(&self, envelope: Envelope<Q, A>, forwarded: bool) -> Result<(), Envelope<Q, A>> {
        let lane = self.lane(envelope.priority);
        let waiting = Waiting { envelope, forwarded };
        lane.push(waiting).map_err(|waiting| waiting.envelope)?;
        if self.retired.load(Ordering::SeqCst) {
            self.refuse_all();
        }
        self.ring();
        Ok(())
    }

    pub(crate) const fn lane(&self, priority: Priority) -> &Lane<Q, A> {
        match priority {
            Priority::Foreground => &self.foreground,
            Priority::Background => &self.background,
        }
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.foreground.len() + self.background.len()
    }

    /// How many bytes they hold.
    pub(crate) fn bytes(&self) -> usize {
        self.foreground.bytes() + self.background.bytes()
    }

    pub(crate) fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Takes the wake, if there is one.
    pub(crate) fn take_wake(&self) -> bool {
        self.woken.load(Ordering::SeqCst) && self.woken.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Wakes the core. The time is left first: see [`Heartbeat`].
    fn ring(&self) {
        self.bell.ring(|| self.heartbeat.wake(self.exchange.now()));
    }

    /// Whether the core comes to its inbox. Reads words only, so it asks nobody and waits for nobody.
    pub(crate) fn health(&self, stuck_after: Duration) -> CoreHealth {
        if self.retired.load(Ordering::SeqCst) {
            return CoreHealth::Ended;
        }
        let Beat::Awake { since, busy } = self.heartbeat.read() else {
            return CoreHealth::Ok;
        };
        let away = self.exchange.now().saturating_sub(since);
        if away > stuck_after && (busy || self.len() > 0) {
            return CoreHealth::Stuck { since };
        }
        CoreHealth::Ok
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Ends the queue for good: whatever waits, or still arrives, is refused as `Closed`.
    pub(crate) fn retire(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.retired.store(true, Ordering::SeqCst);
        self.refuse_all();
    }

    fn refuse_all(&self) {
        for lane in [&self.foreground, &self.background] {
            while let Some(waiting) = lane.pop() {
                // `Closed` promises that nothing was done, which holds only where no core began.
                let error =
                    if waiting.forwarded { TicketError::Cancelled } else { TicketError::Closed };
                waiting.envelope.reply.refuse(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Reply, slot::Slot};
    use nodedb_env::RealClock;
    use nodedb_types::{RequestId, TenantId, VshardId};
    use std::task::Waker;

    /// The core retires between the two steps of a sender. Nobody looks into the queue after that,
    /// so it is the sender who must empty it.
    #[test]
    fn what_is_left_after_the_cores_last_look_is_refused() {
        for (forwarded, expected) in [(false, TicketError::Closed), (true, TicketError::Cancelled)]
        {
            let exchange = Arc::new(Exchange::new(Arc::new(RealClock::new()), 1));
            let queue = CoreQueue::<(), ()>::new((1, 1), Arc::clone(&exchange));
            assert!(exchange.tenants.enter(TenantId::DEFAULT));
            let slot = Arc::new(Slot::new(TenantId::DEFAULT, Arc::clone(&exchange)));
            let envelope = Envelope {
                id: RequestId::new(1),
                tenant: TenantId::DEFAULT,
                vshard: VshardId::new(0),
                op: (),
                deadline: Duration::MAX,
                priority: Priority::Background,
                bytes: 7,
                reply: Reply::new(Arc::clone(&slot)),
            };
            queue.retire();
            assert!(queue.leave(envelope, forwarded).is_ok());
            let nobody = crate::slot::Waiter::Task(Waker::noop().clone());
            assert_eq!(slot.take_or_wait(Some(nobody)), Some(Err(expected)));
            let left = exchange.tenants.in_flight(TenantId::DEFAULT);
            assert_eq!((queue.len(), queue.bytes(), left), (0, 0, 0));
        }
    }
}
