//! Which segments of an index are merged, and when.
//!
//! Building a graph is what ingestion costs, 0.3 to 0.5 ms of a core for each row at 384 dimensions,
//! so a row should pass through few of them: while rows keep coming, segments are merged once several
//! are alike. A search asks every segment, so an index that has come to rest is merged further, where
//! that at least adds a fourth to its largest segment.

use crate::layout::SEGMENTS_MAX;

/// A segment in use by no other merge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    /// Rows, dead ones included.
    pub(crate) slots: u64,
    pub(crate) live: u64,
}

/// What merging is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Goal {
    /// Rows keep coming: few rebuilds.
    Ingest,
    /// Nothing has changed since the last flush: few segments.
    Rest,
}

/// How many alike segments are merged while rows keep coming.
const ALIKE: usize = 4;
/// At rest the smaller segments are merged with one that is at most so many times their sum.
const REST_RATIO: u64 = 4;

impl Size {
    /// Whether more than a quarter is dead: searching walks through dead rows, and they take space.
    pub(crate) const fn is_rotten(self) -> bool {
        (self.slots - self.live) * 4 > self.slots
    }
}

/// The segments to merge into one, by their places in `sizes`, or nothing.
pub(crate) fn due(sizes: &[Size], goal: Goal) -> Option<Vec<usize>> {
    // Without room for a head only fewer segments help. Those that lose rows as fast as they are rebuilt
    // would be rebuilt one by one for ever, with the same number left, and the head would grow.
    let full = sizes.len() >= SEGMENTS_MAX;
    let goes_first = |size: &Size| size.is_rotten() && (!full || size.live == 0);
    if let Some(rotten) = sizes.iter().position(goes_first) {
        return Some(vec![rotten]);
    }
    let mut places: Vec<usize> = (0..sizes.len()).collect();
    places.sort_by_key(|place| sizes.get(*place).map(|size| size.live));
    let live: Vec<u64> =
        places.iter().filter_map(|place| sizes.get(*place)).map(|size| size.live).collect();
    let count = match goal {
        Goal::Rest => largest_group(&live, 2, REST_RATIO),
        Goal::Ingest => largest_group(&live, ALIKE, 1),
    };
    // Without room for one more segment the two smallest are better than none.
    let count = count.or_else(|| full.then(|| largest_group(&live, 2, 1).unwrap_or(2)))?;
    places.truncate(count);
    Some(places)
}

/// The most of the smallest whose largest is at most `ratio` times the others together; at least
/// `least`.
fn largest_group(live: &[u64], least: usize, ratio: u64) -> Option<usize> {
    (least..=live.len()).rev().find(|count| {
        let (smaller, rest) = live.split_at(count - 1);
        let largest = rest.first().copied().unwrap_or(0);
        largest <= ratio.saturating_mul(smaller.iter().sum())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(live: &[u64], goal: Goal) -> Option<Vec<u64>> {
        let sizes: Vec<_> = live.iter().map(|live| Size { slots: *live, live: *live }).collect();
        let places = due(&sizes, goal)?;
        Some(places.into_iter().map(|place| live[place]).collect())
    }

    #[test]
    fn alike_segments_are_merged_and_large_ones_left_alone() {
        assert_eq!(merged(&[], Goal::Ingest), None);
        assert_eq!(merged(&[4, 4, 4], Goal::Ingest), None);
        assert_eq!(merged(&[4, 4, 4, 4], Goal::Ingest), Some(vec![4, 4, 4, 4]));
        assert_eq!(merged(&[99, 4, 5, 4, 4], Goal::Ingest), Some(vec![4, 4, 4, 5]));
        assert_eq!(merged(&[16, 4, 4, 4], Goal::Ingest), None);
        assert_eq!(merged(&[400, 100, 25, 6, 1], Goal::Ingest), None);
        assert_eq!(merged(&[900, 400, 100, 25, 6, 1], Goal::Ingest), Some(vec![1, 6]));
    }

    #[test]
    fn at_rest_few_are_left() {
        assert_eq!(merged(&[4, 4], Goal::Rest), Some(vec![4, 4]));
        assert_eq!(merged(&[16, 4], Goal::Rest), Some(vec![4, 16]));
        assert_eq!(merged(&[17, 4], Goal::Rest), None);
        assert_eq!(merged(&[100, 4, 4, 4], Goal::Rest), Some(vec![4, 4, 4]));
        assert_eq!(merged(&[4], Goal::Rest), None);
    }

    #[test]
    fn a_rotten_segment_goes_first() {
        let sound = Size { slots: 100, live: 75 };
        let rotten = Size { slots: 100, live: 74 };
        assert_eq!(due(&[sound, rotten, sound, sound, sound], Goal::Ingest), Some(vec![1]));
        assert_eq!(due(&[sound], Goal::Ingest), None);
        assert_eq!(due(&[Size { slots: 3, live: 0 }], Goal::Ingest), Some(vec![0]));
    }

    /// Steady updates made every segment rotten again before its turn came round: six stayed six, no head
    /// could be sealed, and it grew until every row was in it.
    #[test]
    fn rotten_segments_without_room_for_a_head_are_merged() {
        let rotten = Size { slots: 100, live: 60 };
        for goal in [Goal::Ingest, Goal::Rest] {
            let places = due(&[rotten; SEGMENTS_MAX], goal).expect("full");
            assert!(places.len() > 1, "{goal:?}");
        }
        let mut sizes = [rotten; SEGMENTS_MAX];
        sizes[3].live = 0;
        assert_eq!(due(&sizes, Goal::Ingest), Some(vec![3]), "nothing is left of it");
    }

    /// Ten million rows by heads of a few thousand: never more segments than there may be, and few
    /// rebuilds of each row.
    #[test]
    fn the_number_of_segments_is_bounded_and_rebuilds_are_few() {
        let mut sizes: Vec<Size> = Vec::new();
        let mut rebuilt = 0;
        let heads = 2500_u64;
        for _ in 0..heads {
            assert!(sizes.len() < SEGMENTS_MAX, "there is room for a head");
            sizes.push(Size { slots: 4096, live: 4096 });
            while let Some(mut places) = due(&sizes, Goal::Ingest) {
                places.sort_unstable();
                let slots = places.iter().rev().map(|place| sizes.remove(*place).slots).sum();
                rebuilt += slots;
                sizes.push(Size { slots, live: slots });
            }
        }
        let rows = heads * 4096;
        assert!(rebuilt <= 13 * rows, "{} rebuilds a row", rebuilt / rows);
    }
}
