//! Rows of collections: pages, CRDT documents, drops.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use bytes::Bytes;
use nodedb_document::{DocumentEngine, Place, ReadAt, ScanRange};
use nodedb_engine::{CrdtRows, Engine, Redo};
use nodedb_types::{CollectionId, ErrorKind, TenantId};
use world::{
    Bench, NOTES, TENANT, compact, delete, drop_collection, get, lsn, place, put, scan, stamp,
    whole,
};

const LATEST: ReadAt = ReadAt::Latest;

#[test]
fn tenants_and_collections_do_not_see_each_other() {
    let bench = Bench::new();
    let mut engine = bench.create();
    let other = Place { tenant: TenantId::new(2), ..place("a") };
    put(&mut engine, 1, "a", "1");
    bench.flush(&mut engine, 1);
    put(&mut engine, 2, "b", "2");
    assert_eq!(engine.get(&other, LATEST).expect("readable"), None);
    for range in [
        ScanRange { tenant: TenantId::new(2), ..whole() },
        ScanRange { collection: CollectionId::new(2), ..whole() },
    ] {
        assert_eq!(engine.scan(&range, LATEST).expect("readable").rows, []);
    }
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let bench = Bench::new();
    let mut engine = bench.create();
    for n in 0..60_u64 {
        put(&mut engine, n + 1, &format!("k{n:02}"), "0123456789");
        if n == 20 || n == 40 {
            bench.flush(&mut engine, n + 1);
        }
    }
    delete(&mut engine, 61, "k07");
    delete(&mut engine, 62, "k30");
    let limits = [(1, usize::MAX), (7, usize::MAX), (usize::MAX, 30), (usize::MAX, 0), (100, 1000)];
    for (limit_rows, limit_bytes) in limits {
        let mut range = ScanRange { limit_rows, limit_bytes, ..whole() };
        let mut keys = Vec::new();
        loop {
            let page = engine.scan(&range, LATEST).expect("readable");
            assert!(page.rows.len() <= limit_rows);
            keys.extend(page.rows.into_iter().map(|(key, _)| key));
            match page.next {
                Some(next) => range.after = Some(next),
                None => break,
            }
        }
        assert_eq!(keys.len(), 58);
        assert!(keys.is_sorted_by(|a, b| a < b));
    }
    let count = |prefix: &'static str, after: Option<&'static str>| {
        let range = ScanRange {
            prefix: Bytes::from_static(prefix.as_bytes()),
            after: after.map(|key| Bytes::from_static(key.as_bytes())),
            ..whole()
        };
        engine.scan(&range, LATEST).expect("readable").rows.len()
    };
    assert_eq!(count("k0", None), 9);
    assert_eq!(count("k1", Some("k15")), 4);
    assert_eq!(count("k1", Some("k0")), 10);
    assert_eq!(count("k1", Some("k2")), 0);
    assert_eq!(count("k1", Some("z")), 0);
    assert_eq!(count("z", None), 0);
}

fn merge(engine: &mut DocumentEngine, at: u64, update: &'static str, slots: &[u8]) -> CrdtRows {
    let rows = CrdtRows { slots: slots.to_vec(), used: 4 };
    let redo = Redo::CrdtMerge {
        collection: NOTES,
        key: Bytes::from_static(b"doc"),
        slot: *slots.last().expect("the one of the update"),
        update: Bytes::from_static(update.as_bytes()),
        rows: rows.clone(),
    };
    engine.apply(stamp(at), TENANT, &redo);
    rows
}

