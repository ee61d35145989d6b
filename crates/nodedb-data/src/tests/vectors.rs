//! Heads that are sealed beside writes.
#![expect(clippy::disallowed_methods, reason = "tests look at the files of a vshard")]

use super::{
    copies::copy_tree,
    world::{FIELD, NOTES, World, at, data_dir, delete, options, put, put_vector, vshard},
};
use crate::{DataError, DataOptions, Hit, Op, Outcome, Search, Write, vshard_dir};
use nodedb_engine::{Engine, EngineKind, Metric};
use nodedb_env::RealFiles;
use nodedb_types::{Durability, ErrorKind};
use nodedb_vector::VectorEngine;
use std::{collections::BTreeMap, fs, sync::Arc};

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

/// As little as may be chosen: some 7,000 rows of these tests.
fn bounded() -> DataOptions {
    DataOptions { unsealed_bytes_max: 1 << 20, ..options(1) }
}

fn rows(first: u32, count: u32) -> Vec<Write> {
    let point =
        |row: u32| [row % 200, row / 200].map(|x| f32::from(u16::try_from(x).expect("few")));
    let write = |row| put_vector(&format!("{row:06}"), "{}", Some(point(row).to_vec()));
    (first..first + count).map(write).collect()
}

/// Writes until that is refused. Answers how many rows were taken, and why no more.
fn fill_until_refused(world: &World) -> (u32, DataError) {
    let refused = (0..100).find_map(|round| {
        let ticket = world.send_group(vec![(0, rows(round * 100, 100))]);
        ticket.wait().expect("an answer").err().map(|error| (round * 100, error))
    });
    refused.expect("the limit is reached before")
}

/// A disk that takes no segment stands for one that is slower than the writers: what cannot be sealed
/// stays in memory, and without a limit it grew until there was none.
#[test]
fn vectors_that_cannot_be_sealed_are_refused_at_their_limit_and_deletes_are_not() {
    let world = World::new(1, bounded());
    world.faults.fail_creates(Some("0000/vectors"));
    let (written, error) = fill_until_refused(&world);
    assert!(matches!(error, DataError::VectorsFull { bytes, .. } if bytes >= 1 << 20), "{error}");
    assert_eq!(error.kind(), ErrorKind::Busy);
    let unsealed = world.status(0).unsealed_bytes;
    assert!((1 << 20..5 << 18).contains(&unsealed), "{unsealed}");
    let single = rows(written, 1).pop().expect("one");
    let refused = world.ask(vshard(0), at(single.clone(), Durability::Buffered)).expect_err("full");
    assert!(matches!(refused, DataError::VectorsFull { .. }), "{refused}");
    assert_eq!(world.text(0, &format!("{written:06}")), None, "what is refused was not done");
    // Everything else is served.
    world.put(0, "without", "{}");
    world.ask(vshard(0), Op::Write(delete("000007"))).expect("deleted");
    assert_eq!(world.text(0, "000007"), None);
    assert_eq!(nearest(&world, &[8.0, 0.0])[0].key, "000008");
    world.faults.fail_creates(None);
    world.flush(0).expect("flushed when asked");
    let deadline = world.deadline();
    while world.ask(vshard(0), Op::Write(single.clone())).is_err() {
        assert!(world.env.clock.now() < deadline, "it is never sealed");
    }
    let world = world.kill(1);
    assert_eq!(nearest(&world, &[8.0, 0.0])[0].key, "000008");
}

/// A head whose sealing had failed was tried again only after a flush that wrote something. With nothing
/// left to write, a disk that had room again helped nobody: every vector was refused until a restart.
#[test]
fn vectors_are_taken_again_once_the_disk_has_room_though_nothing_waits_for_a_flush() {
    let world = World::new(1, bounded());
    world.faults.fail_creates(Some("0000/vectors/segment-"));
    let (written, _) = fill_until_refused(&world);
    // The first one writes all that there is; the sealing that it tries again fails again.
    for _ in 0..3 {
        world.flush(0).expect("flushed");
    }
    world.faults.fail_creates(None);
    let single = rows(written, 1).pop().expect("one");
    let deadline = world.deadline();
    while world.ask(vshard(0), Op::Write(single.clone())).is_err() {
        assert!(world.env.clock.now() < deadline, "it is never sealed");
    }
}

/// Nothing was sealed during a replay, so that opening took the memory of all vectors in the log.
#[test]
fn a_replay_of_many_more_vectors_than_the_limit_stays_below_it() {
    let world = World::new(1, options(1));
    world.faults.fail_creates(Some("0000/vectors"));
    let count = 30_000;
    for first in (0..count).step_by(1000) {
        let ticket = world.send_group(vec![(0, rows(first, 1000))]);
        ticket.wait().expect("an answer").expect("far below the default");
    }
    world.ask(vshard(0), Op::Write(delete("000007"))).expect("deleted");
    assert!(world.status(0).unsealed_bytes > 4 << 20);
    let left = world.copy();
    drop(world);
    let world = World::open(left, 1, bounded(), Vec::new()).expect("opens");
    assert!(world.status(0).unsealed_bytes < 1 << 19);
    assert_eq!(nearest(&world, &[8.0, 0.0])[0].key, "000008");
    let left = world.die();
    let dir = vshard_dir(&data_dir(left.path()), vshard(0)).join("vectors");
    let engine = VectorEngine::load(Arc::new(RealFiles), &dir).expect("whole");
    assert!(engine.unsealed_bytes() < 1 << 19);
    assert!(engine.flushed().floor().is_some());
    assert!(engine.len(FIELD) > 20_000, "the rest is in the log");
}

