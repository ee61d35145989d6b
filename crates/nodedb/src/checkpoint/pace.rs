//! How far a checkpoint that nobody waits for should be by now: a pure function of clock and log.
//!
//! The idea is that of `checkpoint_completion_target` of `PostgreSQL`: a round ends shortly before the next
//! one is due, whether by the clock or by the log, and its work is spread over all the time until then.

use super::{Gauge, Schedule};
use std::time::Duration;

/// The share of the time until the next round that one takes.
const COMPLETION: (u32, u32) = (9, 10);
/// Slower than this nothing is flushed: the last bytes would take for ever.
const RATE_MIN: u64 = 4 << 20;
/// Flushes go so many times as fast as they must, for the merges between them.
const AHEAD: u128 = 2;
/// And as what is written meanwhile: the flushes of full memtables pay from the same budget.
const ABOVE_WRITES: u128 = 4;

/// How long a round may take, as it was when it began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Pace {
    began: Duration,
    span: Duration,
    /// Bytes of log, and bytes in memory only, at the beginning.
    log_bytes: u64,
    dirty_bytes: u64,
    /// Bytes by which the log may grow meanwhile.
    growth: u64,
    /// Above so many bytes of log a round falls behind by the log alone, and hurries from `old` on.
    middle: u64,
    old: u64,
}

impl Pace {
    /// The pace of a round that begins now.
    pub(crate) fn new(schedule: &Schedule, gauge: Gauge, now: Duration) -> Self {
        let (share, of) = COMPLETION;
        let growth = schedule.next_trigger(&gauge) / u64::from(of) * u64::from(share);
        Self {
            began: now,
            span: schedule.interval / of * share,
            log_bytes: gauge.log_bytes,
            dirty_bytes: gauge.dirty_bytes,
            growth: growth.max(1),
            middle: schedule.log_bytes_max / 2,
            old: schedule.log_bytes_max / 10 * 9,
        }
    }

    /// The time that a round takes at most.
    pub(crate) const fn span(&self) -> Duration {
        self.span
    }

    /// How many of so many flushes should have begun: the first at once, the last with a share of the
    /// time left for itself.
    pub(crate) fn due(&self, gauge: &Gauge, now: Duration, of: usize) -> usize {
        let elapsed = now.saturating_sub(self.began).as_nanos();
        let (log, of) = (u128::from(gauge.log_bytes), of as u128);
        let (middle, old) = (u128::from(self.middle), u128::from(self.old));
        let by_clock = elapsed * of / self.span.as_nanos().max(1);
        let by_log = u128::from(self.grown(gauge)) * of / u128::from(self.growth);
        let by_age = log.saturating_sub(middle) * of / (old - middle).max(1);
        let begun = by_clock.max(by_log).max(by_age).saturating_add(1);
        usize::try_from(begun.min(of)).unwrap_or(usize::MAX)
    }

    /// When the clock alone makes the flush with this number due, of so many.
    pub(crate) fn due_at(&self, number: usize, of: usize) -> Duration {
        let nanos = self.span.as_nanos() * number as u128;
        // Rounded up: a look at this very time finds it due.
        let after = nanos.div_ceil((of as u128).max(1));
        self.began + Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX))
    }

    /// The time that one of so many flushes has for itself.
    pub(crate) fn slot(&self, of: usize) -> Duration {
        self.span / u32::try_from(of).unwrap_or(u32::MAX).max(1)
    }

    /// Bytes per second that maintenance may write so that `left` of `of` flushes end in time.
    pub(crate) fn rate(&self, gauge: &Gauge, now: Duration, (left, of): (usize, usize)) -> u64 {
        let elapsed = now.saturating_sub(self.began).as_millis().max(1);
        let grown = u128::from(self.grown(gauge));
        let by_clock = self.span.as_millis().saturating_sub(elapsed);
        let by_log = u128::from(self.growth).saturating_sub(grown) * elapsed / grown.max(1);
        let time_left = by_clock.min(by_log).max(1);
        let bytes = u128::from(self.dirty_bytes) * left as u128 / (of as u128).max(1);
        let in_time = bytes * 1000 * AHEAD / time_left;
        let with_writes = grown * 1000 * ABOVE_WRITES / elapsed;
        let rate = u64::try_from(in_time.max(with_writes)).unwrap_or(u64::MAX);
        rate.max(RATE_MIN)
    }

    /// Bytes that the log has grown by since the beginning. The redo position stays meanwhile.
    fn grown(&self, gauge: &Gauge) -> u64 {
        gauge.log_bytes.saturating_sub(self.log_bytes)
    }
}

#[cfg(test)]
mod tests;
