//! Scans, counts and searches.

use super::world::{
    FIELD, NOTES, TENANT, World, at, data_dir, delete, faulty_env, log_options, options, put,
    put_vector, vshard, wal_dir, written,
};
use crate::{
    DataError, Op, Outcome, Page, Scan, Search,
    ballast::Ballast,
    durable_log::WalDurability,
    vshard::{Count, Replay, load_all},
};
use bytes::Bytes;
use nodedb_document::{Filter, Ports, Statistics};
use nodedb_engine::{Metric, Snapshots};
use nodedb_types::{CollectionId, Durability, ErrorKind, Lsn};
use nodedb_wal::{AppendClass, Wal};
use std::{sync::Arc, time::Duration};

fn page(world: &World, scan: Scan) -> Page {
    match world.ask(vshard(0), Op::Scan(scan)).expect("a page") {
        Outcome::Page(page) => page,
        other => panic!("{other:?}"),
    }
}

fn scan(snapshot: Lsn, rows: usize) -> Scan {
    Scan { rows, ..Scan::all(NOTES, snapshot) }
}

fn keys(page: &Page) -> Vec<&[u8]> {
    page.rows.iter().map(|row| &*row.key).collect()
}

/// P3: all pages show one position, also after a flush of what came later.
#[test]
fn all_pages_of_a_scan_show_the_same_position() {
    let world = World::new(1, options(1));
    for key in ["a", "b", "c", "d", "e"] {
        world.put(0, key, "1");
    }
    let snapshot = world.data.snapshot_for_scan(world.deadline());
    let snapshot = snapshot.expect("no poison").expect("durable");
    let first = page(&world, scan(snapshot.lsn(), 2));
    assert_eq!(keys(&first), [b"a", b"b"]);
    world.put(0, "bb", "late");
    written(world.ask(vshard(0), at(delete("d"), Durability::Sync)));
    let second = Scan { after: first.next, ..scan(snapshot.lsn(), 2) };
    let second = page(&world, second);
    assert_eq!(keys(&second), [b"c", b"d"]);
    let third = Scan { after: second.next, ..scan(snapshot.lsn(), 2) };
    let third = page(&world, third);
    assert_eq!(keys(&third), [b"e"]);
    assert_eq!(third.next, None);
    drop(snapshot);
    assert_eq!(world.scan(0, 3).len(), 5);
}

#[test]
fn a_prefix_and_a_filter_choose_rows() {
    let world = World::new(1, options(1));
    for number in 0..10 {
        world.put(0, &format!("k{number}"), &format!("{{\"n\":{number}}}"));
    }
    world.put(0, "other", "{\"n\":9}");
    let snapshot = world.wal.durable().expect("durable");
    let chosen = Scan {
        prefix: Bytes::from_static(b"k"),
        filter: Some(Arc::new(Filter::parse("n >= 4").expect("a filter"))),
        ..scan(snapshot, 4)
    };
    let first = page(&world, chosen.clone());
    assert_eq!(keys(&first), [b"k4", b"k5", b"k6", b"k7"]);
    let rest = Scan { after: first.next, ..chosen };
    let rest = page(&world, rest);
    assert_eq!(keys(&rest), [b"k8", b"k9"]);
    assert_eq!(rest.next, None);
}

#[test]
fn a_count_of_more_than_one_slice_is_exact() {
    let world = World::new(1, options(1));
    let rows = 9_000;
    for start in (0..rows).step_by(1_000) {
        let writes = (start..start + 1_000).map(|row| put(&format!("{row}"), "{}"));
        let ticket = world.send_group(vec![(0, writes.collect())]);
        assert!(ticket.wait().expect("an answer").is_ok());
    }
    let snapshot = world.wal.durable().expect("durable");
    world.put(0, "late", "{}");
    let op = |collection| Op::Count { collection, filter: None, snapshot, now_ms: 0 };
    let Ok(Outcome::Count(count)) = world.ask(vshard(0), op(NOTES)) else {
        panic!("a count");
    };
    assert_eq!(count, rows);
    let missing = world.ask(vshard(0), op(CollectionId::new(99)));
    assert_eq!(missing.expect_err("missing").kind(), ErrorKind::NotFound);
}

