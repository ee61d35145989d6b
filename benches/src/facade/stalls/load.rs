//! Puts and gets at once, as many applications mix them, and how long each took.

use super::{
    latencies::{Kind, Latencies},
    upkeep::Upkeep,
};
use anyhow::{Context, Result};
use nodedb_env::{Clock, Env};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// What is called.
pub(super) trait Mixed: Send + Sync + 'static {
    /// What it can do.
    const KINDS: &'static [Kind];

    /// One call. Numbers of a kind are 0, 1, 2 ..., each handed out once.
    fn call(&self, kind: Kind, number: u64) -> impl Future<Output = Result<()>> + Send;

    /// Returns when nothing of what was done so far still goes on.
    fn settle(&self) -> Result<()>;

    /// Has the calls of a turn done, and whatever else goes on while they are.
    fn beside<T>(&self, calls: impl FnOnce() -> Result<T>) -> Result<T> {
        calls()
    }

    /// What was done in the background so far, if that can be seen.
    fn upkeep(&self) -> Result<Option<Upkeep>>;

    /// Ends it, and proves that so many puts did what they claim.
    fn verify(self, puts: u64) -> Result<()>;
}

/// Who begins a call when.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// Open loop: one call of each kind begins in every interval, the kinds half an interval apart, whatever
    /// has become of the calls before. A call counts from the moment at which it was to begin, so that a
    /// stall shows in every call that came into it and not in the first alone.
    Paced(Duration),
    /// Closed loop: so many callers of each kind, each of which begins when it was answered. What a stall
    /// keeps from being asked is not seen.
    Callers(usize),
}

/// Numbers that were handed out.
#[derive(Clone, Default, Debug)]
struct Numbers([Arc<AtomicU64>; 2]);

impl Numbers {
    fn take(&self, kind: Kind) -> u64 {
        // Relaxed: only that each is handed out once counts.
        self.counter(kind).fetch_add(1, Ordering::Relaxed)
    }

    fn taken(&self, kind: Kind) -> u64 {
        self.counter(kind).load(Ordering::SeqCst)
    }

    fn counter(&self, kind: Kind) -> &AtomicU64 {
        let [puts, gets] = &self.0;
        match kind {
            Kind::Put => puts,
            Kind::Get => gets,
        }
    }
}

/// An application: a runtime with a thread for each processor, and its tasks.
pub(super) struct Application<M> {
    pub(super) called: Arc<M>,
    numbers: Numbers,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
}

/// What a call was and how many nanoseconds it took.
type Call = (Kind, u64);

impl<M: Mixed> Application<M> {
    pub(super) fn start(called: M) -> Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread().worker_threads(threads).enable_time().build()?;
        let (clock, numbers) = (Env::real().clock, Numbers::default());
        Ok(Self { called: Arc::new(called), numbers, runtime, clock })
    }

    /// Lets the tasks end, and has the called one prove what it did.
    pub(super) fn verify(self) -> Result<()> {
        let Self { called, numbers, runtime, .. } = self;
        drop(runtime);
        let called = Arc::into_inner(called).context("no call is left")?;
        called.verify(numbers.taken(Kind::Put))
    }

    /// Calls for a while, waits for the last answer, and tells how long each call took.
    pub(super) fn run(&self, load: Load, time: Duration) -> Result<Latencies> {
        match load {
            Load::Paced(interval) => self.run_paced(interval, time),
            Load::Callers(callers) => self.run_callers(callers, time),
        }
    }

    fn run_paced(&self, interval: Duration, time: Duration) -> Result<Latencies> {
        let begin = self.clock.now();
        let mut under_way: Vec<JoinHandle<Result<Call>>> = Vec::new();
        let mut next = begin;
        while next < begin + time {
            for (kind, offset) in Kind::ALL.into_iter().zip([Duration::ZERO, interval / 2]) {
                if M::KINDS.contains(&kind) {
                    let due = next + offset;
                    self.wait_until(due);
                    under_way.push(self.begin(kind, due));
                }
            }
            next += interval;
        }
        let mut latencies = Latencies::default();
        for call in under_way {
            let (kind, nanos) = self.runtime.block_on(call).context("a call panicked")??;
            latencies.push(kind, nanos);
        }
        Ok(latencies)
    }

    fn wait_until(&self, due: Duration) {
        loop {
            let now = self.clock.now();
            if now >= due {
                return;
            }
            thread::park_timeout(due.saturating_sub(now));
        }
    }

    fn begin(&self, kind: Kind, due: Duration) -> JoinHandle<Result<Call>> {
        let (called, clock) = (Arc::clone(&self.called), Arc::clone(&self.clock));
        let number = self.numbers.take(kind);
        self.runtime.spawn(async move {
            called.call(kind, number).await?;
            Ok((kind, nanos(clock.now().saturating_sub(due))?))
        })
    }

    fn run_callers(&self, callers: usize, time: Duration) -> Result<Latencies> {
        let end = self.clock.now() + time;
        let caller = |kind| {
            let (called, clock) = (Arc::clone(&self.called), Arc::clone(&self.clock));
            let numbers = self.numbers.clone();
            async move {
                let mut took = Vec::new();
                let mut before = clock.now();
                // At least one, also where a busy machine never lets the turn begin.
                loop {
                    called.call(kind, numbers.take(kind)).await?;
                    let after = clock.now();
                    took.push((kind, nanos(after.saturating_sub(before))?));
                    if after >= end {
                        return anyhow::Ok(took);
                    }
                    before = after;
                }
            }
        };
        let kinds = M::KINDS.iter().flat_map(|kind| std::iter::repeat_n(*kind, callers));
        let tasks: Vec<_> = kinds.map(|kind| self.runtime.spawn(caller(kind))).collect();
        let mut latencies = Latencies::default();
        for task in tasks {
            for (kind, nanos) in self.runtime.block_on(task).context("a caller panicked")?? {
                latencies.push(kind, nanos);
            }
        }
        Ok(latencies)
    }
}

