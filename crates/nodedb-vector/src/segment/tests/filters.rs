//! Filters decide, and whatever they do is an answer.

use super::*;

const ROWS: u32 = 3_000;

/// Few candidates of many rows: the graph is worth walking.
fn wide() -> (Vec<Vec<f32>>, Segment) {
    let rows = vectors(position(ROWS), 8, 3);
    let segment = segment(spec(8, Metric::Cosine, VectorStorage::Bf16), &rows);
    (rows, segment)
}

#[test]
fn hits_are_what_the_filter_takes() {
    let (rows, segment) = wide();
    for every in [1, 2, 10, 100, 1_000, 5_000] {
        let mut accept = |slot: u32| slot % every == 5 % every;
        let (question, taken) =
            (query(&rows[5], 10, 64), (5 % every..ROWS).step_by(position(every)));
        let hits = segment.search(question, Some(&mut accept)).expect("found");
        let exact = segment.exact(&rows[5], taken, 10).expect("scanned");
        assert_eq!(hits, exact, "1 of {every}");
    }
}

/// A walk under a filter that takes nothing would lead through the whole graph.
#[test]
fn a_filter_that_takes_nothing_ends_the_walk_early() {
    let (rows, segment) = wide();
    let mut asked = 0;
    let mut nothing = |_| {
        asked += 1;
        false
    };
    assert_eq!(segment.walk(query(&rows[5], 10, 64), Some(&mut nothing)), Ok(None));
    assert_eq!(asked, ROWS / 10);
    let hits = segment.search(query(&rows[5], 10, 64), Some(&mut |_| false));
    assert_eq!(hits, Ok(vec![]));
}

#[test]
fn a_panic_of_the_filter_is_an_error_and_the_segment_lives_on() {
    let (rows, segment) = wide();
    // On the walk, and while every row is looked at.
    for ef in [64, 1_000] {
        let mut asked = 0;
        let accept: &mut Accept<'_> = &mut |_| {
            asked += 1;
            assert!(asked < 7, "the seventh row");
            true
        };
        let error = segment.search(query(&rows[5], 10, ef), Some(accept)).expect_err("panics");
        let message = "the seventh row".to_owned();
        assert_eq!(error, SegmentError::FilterPanicked { message });
        assert_eq!(asked, 7, "not asked again");
        segment.search(query(&rows[5], 10, ef), None).expect("searches as before");
    }
    let mut mute = |_| std::panic::panic_any(1_u8);
    let error = segment.search(query(&rows[5], 10, 64), Some(&mut mute)).expect_err("panics");
    let message = "without a message".to_owned();
    assert_eq!(error, SegmentError::FilterPanicked { message });
}

#[test]
fn a_second_search_of_a_segment_at_a_time_is_busy() {
    let (rows, segment) = wide();
    let mut within = Vec::new();
    let mut accept = |_| {
        within.push(segment.search(query(&rows[0], 1, 64), None));
        true
    };
    let found = segment.search(query(&rows[0], 1, 64), Some(&mut accept)).expect("found");
    assert_eq!(found[0].slot, 0);
    assert!(!within.is_empty());
    assert!(within.iter().all(|inner| *inner == Err(SegmentError::Busy)));
}
