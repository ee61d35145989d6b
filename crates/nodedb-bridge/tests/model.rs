//! The bridge under a model checker, which runs its threads in thousands of orders: slot, ticket and reply,
//! the counts of tenants, the bell, and the two steps in which a queue ends. Timers never
//! fire here, so a wake-up that is forgotten is found as a deadlock.
//!
//! Not modelled: how long a core is away, since time stands still here; what is inside flume, whose calls never block here and are one step each; reference
//! counts; and orderings weaker than sequential, since the checker runs one thread at a time.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --release -p nodedb-bridge --test model --target-dir target/shuttle`,
//! which `cargo xtask test` does. `NODEDB_SCHEDULES` sets how many orders each test tries.

#![cfg(shuttle)]
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends by a panic")]

use nodedb_bridge::{
    Bridge, BridgeOptions, CoreHealth, Inbox, Priority, Received, Request, SendError, Ticket,
    TicketError,
};
use nodedb_env::Clock;
use nodedb_testkit::ManualClock;
use nodedb_types::{CoreId, TenantId, VshardId};
use shuttle::{future::block_on, thread};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const CORE: CoreId = CoreId::new(0);
/// No timer fires: a deadline is only passed on.
const FAR: Duration = Duration::from_hours(1);

fn check(body: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("NODEDB_SCHEDULES").ok();
    let schedules = schedules.map_or(2_000, |count| count.parse().expect("a number"));
    let body = Arc::new(body);
    let random = Arc::clone(&body);
    shuttle::check_random(move || random(), schedules);
    shuttle::check_pct(move || body(), schedules, 3);
}

type Sides<A> = (Bridge<u64, A>, Inbox<u64, A>, Arc<ManualClock>);

fn sides<A>(options: BridgeOptions) -> Sides<A> {
    let clock = Arc::new(ManualClock::new());
    let port: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let (bridge, mut inboxes) = Bridge::new(1, options, port);
    (bridge, inboxes.remove(0), clock)
}

fn ask(op: u64) -> Request<u64> {
    let (tenant, vshard) = (TenantId::DEFAULT, VshardId::new(0));
    Request { tenant, vshard, op, deadline: FAR, priority: Priority::Foreground, bytes: 0 }
}

/// An answer that counts how often one of its kind is dropped.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A reply, a ticket that is given up, a deadline and a close race for one request: the ticket has one
/// result, the answer is dropped once, and the tenant's place is free.
#[test]
fn a_request_is_settled_exactly_once() {
    check(|| {
        let (bridge, mut inbox, clock) = sides::<Counted>(BridgeOptions::default());
        let dropped = Arc::new(AtomicUsize::new(0));
        let kept = bridge.send(CORE, ask(0)).expect("there is room");
        let given_up = bridge.send(CORE, ask(1)).expect("there is room");
        let core = {
            let dropped = Arc::clone(&dropped);
            thread::spawn(move || {
                let mut answered = 0;
                while let Received::Request(envelope) = inbox.receive(None) {
                    answered += 1;
                    envelope.reply.send(Counted(Arc::clone(&dropped)));
                }
                answered
            })
        };
        let late = thread::spawn(move || clock.advance(FAR));
        let awaiting = thread::spawn(move || match block_on(kept) {
            Ok(answer) => drop(answer),
            Err(error) => assert_eq!(error, TicketError::Timeout),
        });
        let giving_up = thread::spawn(move || drop(given_up));
        bridge.close();
        late.join().expect("no panic");
        giving_up.join().expect("no panic");
        let answered = core.join().expect("no panic");
        awaiting.join().expect("no panic");
        assert_eq!(dropped.load(Ordering::SeqCst), answered, "each answer is dropped once");
        assert_eq!(bridge.in_flight(TenantId::DEFAULT), 0);
    });
}

/// Callers that block and callers that await, beside a core that falls asleep between them.
#[test]
fn whoever_waits_is_woken() {
    check(|| {
        let (bridge, mut inbox, _) = sides::<u64>(BridgeOptions::default());
        let core = thread::spawn(move || {
            while let Received::Request(envelope) = inbox.receive(Some(FAR)) {
                envelope.reply.send(envelope.op + 1);
            }
        });
        let callers = [0, 1].map(|caller| {
            let bridge = bridge.clone();
            thread::spawn(move || {
                for round in 0..2 {
                    let op = caller * 10 + round;
                    let ticket = bridge.send(CORE, ask(op)).expect("there is room");
                    let answer = if caller == 0 { ticket.wait() } else { block_on(ticket) };
                    assert_eq!(answer, Ok(op + 1));
                }
            })
        });
        for caller in callers {
            caller.join().expect("no panic");
        }
        // The last clone: the core hears of it asleep or awake.
        drop(bridge);
        core.join().expect("no panic");
    });
}