/// A slice of a count was bounded in rows alone: 4,096 rows of 16 MiB, copied from tables, in one turn.
#[test]
fn a_slice_of_a_count_is_bounded_in_bytes() {
    let world = World::new(1, options(1));
    let (rows, value) = (60, "x".repeat(100 << 10));
    for row in 0..rows {
        // Six small segments: on a busy disk the next one may not be ready, which is `Busy` and not
        // what this is about.
        let room = value.len() + (4 << 10);
        let room = world.wal.wait_room(room, AppendClass::User, Duration::from_hours(1));
        room.expect("room in the log");
        world.put(0, &format!("{row:02}"), &value);
    }
    let snapshot = world.wal.durable().expect("durable");
    let left = world.die();
    let (env, _) = faulty_env();
    let opened = Wal::open(&env, &wal_dir(left.path()), log_options());
    let (wal, report) = opened.expect("the log opens");
    let clock = Arc::clone(&env.clock);
    let log = WalDurability { wal: wal.clone(), clock, wait: Duration::from_secs(30) };
    let replay = Replay {
        ports: &Ports::new(&env, Snapshots::new(Arc::clone(&env.clock)), Arc::new(log)),
        dir: &data_dir(left.path()),
        wal: &wal,
        vshards: 1,
        redo: report.redo,
        proven: &[],
        options: &options(1),
        ballast: &Ballast::open(&env, &data_dir(left.path()), 0),
    };
    let loaded = load_all(&replay, std::iter::once(vshard(0))).expect("loads");
    let vshard = &loaded.vshards[&vshard(0)];
    let mut count = Count {
        tenant: TENANT,
        collection: NOTES,
        snapshot,
        filter: None,
        now_ms: 0,
        after: None,
        rows: 0,
    };
    let mut slice = || vshard.count(&mut count, Duration::MAX).expect("a slice");
    assert!(!slice(), "6 MiB are more than one slice");
    let mut slices = 1;
    while !slice() {
        slices += 1;
    }
    assert!(slices < 10, "as many as bytes and not as rows: {slices}");
    assert_eq!(count.rows, rows);
}

#[test]
fn statistics_are_counted_as_of_their_snapshot_and_again_after_a_change() {
    let world = World::new(1, options(1));
    for row in 0..10 {
        world.put(0, &format!("{row}"), "{}");
    }
    let snapshot = world.wal.durable().expect("durable");
    world.put(0, "late", "{}");
    let found = |collection, snapshot| match world
        .ask(vshard(0), Op::Statistics { collection, snapshot, now_ms: 0 })
    {
        Ok(Outcome::Statistics(found)) => Ok(found),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    let ten = Statistics { documents: 10, key_bytes: 10, value_bytes: 20 };
    // Counted, then remembered.
    for _ in 0..2 {
        assert_eq!(found(NOTES, snapshot).expect("counted"), ten);
    }
    let snapshot = world.wal.durable().expect("durable");
    for _ in 0..2 {
        let eleven = Statistics { documents: 11, key_bytes: 14, value_bytes: 22 };
        assert_eq!(found(NOTES, snapshot).expect("counted"), eleven);
    }
    let missing = found(CollectionId::new(99), snapshot).expect_err("missing");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

fn search(vector: Vec<f32>, filter: Option<&str>) -> Search {
    Search {
        collection: NOTES,
        index: FIELD,
        vector,
        metric: Metric::L2,
        k: 2,
        filter: filter.map(|text| Arc::new(Filter::parse(text).expect("a filter"))),
        effort: crate::Effort::Usual,
    }
}

fn hits(world: &World, search: Search) -> Vec<(Vec<u8>, f32)> {
    match world.ask(vshard(0), Op::Search(search)).expect("hits") {
        Outcome::Hits(hits) => {
            hits.into_iter().map(|hit| (hit.key.to_vec(), hit.distance)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_search_follows_puts_deletes_filters_and_a_kill() {
    let world = World::new(1, options(1));
    for (key, number, at) in [("a", 1, 0.0), ("b", 2, 1.0), ("c", 3, 2.0)] {
        let value = format!("{{\"n\":{number}}}");
        let write = put_vector(key, &value, Some(vec![at, 0.0]));
        written(world.ask(vshard(0), super::world::at(write, Durability::Sync)));
    }
    let near = || search(vec![0.0, 0.0], None);
    assert_eq!(hits(&world, near()), [(b"a".to_vec(), 0.0), (b"b".to_vec(), 1.0)]);
    let filtered = search(vec![0.0, 0.0], Some("n > 1"));
    assert_eq!(hits(&world, filtered)[0].0, b"b");
    world.flush(0).expect("flushed");
    written(world.ask(vshard(0), at(delete("a"), Durability::Sync)));
    let moved = put_vector("c", "{}", Some(vec![0.5, 0.0]));
    written(world.ask(vshard(0), at(moved, Durability::Sync)));
    let expected = [(b"c".to_vec(), 0.25), (b"b".to_vec(), 1.0)];
    assert_eq!(hits(&world, near()), expected);
    let world = world.kill(1);
    assert_eq!(hits(&world, near()), expected);
}

#[test]
fn a_search_that_does_not_fit_its_index_is_refused() {
    let world = World::new(1, options(1));
    let wrong = search(vec![0.0], None);
    let error = world.ask(vshard(0), Op::Search(wrong)).expect_err("short");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_vshard_that_does_not_exist_is_refused_at_once() {
    let world = World::new(2, options(1));
    let sent = world.data.send(
        TENANT,
        vshard(2),
        Op::Status,
        world.deadline(),
        crate::Priority::Background,
    );
    assert!(matches!(sent, Err(DataError::NoSuchVshard { vshards: 2, .. })));
}
