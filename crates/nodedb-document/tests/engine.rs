//! What an engine promises, by scenario.
#![expect(clippy::disallowed_methods, reason = "tests look at real files")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use nodedb_document::{DocumentEngine, DocumentError, ReadAt};
use nodedb_engine::{DurableLog, Engine, EngineError, Frozen, Persisted};
use nodedb_types::{ErrorKind, Lsn};
use std::sync::Arc;
use world::{Bench, compact, copy, delete, get, lsn, place, put, scan, stamp, whole};

const LATEST: ReadAt = ReadAt::Latest;
fn at(position: u64) -> ReadAt {
    ReadAt::Snapshot(lsn(position))
}

#[test]
fn a_value_is_read_from_memtable_frozen_and_tables_alike() {
    for bench in [Bench::new(), Bench::plain()] {
        let mut engine = bench.create();
        assert_eq!(engine.dirty(), None);
        assert!(engine.freeze(lsn(1)).is_none());
        put(&mut engine, 1, "a", "1");
        put(&mut engine, 2, "b", "2");
        bench.log.set_durable(2);
        let frozen = engine.freeze(lsn(2)).expect("dirty");
        put(&mut engine, 3, "c", "3");
        delete(&mut engine, 4, "a");
        for _ in 0..2 {
            assert_eq!(scan(&engine, LATEST), "b=2 c=3");
            assert_eq!(scan(&engine, at(2)), "a=1 b=2");
            assert_eq!(get(&engine, "a", at(3)), Some("1".to_owned()));
            assert_eq!(get(&engine, "a", LATEST), None);
            let persisted = frozen.clone().persist(&*bench.log).expect("persisted");
            engine.install(persisted);
        }
        let stored = engine.get(&place("b"), LATEST).expect("readable").expect("there");
        assert_eq!(stored.stamp, stamp(2));
        assert_eq!(engine.dirty().expect("dirty").oldest, lsn(3));
    }
}

#[test]
fn a_cursor_at_100_never_sees_120_that_was_ingested_with_150() {
    let bench = Bench::new();
    let mut engine = bench.create();
    put(&mut engine, 90, "a", "old");
    put(&mut engine, 95, "gone later", "x");
    bench.log.set_durable(100);
    let registry = Arc::clone(&bench.ports.snapshots);
    let snapshot = registry.register(|| bench.log.durable()).expect("durable");
    put(&mut engine, 120, "a", "new");
    put(&mut engine, 121, "b", "new");
    delete(&mut engine, 122, "gone later");
    let frozen = engine.freeze(lsn(150)).expect("dirty");
    let expected = "a=old gone later=x";
    assert_eq!(scan(&engine, ReadAt::Snapshot(snapshot.lsn())), expected);
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| frozen.persist(&*bench.log));
        // The flush waits for the cursor: whatever its thread does, nothing is ingested by now.
        while bench.log.durable() < Some(lsn(150)) {
            std::thread::yield_now();
        }
        assert!(!bench.tables().exists());
        assert_eq!(scan(&engine, ReadAt::Snapshot(snapshot.lsn())), expected);
        snapshot.check().expect("still open");
        drop(snapshot);
        let persisted = flush.join().expect("no panic").expect("persisted");
        engine.install(persisted);
    });
    assert_eq!(scan(&engine, at(150)), "a=new b=new");
    let error = engine.scan(&whole(), at(100)).expect_err("too late");
    assert!(matches!(error, DocumentError::SnapshotExpired(_)));
    assert_eq!(error.kind(), ErrorKind::SnapshotExpired);
}

#[test]
fn a_flush_ahead_of_durability_is_refused_and_repeated() {
    let bench = Bench::new();
    let mut engine = bench.create();
    put(&mut engine, 1, "a", "1");
    bench.log.set_limit(0);
    let frozen = engine.freeze(lsn(1)).expect("dirty");
    let error = frozen.persist(&*bench.log).expect_err("not durable");
    assert!(matches!(error, EngineError::NotDurable { lsn } if lsn.get() == 1));
    assert!(!bench.tables().exists());
    put(&mut engine, 2, "a", "2");
    bench.log.set_limit(u64::MAX);
    let again = engine.freeze(lsn(2)).expect("the same part again");
    assert_eq!(again.watermark(), lsn(1));
    engine.install(again.persist(&*bench.log).expect("persisted"));
    assert_eq!(engine.flushed().floor(), Some(lsn(1)));
    assert_eq!(engine.dirty().expect("dirty").oldest, lsn(2));
    assert_eq!(get(&engine, "a", LATEST), Some("2".to_owned()));
}

