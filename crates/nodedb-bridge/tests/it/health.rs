//! A core that does not come back is named, by the time that its bridge was given.

use crate::ping::{CORE, ManualClock, PingInbox, ask, next, send, serve_all, stopped};
#[cfg(target_os = "linux")]
use crate::{idle::is_asleep, ping::ask_until};
use nodedb_bridge::{Bridge, BridgeHealth, BridgeOptions, CoreHealth, Received, TicketError};
use nodedb_env::Clock;
#[cfg(target_os = "linux")]
use nodedb_env::Env;
use nodedb_types::CoreId;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

const HOUR: u64 = 3_600;

fn stuck_since(secs: u64) -> CoreHealth {
    CoreHealth::Stuck { since: Duration::from_secs(secs) }
}

#[test]
fn a_core_that_never_comes_to_what_waits_is_stuck_after_the_limit_and_not_before() {
    let (bridge, mut inbox, clock) = stopped();
    clock.advance_secs(HOUR);
    assert_eq!(bridge.core_health(CORE), CoreHealth::Ok, "nothing waits");
    assert_eq!(serve_all(&mut inbox), [0; 0]);
    let ticket = send(&bridge, ask(1));
    for _ in 0..5 {
        clock.advance_secs(1);
        assert_eq!(bridge.core_health(CORE), CoreHealth::Ok);
    }
    clock.advance_secs(1);
    assert_eq!(bridge.core_health(CORE), stuck_since(HOUR));
    drop(ticket);
    // Whether anybody still waits is not the core's merit.
    assert_eq!(bridge.core_health(CORE), stuck_since(HOUR));
    assert_eq!(serve_all(&mut inbox), [0; 0]);
    assert_eq!(bridge.core_health(CORE), CoreHealth::Ok);
}

#[test]
fn a_core_that_does_not_come_back_from_a_request_is_stuck_until_it_does() {
    let (bridge, mut inbox, clock) = stopped();
    let ticket = send(&bridge, ask(1));
    let envelope = next(&mut inbox);
    clock.advance_secs(6);
    assert_eq!(bridge.core_health(CORE), stuck_since(0));
    assert_eq!(bridge.queued(CORE), 0);
    envelope.reply.send(1);
    // It has answered, which does not bring it back.
    assert_eq!(bridge.core_health(CORE), stuck_since(0));
    assert!(matches!(inbox.receive(Some(Duration::ZERO)), Received::TimedOut));
    clock.advance_secs(HOUR);
    assert_eq!(bridge.core_health(CORE), CoreHealth::Ok, "nothing to do is no fault");
    assert_eq!(ticket.wait(), Ok(1));
}

#[test]
fn a_core_that_waits_for_another_one_serves_nobody() {
    let (bridge, mut inbox, clock) = stopped();
    bridge.wake(CORE);
    assert!(matches!(inbox.receive(None), Received::Wake));
    clock.advance_secs(6);
    assert!(!inbox.wait_for_wake(Duration::from_secs(6)));
    assert_eq!(bridge.core_health(CORE), stuck_since(0));
}

/// Until it is scheduled, a core that has just been woken looks like one that has been away.
#[cfg(target_os = "linux")]
#[test]
fn a_core_that_slept_for_an_hour_is_not_stuck_when_a_request_comes() {
    const NAME: &str = "sleeping-core";
    let (bridge, mut inbox, clock) = stopped();
    let body = move || {
        while let Received::Request(envelope) = inbox.receive(None) {
            envelope.reply.send(envelope.op);
        }
    };
    let core = Env::real().threads.spawn(NAME, Box::new(body)).expect("a thread");
    for op in 0..500 {
        // Only in its inbox: it sleeps nowhere else.
        while !is_asleep(NAME) {
            thread::yield_now();
        }
        clock.advance_secs(HOUR);
        assert_eq!(bridge.core_health(CORE), CoreHealth::Ok, "nothing to do is no fault");
        let ticket = send(&bridge, ask_until(op, Duration::MAX));
        assert_eq!(bridge.core_health(CORE), CoreHealth::Ok, "woken just now");
        assert_eq!(ticket.wait(), Ok(op));
    }
    bridge.close();
    core.join().expect("no panic");
}

#[test]
fn degraded_names_every_core_that_does_not_serve() {
    let clock = Arc::new(ManualClock::default());
    let port: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let (bridge, inboxes) = Bridge::new(4, BridgeOptions::default(), port);
    assert_eq!(bridge.health(), BridgeHealth::Ok);
    let [first, second, third, fourth]: [PingInbox; 4] = inboxes.try_into().expect("four");
    let stuck = bridge.send(second.core(), ask(1)).expect("there is room");
    let ends = bridge.send(third.core(), ask(2)).expect("there is room");
    let died = catch_unwind(AssertUnwindSafe(move || {
        let _inbox = third;
        panic!("a defect of the core");
    }));
    assert!(died.is_err());
    clock.advance_secs(6);
    let cores = vec![(CoreId::new(1), stuck_since(0)), (CoreId::new(2), CoreHealth::Ended)];
    assert_eq!(bridge.health(), BridgeHealth::Degraded { cores });
    assert_eq!(ends.wait(), Err(TicketError::Closed));
    drop((first, second, fourth));
    assert_eq!(stuck.wait(), Err(TicketError::Closed));
    assert!((0..4).all(|core| bridge.core_health(CoreId::new(core)) == CoreHealth::Ended));
}
