//! Statistics, large values, and merges within a budget.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests look at real files")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use bytes::Bytes;
use nodedb_document::{
    DocumentEngine, LsmTables, Place, Ports, ReadAt, ScanRange, Statistics, Tallied, Tally,
};
use nodedb_engine::{CrdtRows, Engine, IoBudget, Redo};
use nodedb_env::{Clock, RealClock};
use nodedb_types::{CollectionId, TenantId, limits::VALUE_BYTES_MAX};
use std::{sync::Arc, time::Duration};
use world::{
    Bench, NOTES, TENANT, compact, delete, drop_collection, lsn, put, put_until, stamp, whole,
};

const LATEST: ReadAt = ReadAt::Latest;

fn tally(engine: &DocumentEngine, at: u64, now_ms: u64) -> (Tallied, usize) {
    let mut tally = Tally::new(TENANT, NOTES, lsn(at), now_ms);
    let mut slices = 1;
    loop {
        if let Some(tallied) = engine.tally(&mut tally, None).expect("readable") {
            return (tallied, slices);
        }
        slices += 1;
    }
}

#[test]
fn statistics_count_what_a_reader_of_the_snapshot_sees() {
    for bench in [Bench::new(), Bench::plain()] {
        let mut engine = bench.create();
        put(&mut engine, 1, "a", "12345");
        put_until(&mut engine, 2, ("bb", "123"), Some(100));
        bench.flush(&mut engine, 2);
        put(&mut engine, 3, "ccc", "1");
        let other = Place { collection: CollectionId::new(2), ..world::place("x") };
        let redo = Redo::Put {
            collection: other.collection,
            key: Bytes::from_static(b"x"),
            value: Bytes::from_static(b"not counted"),
            expires: None,
            vectors: Vec::new(),
            fields: Vec::new(),
        };
        engine.apply(stamp(4), TENANT, &redo);
        engine.apply(stamp(5), TenantId::new(2), &redo);
        delete(&mut engine, 6, "a");
        let (found, _) = tally(&engine, 5, 99);
        let statistics = Statistics { documents: 3, key_bytes: 6, value_bytes: 9 };
        assert_eq!(found, Tallied { statistics, snapshot: lsn(5), expires_next: Some(100) });
        let (found, _) = tally(&engine, 5, 100);
        let statistics = Statistics { documents: 2, key_bytes: 4, value_bytes: 6 };
        assert_eq!(found, Tallied { statistics, snapshot: lsn(5), expires_next: None });
        let (found, _) = tally(&engine, 6, 100);
        assert_eq!(found.statistics, Statistics { documents: 1, key_bytes: 3, value_bytes: 1 });
        bench.flush(&mut engine, 6);
        assert_eq!(tally(&engine, 6, 100), (found, 1));
        drop_collection(&mut engine, 7, NOTES);
        assert_eq!(tally(&engine, 7, 0).0.statistics, Statistics::default());
    }
}

#[test]
fn a_crdt_document_counts_once_with_all_of_its_bytes() {
    let bench = Bench::new();
    let mut engine = bench.create();
    let mut rows = CrdtRows::default();
    for slot in 0..3 {
        rows.slots.push(slot);
        rows.used = slot + 1;
        let redo = Redo::CrdtMerge {
            collection: NOTES,
            key: Bytes::from_static(b"doc"),
            update: Bytes::from_static(b"0123456789"),
            slot,
            rows: rows.clone(),
        };
        engine.apply(stamp(u64::from(slot) + 1), TENANT, &redo);
    }
    let (found, _) = tally(&engine, 3, 0);
    let list = 1 + 1 + 3;
    let expected = Statistics { documents: 1, key_bytes: 3, value_bytes: 30 + list };
    assert_eq!(found.statistics, expected);
}

#[test]
fn statistics_of_many_rows_come_in_slices() {
    let bench = Bench::new();
    let mut engine = bench.create();
    for at in 1..=10_000 {
        put(&mut engine, at, &format!("{at:06}"), "12");
    }
    bench.flush(&mut engine, 10_000);
    let (found, slices) = tally(&engine, 10_000, 0);
    let expected = Statistics { documents: 10_000, key_bytes: 60_000, value_bytes: 20_000 };
    assert_eq!(found.statistics, expected);
    assert_eq!(slices, 3);
}

