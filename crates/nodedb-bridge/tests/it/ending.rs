//! Closing, dropping and dying, with requests under way.

use crate::ping::{CORE, LONG, ask, ask_background, next, one_core, options, send};
use nodedb_bridge::{Bridge, BridgeOptions, Received, SendError, Ticket, TicketError};
use nodedb_env::{Clock, RealClock};
use nodedb_types::ErrorKind;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

#[test]
fn a_closed_bridge_refuses_and_drains() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let tickets = [send(&bridge, ask(1)), send(&bridge, ask_background(2))];
    bridge.clone().close();
    bridge.close();

    let error = bridge.send(CORE, ask(3)).expect_err("it is closed");
    assert!(matches!(error, SendError::Closed { core: CORE, op: 3 }));
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(bridge.is_closed(CORE));

    for op in [1, 2] {
        let envelope = next(&mut inbox);
        assert_eq!(envelope.op, op);
        envelope.reply.send(op);
    }
    for _ in 0..3 {
        assert!(matches!(inbox.receive(Some(LONG)), Received::Closed));
        assert!(inbox.try_receive().is_none());
    }
    assert_eq!(tickets.map(Ticket::wait), [Ok(1), Ok(2)]);
}

#[test]
fn a_wake_arrives_after_closing() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    bridge.close();
    assert!(matches!(inbox.receive(Some(LONG)), Received::Closed));
    bridge.wake(CORE);
    assert!(matches!(inbox.receive(Some(LONG)), Received::Wake));
    assert!(matches!(inbox.receive(Some(LONG)), Received::Closed));
    bridge.wake(CORE);
    assert!(inbox.wait_for_wake(LONG));
}

/// A receiver whose senders went away used to spin in a known seed of this design: `receive` must
/// end with `Closed`, from sleep too, and once.
#[test]
fn dropping_the_last_bridge_ends_a_blocked_receiver() {
    for _ in 0..300 {
        let clock = RealClock::new();
        let (bridge, mut inboxes) =
            Bridge::<u64, u64>::new(1, BridgeOptions::default(), Arc::new(clock));
        let second = bridge.clone();
        let receiver = &mut inboxes[0];
        thread::scope(|scope| {
            let ended = scope.spawn(move || receiver.receive(Some(LONG)));
            drop(bridge);
            drop(second);
            assert!(matches!(ended.join().expect("no panic"), Received::Closed));
        });
        assert!(clock.now() < LONG, "it slept on until its moment");
    }
}

#[test]
fn closing_ends_a_blocked_receiver() {
    for _ in 0..300 {
        let clock = RealClock::new();
        let (bridge, mut inboxes) =
            Bridge::<u64, u64>::new(2, BridgeOptions::default(), Arc::new(clock));
        thread::scope(|scope| {
            let ended: Vec<_> = inboxes
                .iter_mut()
                .map(|inbox| scope.spawn(move || inbox.receive(Some(LONG))))
                .collect();
            bridge.close();
            for end in ended {
                assert!(matches!(end.join().expect("no panic"), Received::Closed));
            }
        });
        assert!(clock.now() < LONG, "one slept on until its moment");
    }
}

#[test]
fn receive_ends_at_its_moment_and_not_before() {
    let clock = RealClock::new();
    let (bridge, mut inboxes) =
        Bridge::<u64, u64>::new(1, BridgeOptions::default(), Arc::new(clock));
    let until = clock.now() + Duration::from_millis(20);
    assert!(matches!(inboxes[0].receive(Some(until)), Received::TimedOut));
    assert!(clock.now() >= until);
    drop(bridge);
}

#[test]
fn an_inbox_that_dies_refuses_what_waits() {
    let (bridge, inbox) = one_core(BridgeOptions::default());
    let ticket = send(&bridge, ask(1));
    drop(inbox);
    assert_eq!(ticket.wait(), Err(TicketError::Closed));
    let error = bridge.send(CORE, ask(2)).expect_err("the core has ended");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.into_op(), 2);
    bridge.wake(CORE);
    assert_eq!(bridge.queued(CORE), 0);
}

#[test]
fn a_forwarded_request_in_a_dying_inbox_is_of_unknown_outcome() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let ticket = send(&bridge, ask(1));
    let envelope = next(&mut inbox);
    bridge.forward(CORE, envelope).expect("there is room");
    drop(inbox);
    assert_eq!(ticket.wait(), Err(TicketError::Cancelled));
}

#[test]
fn a_core_that_panics_leaves_nobody_waiting() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let received = send(&bridge, ask(1));
    let queued = send(&bridge, ask(2));
    let died = catch_unwind(AssertUnwindSafe(move || {
        let envelope = next(&mut inbox);
        assert_eq!(envelope.op, 0, "the core finds a defect");
    }));
    assert!(died.is_err());
    assert_eq!(received.wait(), Err(TicketError::Cancelled));
    assert_eq!(queued.wait(), Err(TicketError::Closed));
}

/// A send that passed the check before the end and leaves its request after the core's last look.
#[test]
fn a_send_that_races_with_the_end_is_answered_or_refused() {
    for round in 0..400 {
        let (bridge, mut inbox) = one_core(options(64, 8));
        let barrier = Barrier::new(3);
        let results = thread::scope(|scope| {
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        let tickets: Vec<_> =
                            (0..16).map_while(|op| bridge.send(CORE, ask(op)).ok()).collect();
                        tickets.into_iter().map(Ticket::wait).collect()
                    })
                })
                .collect();
            barrier.wait();
            if round % 2 == 0 {
                // Ends in the middle, as by a panic.
                if let Some(envelope) = inbox.try_receive() {
                    envelope.reply.send(0);
                }
                drop(inbox);
            } else {
                bridge.close();
                while let Received::Request(envelope) = inbox.receive(Some(LONG)) {
                    envelope.reply.send(0);
                }
            }
            senders
                .into_iter()
                .flat_map(|sender| -> Vec<_> { sender.join().expect("no panic") })
                .collect::<Vec<_>>()
        });
        for result in results {
            assert!(matches!(result, Ok(0) | Err(TicketError::Closed)));
        }
    }
}
