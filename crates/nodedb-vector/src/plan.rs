//! How a search goes about it. Pure functions of numbers; the constants are measured.

use crate::SearchMode;

/// Candidates that a graph keeps by itself: on 25,000 WordNet glosses (384 dimensions, cosine) one
/// graph finds 98.9 of 100 nearest with 64, and five find 99.1 with 32 each: every segment is asked, so
/// each may miss more. `cargo xtask bench vector search` tells what is found now.
const EF: [usize; 3] = [64, 48, 32];
/// Candidates that a filtered search looks at first: they are the sample from which it learns how many
/// more it needs.
const SAMPLE: usize = 64;
/// Candidates of a search that measures all rows, at least: they cost little then.
pub(crate) const EXACT_FETCH: usize = 2048;
/// Measuring so many rows takes as long as a graph takes for one candidate: on those glosses 507 searches
/// a second measured every row (0.08 us each), 5,495 kept 64 candidates (2.8 us each).
const ROWS_PER_CANDIDATE: usize = 32;
/// A candidate of a graph, whose document is read and asked the filter (about 5 us), takes as long as
/// looking up and measuring so many rows that are known to match (1.2 us each, `measure_find`).
const LOOKUPS_PER_CANDIDATE: usize = 4;

/// How many candidates each of some graphs keeps, for so many hits.
pub(crate) fn ef(wanted: Option<usize>, segments: usize, fetch: usize) -> usize {
    let default = EF.get(segments.saturating_sub(1)).or(EF.last()).copied().unwrap_or(0);
    // Hits at the edge of the candidates are found less well.
    wanted.unwrap_or(default.max(fetch + fetch / 4)).max(fetch)
}

/// What the rounds so far have shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) asked: usize,
    pub(crate) accepted: usize,
}

/// The first number of candidates.
pub(crate) fn first_fetch(k: usize, mode: SearchMode) -> usize {
    match mode {
        SearchMode::Filtered => k.max(SAMPLE),
        SearchMode::Auto | SearchMode::Exact => k,
    }
}

/// How many candidates are likely to hold `k` that are accepted, by the share of those that were; at
/// least twice as many as were looked at.
pub(crate) fn next_fetch(k: usize, seen: Seen) -> usize {
    // One more of each: nobody accepted of a few says little.
    let share = seen.asked.saturating_add(2).div_ceil(seen.accepted + 1);
    let likely = k.saturating_mul(share);
    likely.saturating_add(likely / 4).max(seen.asked.saturating_mul(2))
}

/// Whether it is faster to measure all rows of some graphs than to walk each of them. Rows without a
/// graph are measured either way.
pub(crate) const fn is_exact_faster(rows: u64, graphs: usize, ef: usize) -> bool {
    let found = graphs.saturating_mul(ef).saturating_mul(ROWS_PER_CANDIDATE);
    found as u64 >= rows
}

/// Up to how many of `rows` documents may match a filter for a search of `k` of them to be answered
/// faster from the rows that are known to match, by
/// [`VectorEngine::nearest_among`](crate::VectorEngine::nearest_among), than by asking the filter in
/// the order of distance, where one in `rows / matches` is taken.
pub const fn among_max(rows: usize, k: usize) -> usize {
    k.saturating_mul(rows).saturating_mul(LOOKUPS_PER_CANDIDATE).isqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_segments_keep_fewer_candidates_each() {
        assert_eq!(ef(None, 0, 10), 64);
        assert_eq!(ef(None, 1, 10), 64);
        assert_eq!(ef(None, 5, 10), 32);
        assert_eq!(ef(None, 6, 100), 125);
        assert_eq!(ef(Some(200), 5, 10), 200);
        assert_eq!(ef(Some(4), 1, 10), 10, "at least what is wanted");
    }

    #[test]
    fn a_filter_that_takes_little_makes_for_more_candidates() {
        let fetch = |asked, accepted| next_fetch(10, Seen { asked, accepted });
        assert_eq!(fetch(64, 32), 128, "twice as many at least");
        assert_eq!(fetch(64, 6), 128);
        assert_eq!(fetch(64, 0), 825);
        assert_eq!(fetch(825, 4), 2075);
        assert_eq!(next_fetch(usize::MAX, Seen { asked: 9, accepted: 0 }), usize::MAX);
        assert!(is_exact_faster(20_000, 1, 825) && !is_exact_faster(20_000, 1, 512));
    }

    #[test]
    fn few_rows_are_measured_rather_than_found() {
        assert!(is_exact_faster(2_048, 1, 64) && !is_exact_faster(2_049, 1, 64));
        assert!(is_exact_faster(5_120, 5, 32) && !is_exact_faster(5_121, 5, 32));
    }

    #[test]
    fn few_matches_are_looked_up_and_many_are_met_on_the_way() {
        assert_eq!(among_max(20_000, 10), 894);
        assert_eq!(among_max(20, 10), 28, "all of them");
        assert_eq!(among_max(0, 10), 0);
        assert_eq!(among_max(usize::MAX, usize::MAX), usize::MAX.isqrt());
    }
}