/// An assertion stopped the core: callers of the facade are checked there, those of this crate were not.
#[test]
fn a_vector_that_cannot_be_searched_is_refused_before_it_is_logged() {
    let world = World::new(1, options(1));
    world.put(0, "a", "{}");
    let before = world.wal.appended();
    for bad in [f32::NAN, f32::INFINITY, 1e30] {
        let write = put_vector("a", "{}", Some(vec![bad, 0.0]));
        let error = world.ask(vshard(0), Op::Write(write.clone())).expect_err("bad");
        assert!(matches!(error, DataError::Vector { index: FIELD, .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let group = vec![(0, vec![put("b", "{}"), write])];
        let error = world.send_group(group).wait().expect("an answer").expect_err("bad");
        assert!(matches!(error, DataError::Vector { .. }), "{error}");
        let search = Search {
            collection: NOTES,
            index: FIELD,
            vector: vec![0.0, bad],
            metric: Metric::L2,
            k: 3,
            filter: None,
            effort: crate::Effort::Exact,
        };
        let error = world.ask(vshard(0), Op::Search(search)).expect_err("bad");
        assert!(matches!(error, DataError::Vector { .. }), "{error}");
    }
    assert_eq!(world.wal.appended(), before);
}

/// A replay that feeds one engine records which the other has already. Vectors come from the records, never
/// from what the store holds by then: a document that was moved twice would be found at its last place by a
/// record of its first.
#[test]
fn each_engine_may_lie_behind_the_other() {
    for behind in [EngineKind::Vectors, EngineKind::Documents] {
        let world = World::new(1, options(1));
        let mut places = BTreeMap::new();
        let mut put = |row: u16, at: u16| {
            let write = put_vector(&key(row), &format!("{{\"at\":{at}}}"), Some(point(at)));
            world.ask(vshard(0), Op::Write(write)).expect("put");
            places.insert(row, at);
        };
        for row in 0..40 {
            put(row, row);
        }
        world.flush(0).expect("flushed");
        let older = world.copy();
        let deleted = |row: u16| row % 4 == 2;
        for row in 0..40 {
            match row % 4 {
                1 => put(row, row + 1000),
                2 => drop(world.ask(vshard(0), Op::Write(delete(&key(row)))).expect("deleted")),
                3 => {
                    world.ask(vshard(0), Op::Write(delete(&key(row)))).expect("deleted");
                    put(row, row + 2000);
                }
                _ => {}
            }
        }
        world.flush(0).expect("flushed");
        for row in (1..40).step_by(4) {
            put(row, row + 3000);
        }
        places.retain(|row, _| !deleted(*row));
        let left = world.copy();
        drop(world);
        let path = |root: &tempfile::TempDir| {
            vshard_dir(&data_dir(root.path()), vshard(0)).join(behind.name())
        };
        fs::remove_dir_all(path(&left)).expect("removes");
        fs::create_dir(path(&left)).expect("a directory");
        copy_tree(&path(&older), &path(&left));
        let world = World::open(left, 1, options(1), Vec::new()).expect("opens");
        let floor = |engine| {
            world
                .status(0)
                .floors
                .floors
                .iter()
                .find(|(of, _)| *of == engine)
                .map(|(_, floor)| floor.own())
        };
        let other = EngineKind::ALL
            .into_iter()
            .find(|kind| *kind != behind && *kind != EngineKind::Catalog);
        assert!(floor(behind) < other.and_then(floor), "{behind:?} lies behind");
        let found: BTreeMap<_, _> = world.scan(0, 100).into_iter().collect();
        let expected = places.iter().map(|(row, at)| (key(*row), format!("{{\"at\":{at}}}")));
        assert_eq!(found, expected.collect());
        for (row, at) in &places {
            let nearest = &nearest(&world, &point(*at))[0];
            assert_eq!(nearest.key, key(*row).into_bytes(), "at {at}");
        }
        for row in (0..40).filter(|row| deleted(*row)) {
            assert_ne!(nearest(&world, &point(row))[0].key, key(row).into_bytes());
        }
    }
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

/// Only the vshard with the largest head was ever relieved. Where its disk failed, the heads of all others
/// stayed as well, and every vector of the core was refused for want of memory.
#[test]
fn heads_of_other_vshards_are_sealed_where_the_largest_cannot_be() {
    let bounds = DataOptions { memory_bytes_max: 3 << 20, memtable_bytes: 64 << 10, ..options(1) };
    let world = World::new(2, bounds);
    world.faults.fail_creates(Some("0000/vectors"));
    let send = |id: u16, first: u32| {
        let ticket = world.send_group(vec![(id, rows(first, 100))]);
        ticket.wait().expect("an answer")
    };
    let deadline = world.deadline();
    let mut first = 0;
    // Far above the eighth of half of it from which on heads are sealed.
    while world.status(0).unsealed_bytes < 1 << 20 {
        assert!(world.env.clock.now() < deadline, "it fills");
        first += u32::from(send(0, first).is_ok()) * 100;
    }
    for round in 0..10 {
        while send(1, round * 100).is_err() {
            assert!(world.env.clock.now() < deadline, "it is taken");
        }
    }
    while world.status(1).unsealed_bytes > 32 << 10 {
        assert!(world.env.clock.now() < deadline, "the other is sealed");
    }
    assert!(world.status(0).unsealed_bytes >= 1 << 20);
}
