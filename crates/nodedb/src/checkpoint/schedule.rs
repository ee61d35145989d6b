//! When a checkpoint begins by itself: a pure function of what was observed.

use super::{LogAge, Trigger, Urgency};
use std::time::Duration;

/// The limits that automatic checkpoints keep.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Schedule {
    /// Longest time between the starts of two checkpoints while something changes.
    pub(crate) interval: Duration,
    /// Longest time that recovery should take.
    pub(crate) recovery_target: Duration,
    /// Bytes of log from the redo position on that should not be exceeded.
    pub(crate) log_bytes_max: u64,
    /// Bytes in memory only at which a checkpoint begins.
    pub(crate) dirty_bytes_max: u64,
}

/// How the log and the vshards are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Gauge {
    /// Bytes of log from the redo position on.
    pub(crate) log_bytes: u64,
    /// How long recovery would take.
    pub(crate) recovery: Duration,
    /// Bytes that are in memory only.
    pub(crate) dirty_bytes: u64,
    /// Whether the disk has no room for more log.
    pub(crate) is_space_low: bool,
}

/// Shortest time between the starts of two checkpoints that nobody asked for.
pub(crate) const GAP_MIN: Duration = Duration::from_secs(1);

impl Schedule {
    /// Why a checkpoint should begin now, if one should. `changed` counts user and catalog records only:
    /// without one, no number of bytes is a reason.
    pub(crate) fn due(
        &self,
        gauge: &Gauge,
        changed: bool,
        since_start: Duration,
    ) -> Option<(Trigger, Urgency)> {
        if !changed || since_start < GAP_MIN.min(self.interval) {
            return None;
        }
        let trigger = self.trigger(gauge, since_start)?;
        Some((trigger, self.urgency(gauge)))
    }

    /// Bytes of log at which a checkpoint begins. While it runs, the log grows on by nine tenths of as much:
    /// begun at this share, it ends at the limit.
    const fn log_bytes_trigger(&self) -> u64 {
        self.log_bytes_max / 19 * 10
    }

    /// Bytes of log until the next checkpoint begins, counted from the barrier of one that begins now.
    pub(crate) fn next_trigger(&self, gauge: &Gauge) -> u64 {
        // What is dirty now, and what recovery takes now, came with the log since the redo position.
        let share = |limit: u128, taken: u128| {
            let bytes = u128::from(gauge.log_bytes).saturating_mul(limit) / taken.max(1);
            if gauge.log_bytes == 0 || taken == 0 { u128::MAX } else { bytes }
        };
        let by_recovery = share(self.recovery_target.as_millis(), gauge.recovery.as_millis());
        let by_dirty = share(self.dirty_bytes_max.into(), gauge.dirty_bytes.into());
        let least = u128::from(self.log_bytes_trigger()).min(by_recovery).min(by_dirty);
        u64::try_from(least).unwrap_or(u64::MAX)
    }

    fn trigger(&self, gauge: &Gauge, since_start: Duration) -> Option<Trigger> {
        if gauge.is_space_low {
            return Some(Trigger::SpareShortage);
        }
        if gauge.log_bytes >= self.log_bytes_trigger() {
            return Some(Trigger::LogBytes);
        }
        if gauge.recovery >= self.recovery_target {
            return Some(Trigger::RecoveryTime);
        }
        if gauge.dirty_bytes >= self.dirty_bytes_max {
            return Some(Trigger::DirtyBytes);
        }
        (since_start >= self.interval).then_some(Trigger::Interval)
    }

    /// How much a checkpoint must hurry for the log's sake.
    pub(crate) fn urgency(&self, gauge: &Gauge) -> Urgency {
        let hurries = gauge.is_space_low || self.age(gauge) >= LogAge::Old;
        if hurries { Urgency::Immediate } else { Urgency::Lazy }
    }

    /// How full the log is.
    pub(crate) fn age(&self, gauge: &Gauge) -> LogAge {
        LogAge::of(gauge.log_bytes, self.log_bytes_max)
    }
}

#[cfg(test)]
mod tests;
