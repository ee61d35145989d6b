//! Async callers, each of which awaits one answer after the other.

use crate::{Contender, Sample, percentile, real};
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
use tokio::runtime::{Builder, Runtime};

/// Time to get going before the first turn.
const WARM_UP: Duration = Duration::from_millis(100);

/// What callers call.
pub(super) trait Called: Send + Sync + 'static {
    /// `limit`, `nodedb`, or the name of a peer.
    const WHO: &'static str;

    /// One call. Numbers are 0, 1, 2 ..., each handed out once.
    fn call(&self, number: u64) -> impl Future<Output = Result<()>> + Send;

    /// Returns when nothing of what was done so far is still going on in the background.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Ends it, and proves that so many calls did what they claim.
    fn verify(self, calls: u64) -> Result<()>;
}

/// So many callers on a runtime with a thread for each processor, as applications have it.
pub(super) struct Callers<C> {
    called: Arc<C>,
    count: usize,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
    numbers: Arc<AtomicU64>,
}

impl<C: Called> Callers<C> {
    /// Warms up.
    pub(super) fn prepare(called: C, count: usize) -> Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread().worker_threads(threads).enable_time().build()?;
        let (clock, numbers) = (Env::real().clock, Arc::new(AtomicU64::new(0)));
        let mut callers = Self { called: Arc::new(called), count, runtime, clock, numbers };
        callers.turn(WARM_UP)?;
        Ok(callers)
    }
}

impl<C: Called> Contender for Callers<C> {
    fn who(&self) -> &'static str {
        C::WHO
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        self.called.settle()?;
        let begin = self.clock.now();
        let caller = || {
            let (called, clock) = (Arc::clone(&self.called), Arc::clone(&self.clock));
            let numbers = Arc::clone(&self.numbers);
            async move { call_until(&*called, &*clock, &numbers, begin + time).await }
        };
        let tasks: Vec<_> = (0..self.count).map(|_| self.runtime.spawn(caller())).collect();
        let mut took = Vec::new();
        for task in tasks {
            took.extend(self.runtime.block_on(task).context("a caller panicked")??);
        }
        let elapsed = self.clock.now().saturating_sub(begin);
        took.sort_unstable();
        let at = |per_mille| percentile(&took, per_mille).map(|nanos| real(nanos) / 1e3);
        let notes = [("p50 us", at(500)), ("p99 us", at(990))];
        Ok(Sample {
            value: real(took.len() as u64) / elapsed.as_secs_f64(),
            notes: notes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        })
    }

    fn verify(self: Box<Self>) -> Result<()> {
        let Self { called, runtime, numbers, .. } = *self;
        drop(runtime);
        let called = Arc::into_inner(called).context("no caller is left")?;
        called.verify(numbers.load(Ordering::SeqCst))
    }
}

/// How long each call took, in nanoseconds.
async fn call_until<C: Called>(
    called: &C,
    clock: &dyn Clock,
    numbers: &AtomicU64,
    end: Duration,
) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    let mut before = clock.now();
    // At least one: a turn that a busy machine never lets begin would have measured nothing.
    loop {
        // Relaxed: only that each is handed out once counts.
        called.call(numbers.fetch_add(1, Ordering::Relaxed)).await?;
        let after = clock.now();
        took.push(u64::try_from(after.saturating_sub(before).as_nanos())?);
        if after >= end {
            return Ok(took);
        }
        before = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::collections::BTreeSet;

    #[derive(Default)]
    struct Seen(Mutex<BTreeSet<u64>>);

    impl Called for Seen {
        const WHO: &'static str = "seen";

        async fn call(&self, number: u64) -> Result<()> {
            tokio::task::yield_now().await;
            assert!(self.0.lock().insert(number), "each number is called once");
            Ok(())
        }

        fn verify(self, calls: u64) -> Result<()> {
            assert_eq!(self.0.lock().len() as u64, calls);
            Ok(())
        }
    }

    #[test]
    fn every_call_of_every_caller_is_counted() {
        let mut callers = Callers::prepare(Seen::default(), 5).expect("warm");
        let sample = callers.turn(Duration::from_millis(5)).expect("a turn");
        assert!(sample.value > 0.0);
        assert_eq!(
            sample.notes.iter().map(|note| note.0).collect::<Vec<_>>(),
            ["p50 us", "p99 us"]
        );
        Box::new(callers).verify().expect("all were seen");
    }
}