#[test]
fn the_floor_survives_when_every_row_is_compacted_away() {
    let bench = Bench::new();
    let mut engine = bench.create();
    for round in 0..12 {
        put(&mut engine, round * 2 + 1, "a", "1");
        bench.flush(&mut engine, round * 2 + 1);
        delete(&mut engine, round * 2 + 2, "a");
        bench.flush(&mut engine, round * 2 + 2);
        compact(&mut engine);
    }
    assert_eq!(engine.flushed().floor(), Some(lsn(24)));
    drop(engine);
    let engine = bench.load().expect("loaded");
    assert_eq!(engine.flushed().floor(), Some(lsn(24)));
    assert_eq!(scan(&engine, LATEST), "");
}

#[test]
fn a_kill_between_ingestion_and_switch_is_made_up_for() {
    for bench in [Bench::new(), Bench::plain()] {
        for first in [false, true] {
            let kept = bench.temp.path().join("manifest");
            let mut engine = bench.create();
            if !first {
                put(&mut engine, 1, "a", "1");
                bench.flush(&mut engine, 1);
            }
            std::fs::copy(bench.dir.join("MANIFEST"), &kept).expect("copied");
            put(&mut engine, 2, "b", "2");
            bench.flush(&mut engine, 5);
            drop(engine);
            std::fs::copy(&kept, bench.dir.join("MANIFEST")).expect("put back");
            let engine = bench.load().expect("loaded");
            assert_eq!(engine.flushed().floor(), Some(lsn(5)));
            drop(engine);
            // The switch was made up for on disk as well.
            let engine = bench.load().expect("loaded");
            assert_eq!(engine.flushed().floor(), Some(lsn(5)));
            assert_eq!(get(&engine, "b", LATEST), Some("2".to_owned()));
            drop(engine);
            std::fs::remove_dir_all(&bench.dir).expect("removed");
        }
    }
}

#[test]
fn tables_above_the_log_are_refused() {
    let bench = Bench::new();
    let mut engine = bench.create();
    put(&mut engine, 7, "a", "1");
    bench.flush(&mut engine, 7);
    drop(engine);
    bench.log.set_durable(6);
    let error = bench.load().expect_err("the log ends at 6");
    assert!(matches!(&error, EngineError::Corrupt { message, .. } if message.contains("log")));
}

#[test]
fn an_older_generation_is_visible_as_a_lower_floor() {
    let bench = Bench::new();
    let mut engine = bench.create();
    put(&mut engine, 1, "a", "1");
    bench.flush(&mut engine, 1);
    let old = bench.temp.path().join("old");
    copy(&bench.dir, &old);
    put(&mut engine, 2, "a", "2");
    bench.flush(&mut engine, 2);
    drop(engine);
    std::fs::remove_dir_all(bench.tables()).expect("removed");
    copy(&old.join("tables"), &bench.tables());
    let error = bench.load().expect_err("the manifest promises more");
    assert!(matches!(error, EngineError::Corrupt { .. }));
    std::fs::remove_dir_all(&bench.dir).expect("removed");
    copy(&old, &bench.dir);
    let engine = bench.load().expect("whole, but old");
    assert_eq!(engine.flushed().floor(), Some(lsn(1)));
}

#[test]
fn replay_repeats_nothing_and_skips_what_is_flushed() {
    let bench = Bench::new();
    let mut engine = bench.create();
    let replay = |engine: &mut DocumentEngine| {
        put(engine, 1, "a", "1");
        delete(engine, 2, "a");
        put(engine, 3, "b", "3");
        put(engine, 4, "b", "4");
    };
    replay(&mut engine);
    let bytes = engine.memory_bytes();
    replay(&mut engine);
    assert_eq!(engine.memory_bytes(), bytes);
    assert_eq!(scan(&engine, LATEST), "b=4");
    bench.flush(&mut engine, 4);
    replay(&mut engine);
    assert_eq!((engine.dirty(), engine.memory_bytes()), (None, 0));
    drop(engine);
    let mut engine = bench.load().expect("loaded");
    replay(&mut engine);
    assert_eq!(engine.dirty(), None);
    assert_eq!(scan(&engine, LATEST), "b=4");
}

#[test]
fn every_prefix_of_the_log_loads() {
    for cut in 0..=12_u64 {
        let bench = Bench::plain();
        let mut engine = bench.create();
        let write = |engine: &mut DocumentEngine, n: u64| match n % 3 {
            0 => delete(engine, n, "k1"),
            rest => put(engine, n, &format!("k{rest}"), &n.to_string()),
        };
        for n in 1..=cut {
            write(&mut engine, n);
            if n % 5 == 0 {
                bench.flush(&mut engine, n);
            }
        }
        let before = scan(&engine, LATEST);
        bench.log.set_durable(cut);
        drop(engine);
        let mut engine = bench.load().expect("loaded");
        assert_eq!(engine.flushed().floor().map_or(0, Lsn::get), cut / 5 * 5);
        for n in 1..=cut {
            write(&mut engine, n);
        }
        assert_eq!(scan(&engine, LATEST), before);
    }
}

