//! How long recovery would take.

use nodedb_types::Lsn;
use std::{collections::VecDeque, time::Duration};

/// Marks that are kept; barriers below the redo position need one only.
const MARKS_MAX: usize = 16;
/// The rate that is counted with before one was measured: below what replay was measured at.
const RATE_DEFAULT: u64 = 50 << 20;
/// A shorter replay measures how long files take to open.
const BYTES_MIN: u64 = 16 << 20;

/// Where some records end in the log, by bytes, and how fast a replay goes.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    /// A record and the byte position of its end or a little before, ascending.
    marks: VecDeque<(Lsn, u64)>,
    bytes_per_second: u64,
}

impl Replay {
    /// From the replay of the open: what was read and how long that took.
    pub(crate) fn measured(bytes: u64, took: Duration) -> Self {
        let us = took.as_micros().max(1);
        let rate = u64::try_from(u128::from(bytes) * 1_000_000 / us).unwrap_or(u64::MAX);
        let bytes_per_second = if bytes < BYTES_MIN { RATE_DEFAULT } else { rate.max(1) };
        Self { marks: VecDeque::new(), bytes_per_second }
    }

    pub(crate) const fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second
    }

    /// Notes where a barrier lies.
    pub(crate) fn note(&mut self, barrier: Lsn, offset: u64) {
        if self.marks.back().is_some_and(|(last, _)| *last >= barrier) {
            return;
        }
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back((barrier, offset));
    }

    /// Bytes of log from `redo` to the end: by the highest mark below it, if there is one, and never more
    /// than `segments`, the bytes of the segments that hold them.
    pub(crate) fn bytes(&self, redo: Lsn, end: u64, segments: u64) -> u64 {
        let below = self.marks.iter().rev().find(|(lsn, _)| *lsn < redo);
        below.map_or(segments, |(_, offset)| end.saturating_sub(*offset).min(segments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_measured_by_large_replays_only() {
        let second = Duration::from_secs(1);
        assert_eq!(Replay::measured(64 << 20, second * 2).bytes_per_second(), 32 << 20);
        assert_eq!(Replay::measured(1 << 20, second).bytes_per_second(), RATE_DEFAULT);
        assert_eq!(Replay::measured(u64::MAX, Duration::ZERO).bytes_per_second(), u64::MAX);
    }

    #[test]
    fn bytes_count_from_the_highest_mark_below_redo() {
        let lsn = |value| Lsn::FIRST.advance(value - 1);
        let mut replay = Replay::measured(0, Duration::ZERO);
        assert_eq!(replay.bytes(lsn(1), 5000, 4096), 4096, "no mark: by segments");
        for at in 1..=20 {
            replay.note(lsn(at * 10), at * 1000);
        }
        replay.note(lsn(5), 1);
        assert_eq!(replay.marks.len(), MARKS_MAX);
        assert_eq!(replay.bytes(lsn(201), 20_500, 1 << 20), 500);
        assert_eq!(replay.bytes(lsn(200), 20_500, 1 << 20), 1500, "its own mark is not below it");
        assert_eq!(replay.bytes(lsn(3), 20_500, 1 << 20), 1 << 20, "below all marks");
    }
}
