//! Bounded queues, and what passes beside them.

use crate::ping::{CORE, LONG, PingBridge, ask, ask_background, next, one_core, options, send};
use nodedb_bridge::{Bridge, BridgeOptions, Received, Request, SendError, Ticket};
use nodedb_env::RealClock;
use nodedb_types::{CoreId, ErrorKind};
use std::{sync::Arc, time::Duration};

/// Fills one queue to its limit, and sees that the next request comes back.
fn fill(bridge: &PingBridge, capacity: u64, make: fn(u64) -> Request<u64>) -> Vec<Ticket<u64>> {
    let tickets = (0..capacity).map(|op| send(bridge, make(op))).collect();
    let error = bridge.send(CORE, make(77)).expect_err("no room is left");
    assert!(matches!(error, SendError::Busy { core: CORE, .. }));
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.into_op(), 77);
    tickets
}

#[test]
fn a_full_inbox_is_busy_at_exactly_its_limit() {
    for (options, capacity) in [(options(1, 1), 1), (BridgeOptions::default(), 4096)] {
        let (bridge, mut inbox) = one_core(options);
        let foreground = fill(&bridge, capacity, ask);
        let background = fill(&bridge, capacity, ask_background);
        assert_eq!(bridge.queued(CORE), foreground.len() + background.len());
        next(&mut inbox).reply.send(0);
        assert_eq!(inbox.queued(), foreground.len() + background.len() - 1);
        drop(send(&bridge, ask(78)));
    }
}

#[test]
fn a_wake_arrives_though_the_inbox_is_full() {
    let (bridge, mut inbox) = one_core(options(2, 1));
    let tickets = [fill(&bridge, 2, ask), fill(&bridge, 2, ask_background)];
    bridge.wake(CORE);
    assert!(matches!(inbox.receive(Some(LONG)), Received::Wake));
    assert_eq!(bridge.queued(CORE), 4);
    drop(tickets);
}

#[test]
fn wakes_are_one_until_taken() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    for _ in 0..10_000 {
        bridge.wake(CORE);
    }
    assert!(matches!(inbox.receive(Some(LONG)), Received::Wake));
    let nothing = inbox.receive(Some(Duration::ZERO));
    assert!(matches!(nothing, Received::TimedOut));
}

#[test]
fn wakes_do_not_starve_requests() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let tickets: Vec<_> = (0..3).map(|op| send(&bridge, ask(op))).collect();
    for op in 0..3 {
        bridge.wake(CORE);
        assert!(matches!(inbox.receive(Some(LONG)), Received::Wake));
        bridge.wake(CORE);
        let envelope = next(&mut inbox);
        assert_eq!(envelope.op, op);
        envelope.reply.send(op);
    }
    assert!(tickets.into_iter().map(Ticket::wait).eq((0..3).map(Ok)));
}

#[test]
fn waiting_for_a_wake_leaves_requests_where_they_are() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let ticket = send(&bridge, ask(1));
    assert!(!inbox.wait_for_wake(Duration::ZERO));
    bridge.wake(CORE);
    assert!(inbox.wait_for_wake(LONG));
    assert_eq!(inbox.queued(), 1);
    next(&mut inbox).reply.send(1);
    assert_eq!(ticket.wait(), Ok(1));
}

