//! A tenant has so many requests under way and no more, and every way to end one gives its place back.

use crate::ping::{CORE, LONG, PingBridge, ask, next, one_core, send, stopped};
use nodedb_bridge::{
    Bridge, BridgeOptions, Envelope, Priority, Received, Request, SendError, TicketError,
};
use nodedb_env::RealClock;
use nodedb_types::{CoreId, ErrorKind, TenantId};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

const A: TenantId = TenantId::new(7);
const B: TenantId = TenantId::new(8);

fn limited(tenant_in_flight: u32) -> BridgeOptions {
    BridgeOptions { tenant_in_flight, ..BridgeOptions::default() }
}

fn of(tenant: TenantId, op: u64) -> Request<u64> {
    Request { tenant, ..ask(op) }
}

#[track_caller]
fn refused(bridge: &PingBridge, tenant: TenantId) {
    let error = bridge.send(CORE, of(tenant, 77)).expect_err("the tenant is at its limit");
    assert_eq!(error.kind(), ErrorKind::Busy);
    let limit = bridge.in_flight(tenant);
    let text = format!("{error} {error:?}");
    assert!(text.contains(&format!("tenant {tenant} has {limit} requests")), "{text}");
    assert!(matches!(error, SendError::TenantBusy { tenant: t, limit: l, op: 77 }
        if (t, l) == (tenant, limit)));
}

#[test]
fn a_tenant_is_refused_at_exactly_its_limit_over_all_cores_and_queues() {
    for (options, limit) in [(limited(1), 1), (limited(3), 3), (BridgeOptions::default(), 16_384)] {
        let (bridge, mut inboxes) = Bridge::<u64, u64>::new(3, options, Arc::new(RealClock::new()));
        let tickets: Vec<_> = (0..limit)
            .map(|op| {
                let core = CoreId::new(u16::try_from(op % 3).expect("small"));
                let background = op % 2 == 0;
                let priority = if background { Priority::Background } else { Priority::Foreground };
                bridge.send(core, Request { priority, ..of(A, op) }).expect("there is room")
            })
            .collect();
        assert_eq!(bridge.in_flight(A), u32::try_from(limit).expect("small"));
        refused(&bridge, A);
        drop(send(&bridge, of(B, 1)));
        assert_eq!(bridge.in_flight(B), 1, "dropped, and still in the queue");
        let envelope = inboxes[0].try_receive().expect("one waits");
        refused(&bridge, A);
        envelope.reply.send(0);
        let again = send(&bridge, of(A, 1));
        refused(&bridge, A);
        drop((tickets, again));
    }
}

#[test]
fn the_system_is_never_refused() {
    let (bridge, _inbox) = one_core(limited(1));
    let tickets: Vec<_> = (0..100).map(|op| send(&bridge, of(TenantId::SYSTEM, op))).collect();
    assert_eq!((bridge.in_flight(TenantId::SYSTEM), bridge.queued(CORE)), (0, 100));
    drop(tickets);
}

/// Answered, refused, dropped by the core, cancelled, expired, of a core that panics, of one that ends,
/// of a queue that is full, of a bridge that is closed.
#[test]
fn every_end_of_a_request_gives_its_place_back() {
    let ends: [fn(Envelope<u64, u64>); 3] = [
        |envelope| envelope.reply.send(1),
        |envelope| envelope.reply.refuse(TicketError::Timeout),
        drop,
    ];
    let (bridge, mut inbox) = one_core(limited(1));
    for end in ends {
        let ticket = send(&bridge, of(A, 1));
        refused(&bridge, A);
        end(next(&mut inbox));
        assert_eq!(bridge.in_flight(A), 0);
        drop(ticket);
    }
    drop(send(&bridge, of(A, 1)));
    refused(&bridge, A);
    assert!(inbox.try_receive().is_none(), "cancelled");
    assert_eq!(bridge.in_flight(A), 0);

    let ticket = send(&bridge, of(A, 1));
    let died = catch_unwind(AssertUnwindSafe(move || {
        let envelope = next(&mut inbox);
        assert_eq!(envelope.op, 0, "the core finds a defect");
    }));
    assert!(died.is_err());
    assert_eq!((ticket.wait(), bridge.in_flight(A)), (Err(TicketError::Cancelled), 0));
    let error = bridge.send(CORE, of(A, 1)).expect_err("the core has ended");
    assert_eq!((error.kind(), bridge.in_flight(A)), (ErrorKind::Closed, 0));
}

#[test]
fn requests_that_expire_wait_in_a_dying_inbox_or_meet_a_full_one_give_their_places_back() {
    let (bridge, mut inbox, clock) = stopped();
    let expired = send(&bridge, Request { deadline: Duration::from_secs(5), ..of(A, 1) });
    clock.advance_secs(5);
    assert!(inbox.try_receive().is_none());
    assert_eq!((expired.wait(), bridge.in_flight(A)), (Err(TicketError::Timeout), 0));

    let waits = send(&bridge, of(A, 1));
    drop(inbox);
    assert_eq!((waits.wait(), bridge.in_flight(A)), (Err(TicketError::Closed), 0));

    let (bridge, _inbox) = one_core(BridgeOptions { capacity: 1, ..limited(9) });
    let kept = send(&bridge, of(B, 1));
    let error = bridge.send(CORE, of(A, 2)).expect_err("the queue is full");
    assert!(matches!(error, SendError::Busy { core: CORE, op: 2 }));
    assert_eq!((bridge.in_flight(A), bridge.in_flight(B)), (0, 1));
    bridge.close();
    // A tenant at its limit hears of the end all the same.
    let error = bridge.send(CORE, of(B, 3)).expect_err("it is closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    drop(kept);
}

/// The answer must not be seen before its place is free.
#[test]
fn who_awaits_each_answer_never_meets_a_limit_of_one() {
    let (bridge, mut inbox) = one_core(limited(1));
    thread::scope(|scope| {
        let bridge = &bridge;
        let core = scope.spawn(move || {
            while let Received::Request(envelope) = inbox.receive(Some(LONG)) {
                envelope.reply.send(envelope.op);
            }
        });
        let callers = [A, B].map(|tenant| {
            scope.spawn(move || {
                for op in 0..20_000 {
                    assert_eq!(send(bridge, of(tenant, op)).wait(), Ok(op));
                }
            })
        });
        for caller in callers {
            caller.join().expect("never refused");
        }
        bridge.close();
        core.join().expect("no panic");
    });
}
