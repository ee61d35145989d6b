//! The sending side.

use crate::{
    BridgeHealth, BridgeOptions, CoreHealth, Envelope, ForwardError, Inbox, Reply, Request,
    RequestIds, SendError, Ticket,
    core_queue::{CoreQueue, Refusal},
    exchange::Exchange,
    slot::Slot,
};
use nodedb_env::Clock;
use nodedb_types::{CoreId, TenantId};
use std::{fmt, sync::Arc, time::Duration};

/// The sending side of all inboxes. Cheap to clone; `Send` and `Sync` where `Q` and `A` are `Send`.
///
/// When the last clone is dropped the bridge closes by itself. Core threads that hold clones, to
/// [`forward`](Self::forward), keep it open; then [`close`](Self::close) is how it ends.
pub struct Bridge<Q, A> {
    side: Arc<SendingSide<Q, A>>,
}

struct SendingSide<Q, A> {
    cores: Box<[Arc<CoreQueue<Q, A>>]>,
    ids: RequestIds,
    stuck_after: Duration,
    exchange: Arc<Exchange>,
}

impl<Q, A> Bridge<Q, A> {
    /// A bridge to `cores` threads and, by ascending core id, the inbox of each.
    ///
    /// # Panics
    /// If `cores` or a limit in `options` is 0.
    pub fn new(
        cores: u16,
        options: BridgeOptions,
        clock: Arc<dyn Clock>,
    ) -> (Self, Vec<Inbox<Q, A>>) {
        let BridgeOptions { capacity, capacity_bytes, .. } = options;
        let BridgeOptions { foreground_run, tenant_in_flight, stuck_after, ids, .. } = options;
        assert!(cores > 0, "a bridge leads to at least one core");
        assert!(capacity > 0, "an inbox holds at least one request");
        assert!(capacity_bytes > 0, "an inbox holds something");
        assert!(foreground_run > 0, "foreground runs are at least 1 long");
        assert!(tenant_in_flight > 0, "a tenant may have at least one request under way");
        assert!(!stuck_after.is_zero(), "a core may take some time");
        let exchange = Arc::new(Exchange::new(clock, tenant_in_flight));
        let queue = || Arc::new(CoreQueue::new((capacity, capacity_bytes), Arc::clone(&exchange)));
        let queues: Box<[_]> = (0..cores).map(|_| queue()).collect();
        let inboxes = (0..cores)
            .zip(&queues)
            .map(|(core, queue)| {
                let core = CoreId::new(core);
                Inbox::new(core, Arc::clone(queue), foreground_run, Arc::clone(&exchange))
            })
            .collect();
        let side = SendingSide { cores: queues, ids, stuck_after, exchange };
        let bridge = Self { side: Arc::new(side) };
        (bridge, inboxes)
    }

    /// How many cores it leads to.
    pub fn cores(&self) -> usize {
        self.side.cores.len()
    }