#[test]
fn forwarding_never_blocks_and_gives_the_envelope_back() {
    let clock = Arc::new(RealClock::new());
    let (bridge, mut inboxes) = Bridge::new(2, options(1, 1), clock);
    let other = CoreId::new(1);
    let ticket = send(&bridge, ask(1));
    let envelope = next(&mut inboxes[0]);
    let id = envelope.id;

    let stuck = bridge.send(other, ask(2)).expect("there is room");
    let error = bridge.forward(other, envelope).expect_err("it is full");
    assert_eq!(error.kind(), ErrorKind::Busy);
    let envelope = error.into_envelope();
    next(&mut inboxes[1]).reply.send(2);
    assert_eq!(stuck.wait(), Ok(2));

    bridge.forward(other, envelope).expect("there is room");
    let envelope = next(&mut inboxes[1]);
    assert_eq!((envelope.id, envelope.op), (id, 1));

    bridge.close();
    let error = bridge.forward(other, envelope).expect_err("it is closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    error.into_envelope().reply.send(11);
    assert_eq!(ticket.wait(), Ok(11));
}

#[test]
#[should_panic(expected = "core 1 of 1")]
fn a_core_that_does_not_exist_is_a_defect_of_the_caller() {
    let (bridge, _inbox) = one_core(BridgeOptions::default());
    bridge.wake(CoreId::new(1));
}

#[test]
fn errors_keep_the_op_out_of_their_text() {
    let (bridge, _inbox) = one_core(options(1, 1));
    let _kept = send(&bridge, ask(1));
    let error = bridge.send(CORE, ask(987_654)).expect_err("it is full");
    let text = format!("{error} {error:?} {:?}", ask(987_654));
    assert!(text.contains("core 0") && !text.contains("987654"), "{text}");
}

fn heavy(op: u64, bytes: u32) -> Request<u64> {
    Request { bytes, ..ask(op) }
}

fn assert_busy(bridge: &PingBridge, request: Request<u64>) {
    let error = bridge.send(CORE, request).expect_err("too many bytes wait");
    assert!(matches!(error, SendError::Busy { core: CORE, .. }), "{error}");
}

/// 4,096 requests of 16 MiB were 64 GiB.
#[test]
fn an_inbox_is_bounded_in_bytes_at_exactly_its_limit() {
    let (bridge, mut inbox) = one_core(BridgeOptions { capacity_bytes: 100, ..options(9, 1) });
    let mut tickets = vec![send(&bridge, heavy(0, 60)), send(&bridge, heavy(1, 40))];
    assert_busy(&bridge, heavy(2, 1));
    assert_eq!((bridge.queued(CORE), bridge.queued_bytes(CORE)), (2, 100));
    tickets.push(send(&bridge, ask(3)));
    tickets.push(send(&bridge, Request { bytes: 100, ..ask_background(4) }));
    assert_busy(&bridge, Request { bytes: 1, ..ask_background(5) });
    assert_eq!(bridge.queued_bytes(CORE), 200);
    // Its bytes are the core's from here on.
    let first = next(&mut inbox);
    assert_eq!((first.bytes, bridge.queued_bytes(CORE)), (60, 140));
    assert_busy(&bridge, heavy(6, 61));
    tickets.push(send(&bridge, heavy(7, 60)));
    // Requests that nobody waits for, and those of an inbox that ends, are counted out too.
    tickets.clear();
    drop((first, inbox));
    assert_eq!((bridge.queued(CORE), bridge.queued_bytes(CORE)), (0, 0));
}

/// Refused, it would be refused for ever.
#[test]
fn a_single_request_above_the_limit_waits_alone() {
    let (bridge, mut inbox) = one_core(BridgeOptions { capacity_bytes: 100, ..options(9, 1) });
    let large = send(&bridge, heavy(0, u32::MAX));
    assert_busy(&bridge, heavy(1, 1));
    let light = send(&bridge, ask(2));
    next(&mut inbox).reply.send(0);
    let again = send(&bridge, heavy(3, 1));
    assert_busy(&bridge, heavy(4, 100));
    drop((large, light, again));
}

/// A request that is refused for want of a place in the queue leaves no bytes behind.
#[test]
fn a_full_queue_counts_no_bytes_of_what_it_refuses() {
    let (bridge, mut inbox) = one_core(options(1, 1));
    let ticket = send(&bridge, heavy(0, 10));
    for _ in 0..3 {
        assert_busy(&bridge, heavy(1, 20));
    }
    assert_eq!(bridge.queued_bytes(CORE), 10);
    next(&mut inbox).reply.send(0);
    assert_eq!((ticket.wait(), bridge.queued_bytes(CORE)), (Ok(0), 0));
}

#[test]
fn a_forwarded_request_takes_its_bytes_along() {
    let options = BridgeOptions { capacity_bytes: 100, ..BridgeOptions::default() };
    let clock = Arc::new(RealClock::new());
    let (bridge, mut inboxes) = Bridge::<u64, u64>::new(2, options, clock);
    let second = CoreId::new(1);
    let waiting = bridge.send(second, heavy(0, 60)).expect("there is room");
    let tickets = [50, 40].map(|bytes| send(&bridge, heavy(1, bytes)));
    let refused = bridge.forward(second, next(&mut inboxes[0])).expect_err("110 bytes");
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert_eq!(bridge.queued_bytes(second), 60);
    bridge.forward(second, next(&mut inboxes[0])).expect("100 bytes");
    assert_eq!((bridge.queued_bytes(CORE), bridge.queued_bytes(second)), (0, 100));
    drop((waiting, tickets, refused));
}
