//! The bridge beside bare flume: what types, deadlines, priorities, cancellation, limits of tenants and the
//! health of cores cost on top of the queue below.

use crate::{Case, Contender, LIMIT, Sample, real};
use anyhow::{Context, Result, anyhow};
use nodedb_bridge::{Bridge, BridgeOptions, Priority, Received, Request, Ticket};
use nodedb_env::{Clock, Env, Thread};
use nodedb_types::{CoreId, TenantId, VshardId};
use std::{hint::black_box, ops::Range, sync::Arc, time::Duration};

/// Requests that are sent before the first answer is waited for.
const PIPELINE: u64 = 1024;
const PATIENCE: Duration = Duration::from_mins(1);

/// The cases of this group.
///
/// - `round-trip`: one request at a time; both sides sleep and are woken every time.
/// - `throughput`: 1024 requests are sent before the first answer is waited for, so both sides are busy.
pub fn cases<'a>() -> Vec<Case<'a>> {
    let case = |id, depth| {
        Case::new(id, move |site| {
            let limit = Echoes { who: LIMIT, echo: FlumeEcho::start()?, depth };
            let subject = Echoes { who: "nodedb", echo: BridgeEcho::start()?, depth };
            Ok(vec![site.race("requests/s", vec![Box::new(limit), Box::new(subject)])?])
        })
    };
    vec![case("round-trip", 1), case("throughput", PIPELINE)]
}

/// A thread that answers every number with itself.
trait Echo {
    type Answer;

    /// Asks these numbers at once.
    fn send(&self, ops: Range<u64>) -> Result<Vec<Self::Answer>>;

    fn wait(answer: Self::Answer) -> Result<u64>;

    fn stop(self) -> Result<()>;
}

/// Asks an echo so many questions at a time.
struct Echoes<E> {
    who: &'static str,
    echo: E,
    depth: u64,
}

impl<E: Echo> Contender for Echoes<E> {
    fn who(&self) -> &'static str {
        self.who
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let clock = Env::real().clock;
        let begin = clock.now();
        let (mut requests, mut end) = (0, begin);
        while end < begin + time {
            for answer in self.echo.send(0..self.depth)? {
                black_box(E::wait(answer)?);
            }
            requests += self.depth;
            end = clock.now();
        }
        let elapsed = end.saturating_sub(begin).as_secs_f64();
        Ok(Sample { value: real(requests) / elapsed, notes: vec![] })
    }

    /// The echo has not died.
    fn verify(self: Box<Self>) -> Result<()> {
        self.echo.stop()
    }
}

/// One core behind a bridge.
struct BridgeEcho {
    bridge: Bridge<u64, u64>,
    clock: Arc<dyn Clock>,
    thread: Box<dyn Thread>,
}

impl BridgeEcho {
    fn start() -> Result<Self> {
        let Env { clock, threads, .. } = Env::real();
        let options = BridgeOptions::default();
        let (bridge, mut inboxes) = Bridge::<u64, u64>::new(1, options, Arc::clone(&clock));
        let mut inbox = inboxes.pop().context("a core")?;
        let body = move || {
            while let Received::Request(envelope) = inbox.receive(None) {
                envelope.reply.send(envelope.op);
            }
        };
        let thread = threads.spawn("bridge-echo", Box::new(body))?;
        Ok(Self { bridge, clock, thread })
    }
}

impl Echo for BridgeEcho {
    type Answer = Ticket<u64>;

    /// With one deadline, since they are one piece of work.
    fn send(&self, ops: Range<u64>) -> Result<Vec<Ticket<u64>>> {
        let deadline = self.clock.now() + PATIENCE;
        let ask = |op| Request {
            tenant: TenantId::DEFAULT,
            vshard: VshardId::new(0),
            op,
            deadline,
            priority: Priority::Foreground,
            bytes: 0,
        };
        let send = |op| self.bridge.send(CoreId::new(0), ask(op));
        ops.map(|op| send(op).map_err(|error| anyhow!("{error}"))).collect()
    }

    fn wait(answer: Ticket<u64>) -> Result<u64> {
        Ok(answer.wait()?)
    }

    fn stop(self) -> Result<()> {
        self.bridge.close();
        self.thread.join().map_err(|_panic| anyhow!("the core panicked"))
    }
}

/// The same by hand: one bounded queue, one bounded(1) queue per answer, nothing else.
struct FlumeEcho {
    sender: flume::Sender<(u64, flume::Sender<u64>)>,
    thread: Box<dyn Thread>,
}

impl FlumeEcho {
    fn start() -> Result<Self> {
        let capacity = BridgeOptions::default().capacity;
        let (sender, receiver) = flume::bounded::<(u64, flume::Sender<u64>)>(capacity);
        let body = move || {
            while let Ok((op, reply)) = receiver.recv() {
                // An asker that went away takes the queue of its answer with it; none does here.
                if reply.send(op).is_err() {
                    break;
                }
            }
        };
        let thread = Env::real().threads.spawn("flume-echo", Box::new(body))?;
        Ok(Self { sender, thread })
    }
}

impl Echo for FlumeEcho {
    type Answer = flume::Receiver<u64>;

    fn send(&self, ops: Range<u64>) -> Result<Vec<flume::Receiver<u64>>> {
        let send = |op| {
            let (reply, answer) = flume::bounded(1);
            self.sender.try_send((op, reply)).map_err(|error| anyhow!("{error}"))?;
            Ok(answer)
        };
        ops.map(send).collect()
    }

    fn wait(answer: flume::Receiver<u64>) -> Result<u64> {
        Ok(answer.recv()?)
    }

    fn stop(self) -> Result<()> {
        drop(self.sender);
        self.thread.join().map_err(|_panic| anyhow!("the echo panicked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<E: Echo>(echo: E) {
        let answers = echo.send(7..9).expect("room").into_iter();
        assert!(answers.map(|answer| E::wait(answer).expect("an answer")).eq(7..9));
        let mut echoes = Echoes { who: LIMIT, echo, depth: 3 };
        assert!(echoes.turn(Duration::from_millis(1)).expect("a turn").value > 0.0);
        Box::new(echoes).verify().expect("it ends in order");
    }

    #[test]
    fn both_echoes_answer_with_what_they_were_asked() {
        check(BridgeEcho::start().expect("started"));
        check(FlumeEcho::start().expect("started"));
    }
}