    /// Leaves a request in the inbox of `core`. Never blocks, so it may be called from async code.
    ///
    /// # Errors
    /// With the op given back, and nothing done:
    /// - [`SendError::Busy`]: as many requests of this priority, or of their bytes, wait as the inbox
    ///   holds.
    /// - [`SendError::TenantBusy`]: the tenant has as many requests under way as it may.
    /// - [`SendError::Closed`]: the bridge is closed, or the core has ended.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn send(&self, core: CoreId, request: Request<Q>) -> Result<Ticket<A>, SendError<Q>> {
        let Request { tenant, vshard, op, deadline, priority, bytes } = request;
        let (queue, exchange) = (self.queue(core), &self.side.exchange);
        // First, as it stays so, while a tenant that is at its limit may try again.
        if queue.is_closing() {
            return Err(SendError::Closed { core, op });
        }
        if !exchange.tenants.enter(tenant) {
            return Err(SendError::TenantBusy { tenant, limit: exchange.tenants.limit(), op });
        }
        // From here on the request is counted, until its reply is used or dropped.
        let id = self.side.ids.next_id();
        let slot = Arc::new(Slot::new(tenant, Arc::clone(exchange)));
        let envelope = Envelope {
            id,
            tenant,
            vshard,
            op,
            deadline,
            priority,
            bytes,
            reply: Reply::new(Arc::clone(&slot)),
        };
        match queue.push(envelope, false) {
            Ok(()) => Ok(Ticket::new(id, deadline, slot)),
            Err((Refusal::Full, Envelope { op, .. })) => Err(SendError::Busy { core, op }),
            Err((Refusal::Closed, Envelope { op, .. })) => Err(SendError::Closed { core, op }),
        }
    }

    /// Passes a received request on to another core, with its id, deadline, priority and reply.
    /// Never blocks. That core gets it whatever becomes of the ticket and the deadline meanwhile.
    ///
    /// # Errors
    /// With the envelope given back, still unanswered:
    /// - [`ForwardError::Busy`]: as many requests of its priority, or of their bytes, wait as the inbox
    ///   holds.
    /// - [`ForwardError::Closed`]: the bridge is closed, or the core has ended.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn forward(
        &self,
        core: CoreId,
        envelope: Envelope<Q, A>,
    ) -> Result<(), ForwardError<Q, A>> {
        self.queue(core).push(envelope, true).map_err(|(refusal, envelope)| match refusal {
            Refusal::Full => ForwardError::Busy { core, envelope },
            Refusal::Closed => ForwardError::Closed { core, envelope },
        })
    }

    /// Makes [`Inbox::receive`] of that core return
    /// [`Received::Wake`](crate::Received::Wake) once after this call. Never blocks, never fails.
    ///
    /// It takes no room in the inbox, so it arrives though that is full, and also after closing.
    /// Wakes that the core has not taken yet are one; what it is about travels through state that
    /// both sides share, written before the wake.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn wake(&self, core: CoreId) {
        self.queue(core).wake();
    }

    /// How many requests wait in the inbox of `core`, not yet received.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn queued(&self, core: CoreId) -> usize {
        self.queue(core).len()
    }

    /// How many bytes the requests hold that wait in the inbox of `core`, as their senders said.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn queued_bytes(&self, core: CoreId) -> usize {
        self.queue(core).bytes()
    }

    /// How many requests of a tenant are under way: sent, and neither answered nor dropped by a core.
    /// Always 0 for [`TenantId::SYSTEM`], which is not counted.
    pub fn in_flight(&self, tenant: TenantId) -> u32 {
        self.side.exchange.tenants.in_flight(tenant)
    }

    /// Whether a core still serves its inbox. Computed from what the core has left behind at its last
    /// look: nothing is asked of it, and no timer or thread stands behind it.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn core_health(&self, core: CoreId) -> CoreHealth {
        self.queue(core).health(self.side.stuck_after)
    }

    /// Whether all cores do; those that do not are named.
    pub fn health(&self) -> BridgeHealth {
        let cores = (0..).map(CoreId::new).zip(&self.side.cores);
        let health = cores.map(|(core, queue)| (core, queue.health(self.side.stuck_after)));
        let cores: Vec<_> = health.filter(|(_, health)| *health != CoreHealth::Ok).collect();
        if cores.is_empty() { BridgeHealth::Ok } else { BridgeHealth::Degraded { cores } }
    }

    /// Ends sending, for all clones. What waits is still received; after that the inboxes report
    /// [`Received::Closed`](crate::Received::Closed). Calling it again changes nothing.
    pub fn close(&self) {
        self.side.close();
    }

    /// Whether sending to `core` has ended, by closing or because its inbox is gone.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn is_closed(&self, core: CoreId) -> bool {
        self.queue(core).is_closing()
    }

    fn queue(&self, core: CoreId) -> &CoreQueue<Q, A> {
        let cores = &self.side.cores;
        let index = usize::from(core.get());
        assert!(index < cores.len(), "core {core} of {}", cores.len());
        &cores[index]
    }
}

impl<Q, A> SendingSide<Q, A> {
    fn close(&self) {
        for queue in &self.cores {
            queue.close();
        }
    }
}

impl<Q, A> Drop for SendingSide<Q, A> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<Q, A> Clone for Bridge<Q, A> {
    fn clone(&self) -> Self {
        Self { side: Arc::clone(&self.side) }
    }
}

impl<Q, A> fmt::Debug for Bridge<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("cores", &self.cores()).finish_non_exhaustive()
    }
}
