//! Heads that are sealed beside writes.
#![expect(clippy::disallowed_methods, reason = "tests look at the files of a vshard")]

use super::world::{FIELD, NOTES, World, data_dir, delete, options, put_vector, vshard};
use crate::{Hit, Op, Outcome, Search, vshard_dir};
use nodedb_engine::Metric;
use std::fs;

const ROWS: u16 = 5000;

fn key(row: u16) -> String {
    format!("{row:05}")
}

/// A grid whose points differ also in the few digits that a graph keeps.
fn point(row: u16) -> Vec<f32> {
    vec![f32::from(row % 71), f32::from(row / 71)]
}

const FAR: [f32; 2] = [150.0, 150.0];

fn nearest(world: &World, vector: &[f32]) -> Vec<Hit> {
    let search = Search {
        collection: NOTES,
        index: FIELD,
        vector: vector.to_vec(),
        metric: Metric::L2,
        k: 3,
        filter: None,
        effort: crate::Effort::Usual,
    };
    match world.ask(vshard(0), Op::Search(search)).expect("hits") {
        Outcome::Hits(hits) => hits,
        other => panic!("{other:?}"),
    }
}

fn assert_found(world: &World) {
    for row in [0, 99, 2500, 4999] {
        let hits = nearest(world, &point(row));
        let keys: Vec<_> = hits.iter().map(|hit| hit.key.to_vec()).collect();
        // Row 99 was deleted.
        assert_eq!(keys.contains(&key(row).into_bytes()), row != 99, "{row}: {keys:?}");
    }
    assert_eq!(nearest(world, &FAR)[0].key, key(100).into_bytes());
}

/// How many segments the vshard has on disk.
fn segments(world: &World) -> usize {
    let dir = vshard_dir(&data_dir(world.root.path()), vshard(0)).join("vectors");
    let names =
        fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("read").file_name());
    names.filter(|name| name.to_string_lossy().ends_with("-graph.ndb")).count()
}

/// Fills a head, so that sealing it begins.
fn fill(world: &World) {
    for first in (0..ROWS).step_by(500) {
        let writes = (first..first + 500).map(|row| put_vector(&key(row), "{}", Some(point(row))));
        let ticket = world.send_group(vec![(0, writes.collect())]);
        ticket.wait().expect("an answer").expect("written");
    }
}

#[test]
fn a_full_head_is_sealed_beside_writes_and_found_after_a_kill() {
    let world = World::new(1, options(1));
    fill(&world);
    // One that dies and one that moves, perhaps while the segment is made.
    world.ask(vshard(0), Op::Write(delete(&key(99)))).expect("deleted");
    world
        .ask(vshard(0), Op::Write(put_vector(&key(100), "{}", Some(FAR.to_vec()))))
        .expect("moved");
    // Turns pass while the maintenance thread works; each answer is a turn.
    let deadline = world.deadline();
    while segments(&world) == 0 {
        assert!(world.env.clock.now() < deadline, "the head is never sealed");
        assert_found(&world);
    }
    world.flush(0).expect("flushed");
    assert_found(&world);
    let world = world.kill(1);
    assert_eq!(segments(&world), 1);
    assert_found(&world);
    world.close();
}

/// A checkpoint while a head was sealed stopped the flushes of its vshard for good. The flush for the
/// checkpoint proved the barrier, which lay above all that was applied in the vshard, and the segment was
/// then taken in at what was applied: a floor that falls, refused by a panic, at each attempt again.
#[test]
fn a_segment_is_taken_in_after_a_flush_above_all_that_was_applied() {
    let world = World::new(2, options(1));
    fill(&world);
    // The log goes on elsewhere, and with it the barrier.
    world.put(1, "elsewhere", "{}");
    world.flush(0).expect("flushed");
    let deadline = world.deadline();
    while segments(&world) == 0 {
        assert!(world.env.clock.now() < deadline, "the head is never sealed");
        nearest(&world, &FAR);
    }
    world
        .ask(vshard(0), Op::Write(put_vector(&key(100), "{}", Some(FAR.to_vec()))))
        .expect("moved");
    assert_eq!(world.flush(0).expect("flushed after the segment").failure, None);
    let world = world.kill(1);
    assert_eq!(segments(&world), 1);
    assert_eq!(nearest(&world, &FAR)[0].key, key(100).into_bytes());
    world.close();
}
