//! How long a producer is held up by an append while somebody else commits all the time.

use super::{
    calls::{self, record},
    store::PAYLOAD_BYTES,
};
use crate::{Contender, LIMIT, Sample, payload, percentile, real};
use anyhow::{Context, Result, anyhow};
use nodedb_env::{Clock, Env};
use nodedb_types::Lsn;
use nodedb_wal::{LogOptions, Wal};
use parking_lot::Mutex;
use std::{
    hint,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Time between two appends of the paced producer.
const PACE: Duration = Duration::from_micros(20);

/// Calls `work` about every 20 us for a while and answers how long each call took, in nanoseconds,
/// ascending. The producer does not sleep between calls: its core stays its own.
fn paced(
    clock: &dyn Clock,
    time: Duration,
    mut work: impl FnMut() -> Result<()>,
) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    let begin = clock.now();
    let mut next = begin;
    while next < begin + time {
        while clock.now() < next {
            hint::spin_loop();
        }
        let before = clock.now();
        work()?;
        let after = clock.now();
        took.push(u64::try_from(after.saturating_sub(before).as_nanos())?);
        // Who was late does not catch up: bursts are another workload.
        next = after.max(next + PACE);
    }
    took.sort_unstable();
    Ok(took)
}

fn sample(took: &[u64]) -> Result<Sample> {
    let at = |per_mille| percentile(took, per_mille).map(real).context("a call at least");
    let notes = vec![("p50", at(500)?), ("p99.9", at(999)?)];
    Ok(Sample { value: at(990)?, notes })
}

/// The log, with one thread that appends and one that commits.
pub(super) struct PacedLog {
    env: Env,
    wal: Wal,
    payload: Vec<u8>,
}

impl PacedLog {
    pub(super) fn prepare(dir: &Path) -> Result<Self> {
        let env = Env::real();
        let wal = Wal::create(&env, dir, LogOptions::default())?;
        let payload = payload(1, PAYLOAD_BYTES);
        let mut log = Self { env, wal, payload };
        log.turn(Duration::from_millis(100))?;
        Ok(log)
    }
}

impl Contender for PacedLog {
    fn who(&self) -> &'static str {
        "nodedb"
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let stop = Arc::new(AtomicBool::new(false));
        let outcome = Arc::new(Mutex::new(Ok(())));
        let (wal, env) = (self.wal.clone(), self.env.clone());
        let (stopped, told) = (Arc::clone(&stop), Arc::clone(&outcome));
        let body = move || {
            let committed = commit_always(&wal, &env, &stopped);
            *told.lock() = committed;
        };
        let committer = self.env.threads.spawn("bench-committer", Box::new(body))?;
        let clock = Arc::clone(&self.env.clock);
        let took = paced(clock.as_ref(), time, || {
            calls::stage(&self.wal, &self.env, &self.payload).map(drop)
        });
        // Relaxed: nothing else is told by it.
        stop.store(true, Ordering::Relaxed);
        committer.join().map_err(|_panic| anyhow!("the committer panicked"))?;
        std::mem::replace(&mut *outcome.lock(), Ok(()))?;
        sample(&took?)
    }
}

fn commit_always(wal: &Wal, env: &Env, stop: &AtomicBool) -> Result<()> {
    let mut durable: Option<Lsn> = None;
    while !stop.load(Ordering::Relaxed) {
        if let Some(appended) = wal.appended().filter(|appended| Some(*appended) > durable) {
            durable = Some(calls::commit(wal, env, appended)?);
        }
    }
    Ok(())
}

/// A checksum and a copy of the same bytes under a lock that nobody else takes.
pub(super) struct BareCopy {
    clock: Arc<dyn Clock>,
    payload: Vec<u8>,
    staged: Mutex<Vec<u8>>,
}

/// As much as the log stages before it writes at this pace, and more.
const STAGED_BYTES: usize = 64 << 10;

impl BareCopy {
    pub(super) fn prepare() -> Self {
        let clock = Env::real().clock;
        let payload = payload(1, PAYLOAD_BYTES);
        Self { clock, payload, staged: Mutex::new(Vec::with_capacity(STAGED_BYTES)) }
    }
}

impl Contender for BareCopy {
    fn who(&self) -> &'static str {
        LIMIT
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let padding = record(&self.payload).encoded_len() - PAYLOAD_BYTES - size_of::<u32>();
        let took = paced(self.clock.as_ref(), time, || {
            let crc = crc32c::crc32c(&self.payload);
            let mut staged = self.staged.lock();
            if staged.len() + PAYLOAD_BYTES * 2 > STAGED_BYTES {
                staged.clear();
            }
            staged.extend_from_slice(&crc.to_le_bytes());
            staged.extend_from_slice(&[0; 64][..padding]);
            staged.extend_from_slice(&self.payload);
            Ok(())
        });
        sample(&took?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paced_producer_keeps_its_pace_and_sorts_what_it_saw() {
        let clock = nodedb_env::RealClock::new();
        let mut calls = 0;
        let took = paced(&clock, Duration::from_millis(10), || {
            calls += 1;
            Ok(())
        });
        let took = took.expect("measured");
        assert_eq!(took.len(), calls);
        assert!(took.is_sorted() && (1..=501).contains(&calls), "{calls} calls");
    }

    #[test]
    fn both_sides_answer_percentiles() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut log = PacedLog::prepare(dir.path()).expect("a log");
        for sample in [log.turn(PACE * 500), BareCopy::prepare().turn(PACE * 500)] {
            let sample = sample.expect("measured");
            let [p50, p999] = [sample.notes[0].1, sample.notes[1].1];
            assert!(0.0 < p50 && p50 <= sample.value && sample.value <= p999, "{sample:?}");
        }
    }
}