#[test]
fn a_merge_that_ends_before_a_flush_is_installed_after_it() {
    let bench = Bench::new();
    let mut engine = bench.create();
    let mut at = 0;
    for _ in 0..5 {
        at += 1;
        put(&mut engine, at, "a", &at.to_string());
        bench.flush(&mut engine, at);
    }
    let merged = engine.maintenance().compact().expect("merged").expect("worth it");
    put(&mut engine, 6, "a", "6");
    let frozen = engine.freeze(lsn(6)).expect("dirty");
    engine.install(frozen.persist(&*bench.log).expect("persisted"));
    // An older view never replaces a newer one.
    engine.install_tables(merged);
    assert_eq!(get(&engine, "a", LATEST), Some("6".to_owned()));
}

#[test]
fn many_flushes_without_merging_stay_readable() {
    let bench = Bench::new();
    let mut engine = bench.create();
    for n in 1..=150_u64 {
        put(&mut engine, n, &format!("k{}", n % 10), &n.to_string());
        bench.flush(&mut engine, n);
    }
    assert_eq!(get(&engine, "k0", LATEST), Some("150".to_owned()));
    drop(engine);
    let engine = bench.load().expect("loaded");
    assert_eq!(get(&engine, "k9", LATEST), Some("149".to_owned()));
    let persisted = engine.flushed();
    assert_eq!(persisted.floor(), Some(lsn(150)));
}

#[test]
fn a_view_outlives_the_tables_that_were_merged_away() {
    let bench = Bench::new();
    let mut engine = bench.create();
    for n in 1..=6_u64 {
        put(&mut engine, n, &format!("k{n}"), "v");
        bench.flush(&mut engine, n);
    }
    // Merged on disk, not yet installed: the engine still reads the old files.
    let merged = engine.maintenance().compact().expect("merged").expect("worth it");
    assert_eq!(scan(&engine, LATEST).split(' ').count(), 6);
    assert_eq!(get(&engine, "k1", LATEST), Some("v".to_owned()));
    engine.install_tables(merged);
    assert_eq!(scan(&engine, LATEST).split(' ').count(), 6);
}

#[test]
fn after_a_failed_flush_only_a_reopen_goes_on() {
    let bench = Bench::new();
    let mut engine = bench.create();
    put(&mut engine, 1, "a", "1");
    bench.flush(&mut engine, 1);
    put(&mut engine, 2, "b", "2");
    let (tables, away) = (bench.tables().join("tables"), bench.temp.path().join("away"));
    std::fs::rename(&tables, &away).expect("moved");
    let frozen = engine.freeze(lsn(2)).expect("dirty");
    let error = frozen.clone().persist(&*bench.log).expect_err("no directory");
    assert_eq!(error.kind(), ErrorKind::Io);
    std::fs::rename(&away, &tables).expect("moved back");
    // Memory and disk may disagree by now, so the same tree takes no more changes.
    let error = frozen.persist(&*bench.log).expect_err("not trusted");
    assert!(matches!(error, EngineError::InDoubt { .. }), "{error}");
    let error = engine.maintenance().compact().expect_err("not trusted");
    assert!(matches!(error, EngineError::InDoubt { .. }), "{error}");
    assert_eq!(engine.flushed().floor(), Some(lsn(1)));
    assert_eq!(scan(&engine, LATEST), "a=1 b=2");
    drop(engine);
    let mut engine = bench.load().expect("loaded");
    assert_eq!(engine.flushed().floor(), Some(lsn(1)));
    put(&mut engine, 2, "b", "2");
    assert_eq!(bench.flush(&mut engine, 2), Some(lsn(2)));
    assert_eq!(scan(&engine, LATEST), "a=1 b=2");
}

#[test]
fn a_large_value_comes_back_whole() {
    let bench = Bench::new();
    let mut engine = bench.create();
    let value: String =
        (0..16_u32 << 20).map(|n| char::from(b'a' + u8::try_from(n % 23).unwrap_or(0))).collect();
    put(&mut engine, 1, "large", &value);
    put(&mut engine, 2, "small", "s");
    bench.flush(&mut engine, 2);
    drop(engine);
    let engine = bench.load().expect("loaded");
    assert!(get(&engine, "large", LATEST) == Some(value));
    assert_eq!(get(&engine, "small", LATEST), Some("s".to_owned()));
}

#[test]
fn persisted_proof_and_watermark_agree() {
    let bench = Bench::plain();
    let mut engine = bench.create();
    put(&mut engine, 3, "a", "1");
    let frozen = engine.freeze(lsn(9)).expect("dirty");
    assert_eq!(frozen.watermark(), lsn(9));
    let persisted = frozen.persist(&*bench.log).expect("persisted");
    assert_eq!(persisted.flushed().floor(), Some(lsn(9)));
    engine.install(persisted);
    assert_eq!(engine.flushed().floor(), Some(lsn(9)));
}
