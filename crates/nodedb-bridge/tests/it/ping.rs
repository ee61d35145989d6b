//! What all these tests share: a bridge whose ops and answers are numbers.

use nodedb_bridge::{Bridge, BridgeOptions, Envelope, Inbox, Priority, Received, Request, Ticket};
use nodedb_env::{Clock, RealClock};
use nodedb_types::{CoreId, TenantId, VshardId};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub(crate) type PingBridge = Bridge<u64, u64>;
pub(crate) type PingInbox = Inbox<u64, u64>;

pub(crate) const CORE: CoreId = CoreId::new(0);
/// No test waits that long unless it fails. Clocks of tests start at zero, so it is a deadline too.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A clock that stands still until told.
#[derive(Debug, Default)]
pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn advance_secs(&self, secs: u64) {
        self.0.fetch_add(secs, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst) * 1000
    }
}

pub(crate) fn options(capacity: usize, foreground_run: u32) -> BridgeOptions {
    BridgeOptions { capacity, foreground_run, ..BridgeOptions::default() }
}

pub(crate) fn one_core(options: BridgeOptions) -> (PingBridge, PingInbox) {
    let (bridge, mut inboxes) = Bridge::new(1, options, Arc::new(RealClock::new()));
    (bridge, inboxes.remove(0))
}

/// One core, in a time that stands still until told.
pub(crate) fn stopped() -> (PingBridge, PingInbox, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let port: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let (bridge, mut inboxes) = Bridge::new(1, BridgeOptions::default(), port);
    (bridge, inboxes.remove(0), clock)
}

/// A foreground request whose deadline no passing test reaches.
pub(crate) fn ask(op: u64) -> Request<u64> {
    Request {
        tenant: TenantId::DEFAULT,
        vshard: VshardId::new(0),
        op,
        deadline: LONG,
        priority: Priority::Foreground,
        bytes: 0,
    }
}

pub(crate) fn ask_background(op: u64) -> Request<u64> {
    Request { priority: Priority::Background, ..ask(op) }
}

pub(crate) fn ask_until(op: u64, deadline: Duration) -> Request<u64> {
    Request { deadline, ..ask(op) }
}

pub(crate) fn send(bridge: &PingBridge, request: Request<u64>) -> Ticket<u64> {
    bridge.send(CORE, request).expect("there is room")
}

/// The request that must be waiting.
pub(crate) fn next(inbox: &mut PingInbox) -> Envelope<u64, u64> {
    match inbox.receive(Some(Duration::ZERO)) {
        Received::Request(envelope) => envelope,
        other @ (Received::Wake | Received::TimedOut | Received::Closed) => {
            panic!("a request waits, yet {other:?}")
        }
    }
}

/// Ops in the order in which the core gets them, until nothing waits. Each is answered with itself.
pub(crate) fn serve_all(inbox: &mut PingInbox) -> Vec<u64> {
    let mut ops = Vec::new();
    while let Some(envelope) = inbox.try_receive() {
        ops.push(envelope.op);
        envelope.reply.send(envelope.op);
    }
    ops
}
