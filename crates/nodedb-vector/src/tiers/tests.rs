use super::*;

/// No merge of these tests comes near it.
const ROOM: u64 = u64::MAX;

fn graph(live: u64) -> Size {
    Size { slots: live, live, bytes: live, sort: Sort::Graph }
}

fn flat(live: u64) -> Size {
    Size { sort: Sort::Flat, ..graph(live) }
}

fn merged(live: &[u64], goal: Goal) -> Option<Vec<u64>> {
    let sizes: Vec<_> = live.iter().map(|live| graph(*live)).collect();
    let places = due(&sizes, ROOM, goal)?;
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
    assert_eq!(merged(&[900, 400, 100, 25, 6, 1], Goal::Ingest), None, "six are allowed");
    assert_eq!(merged(&[2000, 900, 400, 100, 25, 6, 1], Goal::Ingest), Some(vec![1, 6]));
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
    let sound = Size { slots: 100, ..graph(75) };
    let rotten = Size { slots: 100, ..graph(74) };
    let sizes = [sound, rotten, sound, sound, sound];
    assert_eq!(due(&sizes, ROOM, Goal::Ingest), Some(vec![1]));
    assert_eq!(due(&[sound], ROOM, Goal::Ingest), None);
    assert_eq!(due(&[Size { slots: 3, ..graph(0) }], ROOM, Goal::Ingest), Some(vec![0]));
}

/// Steady updates made every segment rotten again before its turn came round: they stayed as many, and
/// the rows behind them waited for ever.
#[test]
fn rotten_segments_are_merged_where_there_are_too_many() {
    let rotten = Size { slots: 100, ..graph(60) };
    let mut sizes = vec![rotten; SEGMENTS_MAX + 1];
    for goal in [Goal::Ingest, Goal::Rest] {
        let places = due(&sizes, ROOM, goal).expect("full");
        assert!(places.len() > 1, "{goal:?}");
    }
    sizes[3].live = 0;
    assert_eq!(due(&sizes, ROOM, Goal::Ingest), Some(vec![3]), "nothing is left of it");
}

#[test]
fn one_graph_is_built_over_all_that_wait() {
    let sizes = [flat(4), graph(99), flat(3), flat(4)];
    assert_eq!(due(&sizes, ROOM, Goal::Ingest), Some(vec![2, 0, 3]));
    assert_eq!(due(&sizes, 14, Goal::Ingest), Some(vec![2, 0]), "half of what a merge takes");
    assert_eq!(due(&[flat(40)], 14, Goal::Ingest), Some(vec![0]), "a head is never too large");
    // With three graphs like them, the one of those four is built at once.
    let sizes = [graph(8), graph(9), flat(4), graph(10), flat(5)];
    assert_eq!(due(&sizes, ROOM, Goal::Ingest), Some(vec![0, 1, 2, 4, 3]));
    // Where there are six already, with the smallest of them.
    let sizes = [9000, 2000, 400, 100, 25, 6].map(graph);
    let sizes: Vec<_> = sizes.into_iter().chain([flat(1)]).collect();
    assert_eq!(due(&sizes, ROOM, Goal::Ingest), Some(vec![6, 5]));
    assert_eq!(due_flat(&sizes, ROOM), None);
}

#[test]
fn flat_segments_that_wait_long_are_joined() {
    assert_eq!(due_flat(&[flat(4); 7], ROOM), None);
    assert_eq!(due_flat(&[flat(4); 8], ROOM).map(|places| places.len()), Some(8));
    let mut sizes: Vec<Size> = Vec::new();
    let mut copied = 0;
    for _ in 0..2500 {
        sizes.push(flat(4096));
        while let Some(mut places) = due_flat(&sizes, ROOM) {
            places.sort_unstable();
            let live = places.iter().rev().map(|place| sizes.remove(*place).live).sum();
            copied += live;
            sizes.push(flat(live));
        }
        assert!(sizes.len() < 32);
    }
    assert!(copied <= 5 * 2500 * 4096, "{copied}");
}

/// Rows by heads of a few thousand: the graphs there are at most, and how often a row is built into one.
fn ingest(heads: u64, bytes_max: u64) -> (usize, u64) {
    let mut sizes: Vec<Size> = Vec::new();
    let (mut rebuilt, mut most) = (0, 0);
    for _ in 0..heads {
        sizes.push(flat(4096));
        while let Some(mut places) = due(&sizes, bytes_max, Goal::Ingest) {
            places.sort_unstable();
            let live = places.iter().rev().map(|place| sizes.remove(*place).live).sum();
            assert!(live <= bytes_max, "a merge has a bound");
            rebuilt += live;
            sizes.push(graph(live));
        }
        most = most.max(sizes.len());
    }
    (most, rebuilt / (heads * 4096))
}

#[test]
fn graphs_are_few_and_rebuilds_are_few() {
    let (most, rebuilds) = ingest(2500, ROOM);
    assert!(most <= SEGMENTS_MAX && rebuilds <= 13, "{most} segments, {rebuilds} rebuilds a row");
}

#[test]
fn what_one_merge_takes_is_bounded_and_closed_segments_are_the_only_ones_beyond_six() {
    let bytes_max = 64 * 4096;
    let heads = 2500;
    let (most, rebuilds) = ingest(heads, bytes_max);
    let closed = usize::try_from(heads * 4096 / (bytes_max / 2)).expect("few");
    assert!(most <= closed + OPEN_MAX + 1, "{most} segments");
    assert!(rebuilds <= 8, "{rebuilds} rebuilds a row");
}
