//! Every ticket gets exactly one result.

use crate::ping::{CORE, LONG, ask, ask_until, next, one_core, options, send, serve_all, stopped};
use nodedb_bridge::{Bridge, BridgeOptions, Received, Ticket, TicketError};
use nodedb_env::{Clock, RealClock};
use nodedb_types::ErrorKind;
use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

#[test]
fn an_answer_reaches_its_own_ticket() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let first = send(&bridge, ask(1));
    let second = send(&bridge, ask(2));
    let (one, two) = (next(&mut inbox), next(&mut inbox));
    assert_eq!((one.id, one.op), (first.id(), 1));
    assert_eq!((two.id, two.op), (second.id(), 2));
    two.reply.send(20);
    one.reply.send(10);
    assert_eq!(first.wait(), Ok(10));
    assert_eq!(second.wait(), Ok(20));
}

#[test]
fn a_blocked_ticket_is_woken_by_the_answer() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    thread::scope(|scope| {
        for op in 0..1000 {
            let ticket = send(&bridge, ask(op));
            let waiter = scope.spawn(move || ticket.wait());
            let envelope = next(&mut inbox);
            envelope.reply.send(op + 1);
            assert_eq!(waiter.join().expect("no panic"), Ok(op + 1));
        }
    });
}

#[test]
fn a_dropped_reply_is_cancelled_and_hangs_nobody() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let before = send(&bridge, ask(1));
    drop(next(&mut inbox));
    assert_eq!(before.wait(), Err(TicketError::Cancelled));

    let during = send(&bridge, ask(2));
    thread::scope(|scope| {
        let waiter = scope.spawn(move || during.wait());
        drop(next(&mut inbox));
        assert_eq!(waiter.join().expect("no panic"), Err(TicketError::Cancelled));
    });
}

#[test]
fn a_dropped_ticket_is_seen_by_the_core() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let ticket = send(&bridge, ask(1));
    let envelope = next(&mut inbox);
    assert!(!envelope.reply.is_cancelled());
    drop(ticket);
    assert!(envelope.reply.is_cancelled());
    envelope.reply.send(1);
}

#[test]
fn a_request_cancelled_while_queued_is_never_handed_over() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let kept = [send(&bridge, ask(1)), send(&bridge, ask(3))];
    drop(send(&bridge, ask(2)));
    assert_eq!(serve_all(&mut inbox), [1, 3]);
    assert_eq!(kept.map(Ticket::wait), [Ok(1), Ok(3)]);
}

#[test]
fn a_forwarded_request_is_handed_over_though_cancelled_and_expired() {
    let (bridge, mut inbox, clock) = stopped();
    let ticket = send(&bridge, ask_until(1, Duration::from_secs(5)));
    let envelope = next(&mut inbox);
    bridge.forward(CORE, envelope).expect("there is room");
    drop(ticket);
    clock.advance_secs(10);
    let again = next(&mut inbox);
    assert!(again.reply.is_cancelled() && again.is_due(clock.now()));
    again.reply.send(1);
}

#[test]
fn a_refusal_reaches_the_ticket() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let ticket = send(&bridge, ask(1));
    next(&mut inbox).reply.refuse(TicketError::Timeout);
    assert_eq!(ticket.wait(), Err(TicketError::Timeout));
}

#[test]
fn ticket_errors_have_the_documented_kinds() {
    assert_eq!(TicketError::Timeout.kind(), ErrorKind::Timeout);
    assert_eq!(TicketError::Cancelled.kind(), ErrorKind::Internal);
    assert_eq!(TicketError::Closed.kind(), ErrorKind::Closed);
}

/// An answer that counts how many of its kind are dropped.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_answer_is_dropped_once_however_cancelling_races_with_it() {
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let (bridge, mut inboxes) = Bridge::<u64, Counted>::new(1, options(1, 1), clock);
    let dropped = Arc::new(AtomicUsize::new(0));
    for round in 0..500 {
        let ticket = bridge.send(CORE, ask(round)).expect("there is room");
        let Received::Request(envelope) = inboxes[0].receive(Some(LONG)) else {
            panic!("a request waits");
        };
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                drop(ticket);
            });
            let answer = Counted(Arc::clone(&dropped));
            barrier.wait();
            envelope.reply.send(answer);
        });
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 500);
}