/// Wakes travel beside the queue, also to a core that waits for nothing else.
#[test]
fn no_wake_is_slept_through() {
    check(|| {
        let (bridge, mut inbox, _) = sides::<u64>(BridgeOptions::default());
        let core = thread::spawn(move || {
            assert!(inbox.wait_for_wake(FAR), "no timer fires");
            let mut seen = (0, 0);
            loop {
                match inbox.receive(None) {
                    Received::Request(envelope) => {
                        seen.0 += 1;
                        envelope.reply.send(0);
                    }
                    Received::Wake => seen.1 += 1,
                    Received::TimedOut => panic!("it waits for ever"),
                    Received::Closed => return seen,
                }
            }
        });
        let ticket = bridge.send(CORE, ask(0)).expect("there is room");
        let waking = {
            let bridge = bridge.clone();
            thread::spawn(move || bridge.wake(CORE))
        };
        assert_eq!(ticket.wait(), Ok(0));
        waking.join().expect("no panic");
        bridge.wake(CORE);
        bridge.close();
        let (requests, wakes) = core.join().expect("no panic");
        assert_eq!(requests, 1);
        assert!(wakes <= 1, "two wakes were sent, and the first ended the wait");
    });
}

/// The inbox ends, by a panic of its thread or because it has seen the close, while others send: each
/// request is refused, or its ticket has a result, and nobody hangs.
#[test]
fn a_send_beside_the_end_is_refused_or_answered() {
    for dies in [false, true] {
        check(move || sends_beside_the_end(dies));
    }
}

fn sends_beside_the_end(dies: bool) {
    let (bridge, mut inbox, _) = sides::<u64>(BridgeOptions::default());
    let senders = [0, 1].map(|op| {
        let bridge = bridge.clone();
        thread::spawn(move || bridge.send(CORE, ask(op)).ok().map(Ticket::wait))
    });
    let core = thread::spawn(move || {
        if dies {
            if let Some(envelope) = inbox.try_receive() {
                envelope.reply.send(9);
            }
            // As the unwinding of a panic does.
            drop(inbox);
        } else {
            while let Received::Request(envelope) = inbox.receive(None) {
                envelope.reply.send(9);
            }
        }
    });
    if !dies {
        bridge.close();
    }
    for sender in senders {
        let result = sender.join().expect("no panic");
        assert!(matches!(result, None | Some(Ok(9) | Err(TicketError::Closed))), "{result:?}");
    }
    core.join().expect("no panic");
    assert_eq!((bridge.queued(CORE), bridge.in_flight(TenantId::DEFAULT)), (0, 0));
    assert_eq!(bridge.core_health(CORE), CoreHealth::Ended);
}

/// Two tenants of one shard and the places of both: no more are under way than may be, a place is free
/// before its answer is seen, and in the end all are.
#[test]
fn tenants_never_pass_their_limit() {
    /// The first two numbers that are counted in the same shard.
    const TENANTS: [TenantId; 2] = [TenantId::new(1), TenantId::new(234)];
    check(|| {
        let options = BridgeOptions { tenant_in_flight: 1, ..BridgeOptions::default() };
        let (bridge, mut inbox, _) = sides::<u64>(options);
        let core = thread::spawn(move || {
            while let Received::Request(envelope) = inbox.receive(None) {
                envelope.reply.send(envelope.op);
            }
        });
        let callers = [0, 0, 1].map(|tenant| {
            let (bridge, tenant) = (bridge.clone(), TENANTS[tenant]);
            thread::spawn(move || {
                let mut refused = 0;
                for op in 0..2 {
                    assert!(bridge.in_flight(tenant) <= 1);
                    match bridge.send(CORE, Request { tenant, ..ask(op) }) {
                        Ok(ticket) => assert_eq!(ticket.wait(), Ok(op)),
                        Err(SendError::TenantBusy { limit: 1, .. }) => refused += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                refused
            })
        });
        let refused = callers.map(|caller| caller.join().expect("no panic"));
        assert!(refused[0] < 2 || refused[1] < 2, "one of the two was always under way");
        assert_eq!(refused[2], 0, "who is alone and awaits each answer is never refused");
        assert!(TENANTS.iter().all(|tenant| bridge.in_flight(*tenant) == 0));
        bridge.close();
        core.join().expect("no panic");
    });
}

/// Senders of heavy requests beside a core that takes them, or that ends with some in its inbox: no more
/// bytes wait than may, and in the end none do.
#[test]
fn bytes_never_pass_their_limit() {
    for dies in [false, true] {
        check(move || bytes_beside_the_end(dies));
    }
}

fn bytes_beside_the_end(dies: bool) {
    let options = BridgeOptions { capacity_bytes: 10, ..BridgeOptions::default() };
    let (bridge, mut inbox, _) = sides::<u64>(options);
    let senders = [4, 6, 7].map(|bytes| {
        let bridge = bridge.clone();
        thread::spawn(move || {
            assert!(bridge.queued_bytes(CORE) <= 10);
            match bridge.send(CORE, Request { bytes, ..ask(1) }) {
                Ok(ticket) => drop(ticket.wait()),
                Err(error) => {
                    assert!(matches!(error, SendError::Busy { .. } | SendError::Closed { .. }))
                }
            }
        })
    });
    let core = thread::spawn(move || {
        while let Received::Request(envelope) = inbox.receive(None) {
            envelope.reply.send(envelope.op);
            if dies {
                return;
            }
        }
    });
    for sender in senders {
        sender.join().expect("no panic");
    }
    bridge.close();
    core.join().expect("no panic");
    assert_eq!((bridge.queued(CORE), bridge.queued_bytes(CORE)), (0, 0));
}
