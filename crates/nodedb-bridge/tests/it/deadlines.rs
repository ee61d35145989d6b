//! Deadlines, at both ends of what a core does: what is due is not begun, and who waited is told in time.

use crate::{
    futures::block_on,
    ping::{ask_until, next, send, serve_all, stopped},
};
use nodedb_bridge::{Bridge, BridgeOptions, TicketError};
use nodedb_env::{Clock, RealClock};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

const FIVE: Duration = Duration::from_secs(5);

#[test]
fn a_blocking_wait_ends_at_the_deadline() {
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let (bridge, mut inboxes) =
        Bridge::<u64, u64>::new(1, BridgeOptions::default(), Arc::clone(&clock));
    let deadline = clock.now() + Duration::from_millis(30);
    let ticket = send(&bridge, ask_until(1, deadline));
    let envelope = next(&mut inboxes[0]);
    assert_eq!(ticket.wait(), Err(TicketError::Timeout));
    assert!(clock.now() >= deadline);
    assert!(envelope.is_due(clock.now()));
    assert!(envelope.reply.is_cancelled(), "the waiter is gone");
    envelope.reply.send(1);
}

#[test]
fn an_answer_that_is_there_outlives_the_deadline() {
    let (bridge, mut inbox, clock) = stopped();
    let ticket = send(&bridge, ask_until(1, Duration::from_secs(5)));
    next(&mut inbox).reply.send(7);
    clock.advance_secs(10);
    assert_eq!(ticket.wait(), Ok(7));
}

#[test]
fn a_request_expired_while_queued_is_never_handed_over() {
    let (bridge, mut inbox, clock) = stopped();
    let early = send(&bridge, ask_until(1, Duration::from_secs(5)));
    let late = send(&bridge, ask_until(2, Duration::from_secs(6)));
    clock.advance_secs(5);
    assert_eq!(serve_all(&mut inbox), [2]);
    assert_eq!(early.wait(), Err(TicketError::Timeout));
    assert_eq!(late.wait(), Ok(2));
}

#[test]
fn a_poll_after_the_deadline_times_out() {
    let (bridge, _inbox, clock) = stopped();
    let mut ticket = send(&bridge, ask_until(1, Duration::from_secs(5)));
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(Pin::new(&mut ticket).poll(&mut context), Poll::Pending);
    clock.advance_secs(5);
    assert_eq!(block_on(ticket), Err(TicketError::Timeout));
}

/// The core has begun, so nobody can know what became of it: the caller hears so at the deadline, and
/// the answer that comes later goes nowhere.
#[test]
fn a_deadline_that_passes_while_the_core_works_is_a_timeout_and_a_late_answer_is_dropped() {
    let (bridge, mut inbox, clock) = stopped();
    let blocking = send(&bridge, ask_until(1, FIVE));
    let awaited = send(&bridge, ask_until(2, FIVE));
    let begun = [next(&mut inbox), next(&mut inbox)];
    assert!(begun.iter().all(|envelope| !envelope.is_due(clock.now())));
    clock.advance_secs(5);
    assert!(begun.iter().all(|envelope| envelope.is_due(clock.now())));
    assert_eq!(blocking.wait(), Err(TicketError::Timeout));
    assert_eq!(block_on(awaited), Err(TicketError::Timeout));
    for envelope in begun {
        assert!(envelope.reply.is_cancelled());
        envelope.reply.send(7);
    }
}

/// One nanosecond decides, and in favour of nobody who comes at the deadline itself.
#[test]
fn a_request_at_its_deadline_is_due() {
    let (bridge, mut inbox, clock) = stopped();
    clock.advance_secs(5);
    let before = send(&bridge, ask_until(1, FIVE + Duration::from_nanos(1)));
    let at = send(&bridge, ask_until(2, FIVE));
    assert_eq!(serve_all(&mut inbox), [1]);
    assert_eq!(before.wait(), Ok(1));
    assert_eq!(at.wait(), Err(TicketError::Timeout));
}