#[test]
fn a_crdt_document_is_its_rows_in_order() {
    for bench in [Bench::new(), Bench::plain()] {
        let mut engine = bench.create();
        merge(&mut engine, 1, "u1", &[0]);
        bench.flush(&mut engine, 1);
        let two = merge(&mut engine, 2, "u2", &[0, 1]);
        let rows = engine.crdt_rows(&place("doc"), LATEST).expect("readable");
        assert_eq!(rows, Some((stamp(2), two.clone())));
        let blobs = engine.crdt_blobs(&place("doc"), &two, LATEST).expect("readable");
        assert_eq!(blobs, ["u1", "u2"]);

        let redo = Redo::CrdtSnapshot {
            collection: NOTES,
            key: Bytes::from_static(b"doc"),
            slot: 2,
            snapshot: Bytes::from_static(b"s"),
            rows: CrdtRows { slots: vec![2], used: 4 },
            freed: vec![1],
        };
        engine.apply(stamp(3), TENANT, &redo);
        bench.flush(&mut engine, 3);
        let gone = engine.crdt_blobs(&place("doc"), &two, LATEST).expect_err("freed");
        assert_eq!(gone.kind(), ErrorKind::Corrupt);
        let three = merge(&mut engine, 4, "u4", &[2, 0]);
        let blobs = engine.crdt_blobs(&place("doc"), &three, LATEST).expect("readable");
        assert_eq!(blobs, ["s", "u4"], "a slot is written again once it was packed");

        let redo = Redo::Delete {
            collection: NOTES,
            key: Bytes::from_static(b"doc"),
            vectors: Vec::new(),
            crdt: Some(three.clone()),
            fields: Vec::new(),
        };
        engine.apply(stamp(5), TENANT, &redo);
        bench.flush(&mut engine, 5);
        drop(engine);
        let engine = bench.load().expect("loaded");
        assert_eq!(engine.crdt_rows(&place("doc"), LATEST).expect("readable"), None);
        for slot in three.slots {
            let rows = CrdtRows { slots: vec![slot], used: 4 };
            let blobs = engine.crdt_blobs(&place("doc"), &rows, LATEST);
            assert_eq!(blobs.expect_err("deleted").kind(), ErrorKind::Corrupt);
        }
    }
}

/// 2,000 characters without a pattern.
fn incompressible(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 90).expect("small"))
    };
    (0..2000).map(|_| next()).collect()
}

#[test]
fn a_dropped_collection_is_gone_for_good_and_its_rows_are_purged() {
    for bench in [Bench::new(), Bench::plain()] {
        let mut engine = bench.create();
        for round in 1..=4_u64 {
            put(&mut engine, round, &format!("k{round}"), &incompressible(round));
            bench.flush(&mut engine, round);
        }
        put(&mut engine, 5, "k5", "5");
        drop_collection(&mut engine, 6, NOTES);
        let nothing = |engine: &DocumentEngine| {
            for n in 1..=7 {
                assert_eq!(get(engine, &format!("k{n}"), LATEST), None);
            }
            assert_eq!(scan(engine, LATEST), "");
        };
        nothing(&engine);
        // A record of before the drop that is replayed after it.
        put(&mut engine, 7, "k7", "7");
        nothing(&engine);
        assert_eq!(engine.dirty().expect("dirty").oldest, lsn(5));
        bench.flush(&mut engine, 7);
        let before = bench.verify().expect("whole").bytes;
        // Another collection's flushes make merging worth it.
        for round in 8..=14_u64 {
            let redo = Redo::Put {
                collection: CollectionId::new(2),
                key: Bytes::from_static(b"k"),
                value: Bytes::from_static(b"v"),
                vectors: Vec::new(),
                expires: None,
                fields: Vec::new(),
            };
            engine.apply(stamp(round), TENANT, &redo);
            bench.flush(&mut engine, round);
            compact(&mut engine);
        }
        nothing(&engine);
        drop(engine);
        let mut engine = bench.load().expect("loaded");
        nothing(&engine);
        put(&mut engine, 15, "k15", "15");
        assert_eq!(engine.dirty(), None);
        assert!(bench.verify().expect("whole").bytes + 6000 < before);
    }
}

#[test]
fn a_drop_alone_is_dirty_and_moves_the_floor() {
    let bench = Bench::new();
    let mut engine = bench.create();
    drop_collection(&mut engine, 3, NOTES);
    assert_eq!(engine.dirty().expect("dirty").oldest, lsn(3));
    assert_eq!(bench.flush(&mut engine, 3), Some(lsn(3)));
    drop_collection(&mut engine, 4, NOTES);
    assert_eq!(engine.dirty(), None);
}
