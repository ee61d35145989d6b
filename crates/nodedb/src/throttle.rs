//! What slows writers down while the log outgrows its limits, and refuses them before it outgrows the disk.
//!
//! Recovery's part of the log has a soft limit, `log_bytes_max`, and a hard one, twice as much. Between them
//! answers to writes are held back so long that the log grows at a rate that falls from
//! [`rate`] at the soft limit to nothing at the hard one: callers who wait for their answers write
//! no faster than that, and checkpoints catch up. All of the log on disk, whoever keeps it, has one
//! limit if the user says so.

use crate::Error;
use nodedb_env::Clock;
use nodedb_wal::Wal;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Bytes per second that the log may grow by just above the soft limit, at most.
const RATE_MAX: u64 = 64 << 20;
/// The time in which a log that grew so would take as much again as its soft limit.
const DOUBLING: u64 = 4;
/// Longest time that one answer is held back.
const DELAY_MAX: Duration = Duration::from_secs(1);

/// Shortest time between two looks of the checkpointer for the sake of those who wait.
const PRESS_PERIOD: Duration = Duration::from_millis(50);

/// The limits of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLimits {
    /// Of what recovery needs; writes are refused at twice as much.
    pub(crate) recovery: u64,
    /// Of all of it, if there is one.
    pub(crate) disk: Option<u64>,
}

/// Where the log begins, as byte positions of [`Wal::log_offset`], when it was last looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogBounds {
    /// Recovery's part.
    pub(crate) redo: u64,
    /// All of it.
    pub(crate) oldest: u64,
    /// What keeps the oldest part.
    pub(crate) holder: String,
}

/// Slows writers down, or refuses them.
#[derive(Debug)]
pub(crate) struct Throttle {
    wal: Wal,
    clock: Arc<dyn Clock>,
    limits: LogLimits,
    /// Below this byte position nobody waits: all that most writes look at.
    free_until: AtomicU64,
    state: Mutex<State>,
    /// Somebody had to wait: the checkpointer had better look now.
    pub(crate) pressed: Notify,
}

#[derive(Debug)]
struct State {
    bounds: LogBounds,
    /// Until when the bytes that were let through are paid for.
    paid_at: Duration,
    /// When the checkpointer may be made to look again.
    next_press: Duration,
}

impl Throttle {
    /// One that lets everything through until it is told where the log begins.
    pub(crate) fn new(wal: Wal, clock: Arc<dyn Clock>, limits: LogLimits) -> Self {
        let bounds = LogBounds { redo: u64::MAX, oldest: u64::MAX, holder: String::new() };
        let state =
            Mutex::new(State { bounds, paid_at: Duration::ZERO, next_press: Duration::ZERO });
        let free_until = AtomicU64::new(u64::MAX);
        Self { wal, clock, limits, free_until, state, pressed: Notify::new() }
    }

    pub(crate) const fn limits(&self) -> LogLimits {
        self.limits
    }

    /// Takes note of where the log begins now.
    pub(crate) fn note(&self, bounds: LogBounds) {
        let by_recovery = bounds.redo.saturating_add(self.limits.recovery);
        let by_disk = self.limits.disk.map(|disk| bounds.oldest.saturating_add(disk));
        let mut state = self.state.lock();
        state.bounds = bounds;
        let free_until = by_disk.map_or(by_recovery, |by_disk| by_disk.min(by_recovery));
        // Only a hint of when to look: whoever reads it late is let through, or looks for nothing.
        self.free_until.store(free_until, Ordering::Relaxed);
    }

    /// For how long the answer to a write of so many bytes is to be held back; mostly not at all.
    ///
    /// # Errors
    /// [`Error::CheckpointBehind`], [`Error::LogHeld`]: nothing may be written now.
    pub(crate) fn admit(&self, bytes: usize) -> Result<Option<Duration>, Error> {
        let end = self.wal.log_offset();
        if end <= self.free_until.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let now = self.clock.now();
        let mut state = self.state.lock();
        if now >= state.next_press {
            state.next_press = now + PRESS_PERIOD;
            self.pressed.notify_one();
        }
        self.refusal(end, &state.bounds)?;
        let over = end.saturating_sub(state.bounds.redo).saturating_sub(self.limits.recovery);
        if over == 0 {
            return Ok(None);
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let paid_at = state.paid_at.max(now) + price(bytes, over, self.limits.recovery);
        // A debt that nobody waits for is no debt: the hard limit holds all the same.
        state.paid_at = paid_at.min(now + DELAY_MAX);
        Ok(Some(state.paid_at.saturating_sub(now)))
    }

    /// Why writes are slowed down or refused now, if they are, and whether they are refused.
    pub(crate) fn state(&self) -> Option<(String, bool)> {
        let end = self.wal.log_offset();
        let state = self.state.lock();
        if let Err(error) = self.refusal(end, &state.bounds) {
            return Some((error.to_string(), true));
        }
        let bytes = end.saturating_sub(state.bounds.redo);
        let limit = self.limits.recovery;
        let slowed = || {
            format!(
                "recovery needs {bytes} bytes of log, more than {limit}: writes are slowed down"
            )
        };
        (bytes > limit).then(|| (slowed(), false))
    }

    fn refusal(&self, end: u64, bounds: &LogBounds) -> Result<(), Error> {
        let (bytes, limit) =
            (end.saturating_sub(bounds.redo), self.limits.recovery.saturating_mul(2));
        if bytes >= limit {
            return Err(Error::CheckpointBehind { bytes, limit });
        }
        let bytes = end.saturating_sub(bounds.oldest);
        match self.limits.disk {
            Some(limit) if bytes >= limit => {
                let holder = bounds.holder.clone();
                Err(Error::LogHeld { bytes, limit, holder })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Bytes per second that the log may grow by when it is `over` its limit by so much: the less the nearer it
/// is to twice the limit.
fn rate(over: u64, limit: u64) -> u64 {
    let most = RATE_MAX.min(limit / DOUBLING).max(1);
    let left = u128::from(limit.saturating_sub(over));
    let rate = u128::from(most) * left / u128::from(limit.max(1));
    u64::try_from(rate).unwrap_or(most).max(1)
}

/// The time that so many bytes take at that rate.
fn price(bytes: u64, over: u64, limit: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate(over, limit));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Smooth: no step at the soft limit that is felt, and nothing gets through at the hard one.
    #[test]
    fn the_rate_falls_from_its_most_to_nothing() {
        let limit = 1 << 30;
        assert_eq!(rate(0, limit), RATE_MAX);
        assert_eq!(rate(limit / 2, limit), RATE_MAX / 2);
        assert_eq!((rate(limit, limit), rate(u64::MAX, limit)), (1, 1));
        let rates: Vec<_> = (0..=100).map(|percent| rate(limit / 100 * percent, limit)).collect();
        assert!(rates.is_sorted_by(|before, after| before > after), "{rates:?}");
        assert_eq!(rate(0, 64 << 10), 16 << 10, "a small limit is not passed between two looks");
        assert_eq!(price(1 << 20, 0, limit), Duration::from_micros(15_625));
        assert_eq!(price(u64::MAX, limit, limit), Duration::from_nanos(u64::MAX));
    }
}
