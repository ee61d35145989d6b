//! How long recovery would take.
//!
//! Three things cost: every byte of log from the redo position on is read and checked, every record is looked
//! at by the core that owns it, and what the files of its vshard lack is applied. The costs of a usual
//! machine are known from measurements (docs/benchmarks.md); a replay that was long enough says how many
//! times slower this one is.

use nodedb_types::Lsn;
use std::{collections::VecDeque, time::Duration};

/// Marks that are kept; barriers below the redo position need one only.
const MARKS_MAX: usize = 16;
/// An open that has nothing to replay.
const OPEN: Duration = Duration::from_millis(30);
/// Bytes read and checked in a nanosecond; every core does so for itself.
const READ_BYTES_PER_NS: u64 = 2;
/// Nanoseconds to look at a record, and to apply it, on one core.
const LOOK_NS: u64 = 300;
const APPLY_NS: u64 = 580;
/// Bytes of memory that a record takes in a memtable beside its own.
const ROW_OVERHEAD: u64 = 136;
/// A shorter replay, by the costs above, measures noise.
const MEASURES: Duration = Duration::from_millis(200);
/// Times that a machine may be slower or faster; beyond that something else was measured.
const FACTOR_MAX: u128 = 64;
const WHOLE: u128 = 1000;

/// What a replay has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ReplayWork {
    /// Bytes of log.
    pub(crate) bytes: u64,
    /// Records in them.
    pub(crate) records: u64,
    /// How many of those some files lack.
    pub(crate) applied: u64,
    /// Cores that share them.
    pub(crate) cores: u16,
}

/// Where some records end in the log, by bytes, and how fast a replay goes.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    /// A record and the byte position of its end or a little before, ascending.
    marks: VecDeque<(Lsn, u64)>,
    /// Thousandths of the usual time that this machine takes.
    factor: u128,
}

impl ReplayWork {
    /// How many of the records are in memory only, by what they take there.
    pub(crate) fn dirty_records(&self, dirty_bytes: u64) -> u64 {
        let record = self.bytes / self.records.max(1) + ROW_OVERHEAD;
        (dirty_bytes / record).min(self.records)
    }

    /// The time on a usual machine.
    fn usual(self) -> Duration {
        let cores = u64::from(self.cores.max(1));
        let read = self.bytes / READ_BYTES_PER_NS;
        let look = self.records.saturating_mul(LOOK_NS) / cores;
        let apply = self.applied.saturating_mul(APPLY_NS) / cores;
        OPEN + Duration::from_nanos(read.saturating_add(look).saturating_add(apply))
    }
}

impl Replay {
    /// From the replay of the open: what it did, and how long that took.
    pub(crate) fn measured(work: ReplayWork, took: Duration) -> Self {
        let usual = work.usual();
        let factor = took.as_nanos() * WHOLE / usual.as_nanos().max(1);
        let factor = factor.clamp(WHOLE / FACTOR_MAX, WHOLE * FACTOR_MAX);
        let factor = if usual < MEASURES { WHOLE } else { factor };
        Self { marks: VecDeque::new(), factor }
    }

    /// How long this work would take.
    pub(crate) fn estimate(&self, work: ReplayWork) -> Duration {
        let nanos = work.usual().as_nanos() * self.factor / WHOLE;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
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

    /// Figures of the machine that the costs are from, in milliseconds: what opens took after a kill.
    #[test]
    fn the_usual_costs_are_those_that_were_measured() {
        let replay = Replay::measured(ReplayWork::default(), Duration::ZERO);
        for (mib, records, dirty_mib, took) in [
            (101, 800_000, 82, 299),
            (252, 2_000_000, 13, 456),
            (253, 2_000_000, 525, 1115),
            (237, 80_000, 8, 172),
            (713, 240_000, 25, 406),
        ] {
            let work = ReplayWork { bytes: mib << 20, records, applied: 0, cores: 2 };
            let applied = work.dirty_records(dirty_mib << 20);
            let estimate = replay.estimate(ReplayWork { applied, ..work }).as_millis();
            assert!(estimate * 4 < took * 5 && took * 4 < estimate * 5, "{mib} MiB: {estimate} ms");
        }
        let none = ReplayWork::default();
        assert_eq!((none.dirty_records(0), none.dirty_records(u64::MAX)), (0, 0));
    }

    #[test]
    fn a_long_replay_says_how_fast_the_machine_is() {
        let long = ReplayWork { bytes: 1 << 30, records: 1 << 20, applied: 1 << 20, cores: 1 };
        let usual = long.usual();
        let close = |replay: &Replay, times: u32| {
            let (found, wanted) = (replay.estimate(long), usual * times);
            found.abs_diff(wanted) < usual / 10
        };
        assert!(close(&Replay::measured(long, usual * 3), 3));
        let short = ReplayWork { bytes: 1 << 20, ..ReplayWork::default() };
        assert!(close(&Replay::measured(short, usual * 3), 1), "measures noise");
        assert!(close(&Replay::measured(long, Duration::MAX / 4000), 64), "a clock that was set");
        let most = ReplayWork { bytes: u64::MAX, records: u64::MAX, applied: u64::MAX, cores: 1 };
        assert!(Replay::measured(most, usual).estimate(most) > usual, "no overflow");
    }

    #[test]
    fn bytes_count_from_the_highest_mark_below_redo() {
        let lsn = |value| Lsn::FIRST.advance(value - 1);
        let mut replay = Replay::measured(ReplayWork::default(), Duration::ZERO);
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
