//! Writes that were acknowledged before they were durable.

use nodedb_types::Lsn;
use std::{collections::VecDeque, time::Duration};

/// Acknowledgements that are kept apart. Beyond it, and within one moment, they are taken together under
/// the time of the first, which makes a bounded read stricter and never laxer.
const ENTRIES_MAX: usize = 64;

/// What was acknowledged, or is about to be, below `Sync` and was not durable then (protocol rule P6).
#[derive(Debug, Default)]
pub(crate) struct WeakWrites {
    /// Records, ascending, each with the time since which it or one before it is acknowledged.
    entries: VecDeque<(Lsn, Duration)>,
}

impl WeakWrites {
    /// Notes an acknowledgement, before it can be seen.
    pub(crate) fn note(&mut self, lsn: Lsn, durable: Option<Lsn>, now: Duration) {
        while self.entries.front().is_some_and(|(oldest, _)| Some(*oldest) <= durable) {
            self.entries.pop_front();
        }
        let full = self.entries.len() >= ENTRIES_MAX;
        match self.entries.back_mut() {
            Some((newest, since)) if full || *since >= now || *newest >= lsn => {
                *newest = lsn.max(*newest);
            }
            _ => self.entries.push_back((lsn, now)),
        }
    }

    /// The highest of them; what is durable may be missing.
    pub(crate) fn highest(&self) -> Option<Lsn> {
        self.entries.back().map(|(lsn, _)| *lsn)
    }

    /// How long the oldest that is not durable has been acknowledged.
    pub(crate) fn age(&self, durable: Option<Lsn>, now: Duration) -> Option<Duration> {
        let open = self.entries.iter().find(|(lsn, _)| Some(*lsn) > durable);
        open.map(|(_, since)| now.saturating_sub(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lsn(value: u64) -> Lsn {
        Lsn::from_u64(value).expect("not 0")
    }

    #[test]
    fn the_oldest_that_is_not_durable_counts() {
        let mut weak = WeakWrites::default();
        assert_eq!((weak.highest(), weak.age(None, SECOND)), (None, None));
        weak.note(lsn(3), None, SECOND);
        weak.note(lsn(5), None, 3 * SECOND);
        assert_eq!(weak.highest(), Some(lsn(5)));
        assert_eq!(weak.age(Some(lsn(2)), 4 * SECOND), Some(3 * SECOND));
        assert_eq!(weak.age(Some(lsn(3)), 4 * SECOND), Some(SECOND));
        assert_eq!(weak.age(Some(lsn(5)), 4 * SECOND), None);
        // A retry is acknowledged again, below what was since.
        weak.note(lsn(4), Some(lsn(3)), 9 * SECOND);
        assert_eq!(weak.highest(), Some(lsn(5)));
        assert_eq!(weak.age(Some(lsn(3)), 9 * SECOND), Some(6 * SECOND));
    }

    #[test]
    fn they_are_bounded_and_counted_older_never_younger() {
        let mut weak = WeakWrites::default();
        for number in 1..=1000 {
            weak.note(lsn(number), None, SECOND * u32::try_from(number).expect("small"));
        }
        assert_eq!(weak.entries.len(), ENTRIES_MAX);
        assert_eq!(weak.highest(), Some(lsn(1000)));
        let age = weak.age(Some(lsn(999)), 1000 * SECOND);
        assert!(age >= Some(Duration::ZERO), "{age:?}");
        assert_eq!(age, Some(936 * SECOND), "since the first that was taken together");
    }
}
