//! Heads that are sealed beside writes.
#![expect(clippy::disallowed_methods, reason = "tests look at the files of a vshard")]

use super::{
    copies::copy_tree,
    world::{FIELD, NOTES, World, data_dir, delete, options, put_vector, vshard},
};
use crate::{Hit, Op, Outcome, Search, vshard_dir};
use nodedb_engine::{EngineKind, Metric};
use std::{collections::BTreeMap, fs};

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

#[test]
fn a_full_head_is_sealed_beside_writes_and_found_after_a_kill() {
    let world = World::new(1, options(1));
    for first in (0..ROWS).step_by(500) {
        let writes = (first..first + 500).map(|row| put_vector(&key(row), "{}", Some(point(row))));
        let ticket = world.send_group(vec![(0, writes.collect())]);
        ticket.wait().expect("an answer").expect("written");
    }
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