/// Pages of large values hold few of them, and each comes back whole from memtable and tables, merged
/// or not.
#[test]
fn the_largest_values_come_back_whole_and_pages_stay_small() {
    let bench = Bench::new();
    let mut engine = bench.create();
    let value = |fill: u8| {
        let mut value = vec![fill; VALUE_BYTES_MAX];
        for (at, byte) in value.iter_mut().enumerate().step_by(61) {
            *byte = at.to_le_bytes()[0] ^ fill;
        }
        Bytes::from(value)
    };
    for at in 1..=5_u64 {
        let redo = Redo::Put {
            collection: NOTES,
            key: Bytes::from(format!("k{}", at % 3)),
            value: value(at.to_le_bytes()[0]),
            expires: None,
            vectors: Vec::new(),
            fields: Vec::new(),
        };
        engine.apply(stamp(at), TENANT, &redo);
        if at % 2 == 0 {
            bench.flush(&mut engine, at);
            compact(&mut engine);
        }
    }
    let newest = [("k0", 3), ("k1", 4), ("k2", 5)];
    for (key, fill) in newest {
        let stored = engine.get(&world::place(key), LATEST).expect("readable").expect("there");
        assert!(stored.value == value(fill), "{key}");
    }
    let mut range = ScanRange { limit_bytes: 20 << 20, ..whole() };
    let first = engine.scan(&range, LATEST).expect("readable");
    assert_eq!(first.rows.len(), 2);
    range.after = first.next;
    let second = engine.scan(&range, LATEST).expect("readable");
    assert_eq!((second.rows.len(), second.next), (1, None));
    assert!(second.rows[0].1.value == value(5));
}

/// A budget slows merges and flushes down, and nothing else about them changes.
#[test]
fn merges_keep_to_the_budget_until_somebody_is_in_a_hurry() {
    let bench = Bench::over(Arc::new(LsmTables::default()));
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let budget = IoBudget::new(Arc::clone(&clock), Some(2 << 20));
    let ports = Ports { budget: Arc::clone(&budget), ..bench.ports.clone() };
    let bench = Bench { ports, ..bench };
    let mut engine = bench.create();
    let hurry = budget.hurry();
    let value = "x".repeat(1000);
    for at in 1..=2000 {
        put(&mut engine, at, &format!("{:04}", at * 7 % 2000), &value);
        if at % 250 == 0 {
            bench.flush(&mut engine, at);
        }
    }
    drop(hurry);
    let before = clock.now();
    compact(&mut engine);
    // Two megabytes, of which a second's debt was left from the flushes at most.
    let took = clock.now().saturating_sub(before);
    assert!(took >= Duration::from_millis(500), "{took:?}");
    let page = engine.scan(&whole(), LATEST).expect("readable");
    assert_eq!(page.rows.len(), 2000);
}

/// Bytes of all tables.
fn table_bytes(bench: &Bench) -> u64 {
    let entries = std::fs::read_dir(bench.tables().join("tables")).expect("readable");
    entries.map(|entry| entry.expect("an entry").metadata().expect("a file").len()).sum()
}

/// A value that does not compress.
fn noise(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state % 90) as u8)
    };
    (0..1000).map(|_| next()).collect()
}

/// Levels alone let tombstones wait for other writes: deleting everything freed nothing.
#[test]
fn what_is_overwritten_or_deleted_gives_its_space_back() {
    const ROWS: u64 = 1000;
    let bench = Bench::new();
    let mut engine = bench.create();
    let mut at = 0;
    let live = ROWS * 1020;
    for round in 0..20 {
        for row in 0..ROWS {
            at += 1;
            put(&mut engine, at, &format!("{row:04}"), &noise(at));
        }
        bench.flush(&mut engine, at);
        compact(&mut engine);
        let found = table_bytes(&bench);
        // The live rows and what the flushes since the last merge have written.
        assert!(found <= 5 * live, "{found} bytes after round {round}");
    }
    for row in 0..ROWS {
        // An entry of an index goes with each, so that there are enough tombstones to be worth it.
        for entry in 0..5 {
            at += 1;
            delete(&mut engine, at, &format!("{row:04}{}", "x".repeat(entry)));
        }
    }
    bench.flush(&mut engine, at);
    compact(&mut engine);
    let found = table_bytes(&bench);
    assert!(found < 16 << 10, "{found} bytes of nothing");
    assert_eq!(world::scan(&engine, LATEST), "");
    drop(engine);
    let engine = bench.load().expect("loaded");
    assert_eq!(engine.flushed().floor(), Some(lsn(at)));
    assert_eq!(world::scan(&engine, LATEST), "");
}
