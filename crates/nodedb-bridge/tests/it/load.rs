//! Many senders, several cores, forwards and wakes at once: nothing is lost, doubled or left asleep.

use crate::ping::{CORE, LONG, PingBridge, PingInbox, ask_until, options};
use nodedb_bridge::{Bridge, Priority, Received, Request, SendError};
use nodedb_env::{Clock, RealClock};
use nodedb_types::CoreId;
use std::{
    hint,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

const CORES: u16 = 3;
const SENDERS: u64 = 4;
const REQUESTS: u64 = 5_000;

/// Answers an op with its double. Odd ops go through the next core first, as the next even number.
fn serve(mut inbox: PingInbox, bridge: &PingBridge) -> (u64, u64) {
    let next = CoreId::new((inbox.core().get() + 1) % CORES);
    let (mut answered, mut wakes) = (0, 0);
    loop {
        match inbox.receive(Some(LONG)) {
            Received::Request(mut envelope) if envelope.op % 2 == 1 => {
                envelope.op += 1;
                bridge.wake(next);
                if let Err(error) = bridge.forward(next, envelope) {
                    let envelope = error.into_envelope();
                    envelope.reply.send(envelope.op * 2);
                    answered += 1;
                }
            }
            Received::Request(envelope) => {
                envelope.reply.send(envelope.op * 2);
                answered += 1;
            }
            Received::Wake => wakes += 1,
            Received::TimedOut => panic!("nothing came for a minute"),
            Received::Closed => return (answered, wakes),
        }
    }
}

/// Sends one at a time, so that both sides sleep and wake all the time.
fn ask_all(bridge: &PingBridge, clock: RealClock, sender: u64) {
    for op in 0..REQUESTS {
        let core = CoreId::new(u16::try_from((op + sender) % u64::from(CORES)).expect("small"));
        let priority = if op % 5 == 0 { Priority::Background } else { Priority::Foreground };
        let mut request = Request { priority, ..ask_until(op, clock.now() + LONG) };
        let ticket = loop {
            match bridge.send(core, request) {
                Ok(ticket) => break ticket,
                Err(error @ SendError::Busy { .. }) => {
                    request =
                        Request { priority, ..ask_until(error.into_op(), clock.now() + LONG) };
                    thread::yield_now();
                }
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(ticket.wait(), Ok((op + op % 2) * 2));
    }
}

#[test]
fn nothing_is_lost_or_doubled() {
    let clock = RealClock::new();
    // Smaller than the number of senders, so that a full inbox is part of it.
    let (bridge, inboxes) = Bridge::new(CORES, options(2, 4), Arc::new(clock));
    thread::scope(|scope| {
        let bridge = &bridge;
        let cores: Vec<_> =
            inboxes.into_iter().map(|inbox| scope.spawn(move || serve(inbox, bridge))).collect();
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| scope.spawn(move || ask_all(bridge, clock, sender)))
            .collect();
        for sender in senders {
            sender.join().expect("every request was answered");
        }
        bridge.close();
        let counts: Vec<_> = cores.into_iter().map(|core| core.join().expect("no panic")).collect();
        let answered: u64 = counts.iter().map(|(answered, _)| answered).sum();
        assert_eq!(answered, SENDERS * REQUESTS);
        assert!(counts.iter().all(|&(_, wakes)| wakes > 0));
    });
}

/// The sender aims at the moments around the receiver's falling asleep, a few instructions apart.
#[test]
fn no_request_and_no_wake_is_slept_through() {
    let clock = RealClock::new();
    let (bridge, mut inboxes) = Bridge::<u64, u64>::new(1, options(4, 4), Arc::new(clock));
    let inbox = &mut inboxes[0];
    let seen = AtomicU64::new(0);
    let mut kept = None;
    thread::scope(|scope| {
        scope.spawn(|| {
            while matches!(inbox.receive(Some(LONG)), Received::Request(_) | Received::Wake) {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        for turn in 0..60_000 {
            let mut spins = 0_u64;
            while seen.load(Ordering::SeqCst) < turn {
                spins += 1;
                // Seldom, as reading the clock would blur the aim.
                if spins.is_multiple_of(1 << 20) {
                    assert!(clock.now() < LONG, "the receiver slept through something");
                }
                hint::spin_loop();
            }
            for _ in 0..turn % 97 {
                hint::spin_loop();
            }
            if turn % 2 == 0 {
                bridge.wake(CORE);
            } else {
                // Its reply is dropped at once; only its arrival counts.
                kept = bridge.send(CORE, ask_until(turn, LONG)).ok();
                assert!(kept.is_some(), "there is room");
            }
        }
        bridge.close();
    });
    assert!(clock.now() < LONG, "the receiver slept through the end");
}
