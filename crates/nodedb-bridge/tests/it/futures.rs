//! Tickets as futures, on an executor of a few lines.

use crate::ping::{ask, next, one_core, send, serve_all};
use nodedb_bridge::{BridgeOptions, TicketError};
use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_awaited_ticket_gets_the_answer() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    thread::scope(|scope| {
        for op in 0..1000 {
            let ticket = send(&bridge, ask(op));
            let task = scope.spawn(move || block_on(async { ticket.await.map(|n| n * 2) }));
            assert_eq!(serve_all(&mut inbox), [op]);
            assert_eq!(task.join().expect("no panic"), Ok(op * 2));
        }
    });
}

#[test]
fn an_awaited_ticket_sees_a_dropped_reply() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let ticket = send(&bridge, ask(1));
    thread::scope(|scope| {
        let task = scope.spawn(move || block_on(ticket));
        drop(next(&mut inbox));
        assert_eq!(task.join().expect("no panic"), Err(TicketError::Cancelled));
    });
}

#[test]
fn only_the_last_waker_is_woken_and_once() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let mut ticket = send(&bridge, ask(1));
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    for count in [&first, &second] {
        let waker = Waker::from(Arc::clone(count));
        let mut context = Context::from_waker(&waker);
        assert_eq!(Pin::new(&mut ticket).poll(&mut context), Poll::Pending);
    }
    next(&mut inbox).reply.send(5);
    assert_eq!((first.get(), second.get()), (0, 1));
    assert_eq!(block_on(ticket), Ok(5));
}

#[test]
fn dropping_the_future_cancels() {
    let (bridge, mut inbox) = one_core(BridgeOptions::default());
    let mut ticket = send(&bridge, ask(1));
    let envelope = next(&mut inbox);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(Pin::new(&mut ticket).poll(&mut context), Poll::Pending);
    assert!(!envelope.reply.is_cancelled());
    drop(ticket);
    assert!(envelope.reply.is_cancelled());
}