fn nanos(time: Duration) -> Result<u64> {
    Ok(u64::try_from(time.as_nanos())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    /// Holds up whoever comes during its first moments, as a stall does.
    struct Stalled {
        until: Duration,
        clock: Arc<dyn Clock>,
        seen: Mutex<Vec<(Kind, u64)>>,
    }

    impl Mixed for Stalled {
        const KINDS: &'static [Kind] = &Kind::ALL;

        async fn call(&self, kind: Kind, number: u64) -> Result<()> {
            while self.clock.now() < self.until {
                tokio::task::yield_now().await;
            }
            self.seen.lock().push((kind, number));
            Ok(())
        }

        fn settle(&self) -> Result<()> {
            Ok(())
        }

        fn upkeep(&self) -> Result<Option<Upkeep>> {
            Ok(None)
        }

        fn verify(self, puts: u64) -> Result<()> {
            let seen = self.seen.lock();
            assert_eq!(seen.iter().filter(|call| call.0 == Kind::Put).count() as u64, puts);
            Ok(())
        }
    }

    fn stalled(stall: Duration) -> Application<Stalled> {
        let clock = Env::real().clock;
        let until = clock.now() + stall;
        Application::start(Stalled { until, clock, seen: Mutex::default() }).expect("a runtime")
    }

    fn check(application: Application<Stalled>, latencies: &Latencies) {
        let mut seen = application.called.seen.lock().clone();
        seen.sort_unstable_by_key(|(kind, number)| (kind.name(), *number));
        let of = |kind, count: &Vec<u64>| (0..count.len() as u64).map(move |number| (kind, number));
        let gets = of(Kind::Get, &latencies.gets);
        assert!(gets.chain(of(Kind::Put, &latencies.puts)).eq(seen), "each number once");
        application.verify().expect("all puts were seen");
    }

    #[test]
    fn a_stall_shows_in_every_call_that_was_to_begin_in_it() {
        let stall = Duration::from_millis(50);
        let application = stalled(stall);
        let interval = Duration::from_millis(1);
        let latencies = application.run(Load::Paced(interval), 2 * stall).expect("calls");
        check(application, &latencies);
        assert_eq!((latencies.puts.len(), latencies.gets.len()), (100, 100));
        let long = latencies.puts.iter().filter(|nanos| **nanos > 10_000_000).count();
        assert!(long >= 30, "{long} calls waited for more than 10 ms of a stall of {stall:?}");
    }

    #[test]
    fn callers_wait_for_their_answers() {
        let application = stalled(Duration::from_millis(5));
        let time = Duration::from_millis(20);
        let latencies = application.run(Load::Callers(2), time).expect("calls");
        check(application, &latencies);
        assert!(latencies.puts.len() >= 2 && latencies.gets.len() >= 2);
    }
}
