//! The bridge beside bare flume, in the same run: what types, deadlines, priorities and
//! cancellation cost on top of the queue below.
//!
//! - `round_trip`: one request at a time; both sides sleep and are woken every time.
//! - `throughput`: 1024 requests sent before the first answer is waited for, so both sides are busy.

#![expect(clippy::expect_used, reason = "a bench that loses a request has nothing to measure")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nodedb_bridge::{Bridge, BridgeOptions, Priority, Received, Request, Ticket};
use nodedb_env::{Env, Thread};
use nodedb_types::{CoreId, TenantId, VshardId};
use std::{hint::black_box, sync::Arc, time::Duration};

const PIPELINE: u64 = 1024;
const PATIENCE: Duration = Duration::from_mins(1);

/// One core behind a bridge that answers every number with itself.
struct BridgeEcho {
    bridge: Bridge<u64, u64>,
    env: Env,
    thread: Box<dyn Thread>,
}

impl BridgeEcho {
    fn start() -> Self {
        let env = Env::real();
        let options = BridgeOptions::default();
        let (bridge, mut inboxes) = Bridge::<u64, u64>::new(1, options, Arc::clone(&env.clock));
        let mut inbox = inboxes.remove(0);
        let body = move || {
            while let Received::Request(envelope) = inbox.receive(None) {
                envelope.reply.send(envelope.op);
            }
        };
        let thread = env.threads.spawn("bridge-echo", Box::new(body));
        let thread = thread.expect("a thread");
        Self { bridge, env, thread }
    }

    fn send(&self, op: u64) -> Ticket<u64> {
        let request = Request {
            tenant: TenantId::DEFAULT,
            vshard: VshardId::new(0),
            op,
            deadline: self.env.clock.now() + PATIENCE,
            priority: Priority::Foreground,
        };
        self.bridge.send(CoreId::new(0), request).expect("room")
    }

    fn stop(self) {
        self.bridge.close();
        self.thread.join().expect("no panic");
    }
}

/// The same by hand: one bounded queue, one bounded(1) queue per answer, nothing else.
struct FlumeEcho {
    sender: flume::Sender<(u64, flume::Sender<u64>)>,
    thread: Box<dyn Thread>,
}

impl FlumeEcho {
    fn start() -> Self {
        let (sender, receiver) = flume::bounded::<(u64, flume::Sender<u64>)>(4096);
        let body = move || {
            while let Ok((op, reply)) = receiver.recv() {
                reply.send(op).expect("the asker waits");
            }
        };
        let thread = Env::real().threads.spawn("flume-echo", Box::new(body));
        let thread = thread.expect("a thread");
        Self { sender, thread }
    }

    fn send(&self, op: u64) -> flume::Receiver<u64> {
        let (reply, answer) = flume::bounded(1);
        self.sender.try_send((op, reply)).expect("room");
        answer
    }

    fn stop(self) {
        drop(self.sender);
        self.thread.join().expect("no panic");
    }
}

fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bridge/round_trip");
    group.throughput(Throughput::Elements(1));
    let echo = BridgeEcho::start();
    group.bench_function("nodedb-bridge", |bencher| {
        bencher.iter(|| echo.send(black_box(7)).wait().expect("an answer"));
    });
    echo.stop();
    let echo = FlumeEcho::start();
    group.bench_function("bare flume", |bencher| {
        bencher.iter(|| echo.send(black_box(7)).recv().expect("an answer"));
    });
    echo.stop();
    group.finish();
}

fn throughput(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bridge/throughput");
    group.throughput(Throughput::Elements(PIPELINE));
    let echo = BridgeEcho::start();
    group.bench_function("nodedb-bridge", |bencher| {
        bencher.iter(|| {
            let tickets: Vec<_> = (0..PIPELINE).map(|op| echo.send(op)).collect();
            for ticket in tickets {
                black_box(ticket.wait().expect("an answer"));
            }
        });
    });
    echo.stop();
    let echo = FlumeEcho::start();
    group.bench_function("bare flume", |bencher| {
        bencher.iter(|| {
            let answers: Vec<_> = (0..PIPELINE).map(|op| echo.send(op)).collect();
            for answer in answers {
                black_box(answer.recv().expect("an answer"));
            }
        });
    });
    echo.stop();
    group.finish();
}

criterion_group!(benches, round_trip, throughput);
criterion_main!(benches);
