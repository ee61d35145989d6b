//! Expiry (protocol rule P7): what has expired is hidden at once, and nothing below it comes back.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use nodedb_document::{DocumentEngine, Expiring, ExpiryPlace, Place, ReadAt, ScanRange};
use nodedb_engine::Engine;
use nodedb_types::TenantId;
use world::{Bench, compact, delete, get, lsn, place, put, put_until, scan, whole};

const LATEST: ReadAt = ReadAt::Latest;

fn keys(entries: &[Expiring]) -> Vec<(u64, &str)> {
    let key =
        |entry: &Expiring| str::from_utf8(&entry.key).expect("text").to_owned().leak() as &str;
    entries.iter().map(|entry| (entry.time_ms, key(entry))).collect()
}

fn due(engine: &DocumentEngine, until: u64) -> Vec<Expiring> {
    engine.expiring(&ExpiryPlace::first(), until, 100).expect("readable").due
}

#[test]
fn a_row_is_gone_from_the_millisecond_of_its_expiry_on() {
    for bench in [Bench::new(), Bench::plain()] {
        let mut engine = bench.create();
        put_until(&mut engine, 1, ("a", "1"), Some(100));
        put(&mut engine, 2, "b", "2");
        for flushed in [false, true] {
            if flushed {
                bench.flush(&mut engine, 2);
            }
            bench.log.set_commit_ms(99);
            assert_eq!(scan(&engine, LATEST), "a=1 b=2");
            let stored = engine.get(&place("a"), LATEST).expect("readable").expect("there");
            assert_eq!(stored.expires, Some(100));
            bench.log.set_commit_ms(100);
            assert_eq!(scan(&engine, LATEST), "b=2");
            assert_eq!(scan(&engine, ReadAt::Snapshot(lsn(2))), "b=2");
            assert_eq!(get(&engine, "a", LATEST), None);
            assert!(engine.stored(&place("a"), LATEST).expect("readable").is_some());
        }
    }
}

#[test]
fn all_pages_of_a_scan_judge_by_one_time() {
    let bench = Bench::new();
    let mut engine = bench.create();
    for (at, key) in [(1, "a"), (2, "b"), (3, "c")] {
        put_until(&mut engine, at, (key, "x"), Some(100));
    }
    let mut range = ScanRange { limit_rows: 1, now_ms: Some(99), ..whole() };
    let first = engine.scan(&range, LATEST).expect("readable");
    bench.log.set_commit_ms(100);
    range.after = first.next;
    assert_eq!(engine.scan(&range, LATEST).expect("readable").rows.len(), 1);
    range.now_ms = None;
    assert_eq!(engine.scan(&range, LATEST).expect("readable").rows, []);
}

/// A flush or a merge that left the expired version out would show the one below it again.
#[test]
fn the_version_below_an_expired_one_never_comes_back() {
    for bench in [Bench::new(), Bench::plain()] {
        let mut engine = bench.create();
        put(&mut engine, 1, "a", "below");
        bench.flush(&mut engine, 1);
        put_until(&mut engine, 2, ("a", "above"), Some(100));
        bench.log.set_commit_ms(200);
        assert_eq!(get(&engine, "a", LATEST), None);
        for at in 3..12 {
            bench.flush(&mut engine, at - 1);
            put(&mut engine, at, "other", "x");
            compact(&mut engine);
            assert_eq!(scan(&engine, LATEST), "other=x", "after flush {at}");
        }
        drop(engine);
        let engine = bench.load().expect("loaded");
        assert_eq!(get(&engine, "a", LATEST), None);
    }
}

#[test]
fn the_list_of_times_finds_what_has_expired_in_its_order() {
    for bench in [Bench::new(), Bench::plain()] {
        let mut engine = bench.create();
        put_until(&mut engine, 1, ("late", "1"), Some(300));
        put_until(&mut engine, 2, ("soon", "1"), Some(100));
        bench.flush(&mut engine, 2);
        put_until(&mut engine, 3, ("next", "1"), Some(200));
        put(&mut engine, 4, "never", "1");
        assert_eq!(keys(&due(&engine, 99)), []);
        assert_eq!(keys(&due(&engine, 200)), [(100, "soon"), (200, "next")]);
        assert_eq!(keys(&due(&engine, u64::MAX)), [(100, "soon"), (200, "next"), (300, "late")]);
        let first = engine.expiring(&ExpiryPlace::first(), u64::MAX, 1).expect("readable");
        assert_eq!(keys(&first.due), [(100, "soon")]);
        let from = first.next.expect("more");
        assert_eq!(from.time_ms, 200);
        let rest = engine.expiring(&from, 250, 100).expect("readable");
        assert_eq!(keys(&rest.due), [(200, "next")]);
        let last = rest.next.expect("more");
        assert_eq!(last.time_ms, 300);
        let rest = engine.expiring(&last, u64::MAX, 100).expect("readable");
        assert_eq!((keys(&rest.due), rest.next), (vec![(300, "late")], None));
        // The list is nobody's data.
        for tenant in [TenantId::SYSTEM, TenantId::new(2)] {
            let range = ScanRange { tenant, ..whole() };
            assert_eq!(engine.scan(&range, LATEST).expect("readable").rows, []);
        }
    }
}

#[test]
fn an_entry_that_a_later_write_has_left_behind_deletes_nothing() {
    let bench = Bench::new();
    let mut engine = bench.create();
    put_until(&mut engine, 1, ("kept", "1"), Some(100));
    put_until(&mut engine, 2, ("later", "1"), Some(100));
    put_until(&mut engine, 3, ("gone", "1"), Some(100));
    put_until(&mut engine, 4, ("due", "1"), Some(100));
    bench.flush(&mut engine, 4);
    put(&mut engine, 5, "kept", "2");
    put_until(&mut engine, 6, ("later", "2"), Some(500));
    delete(&mut engine, 7, "gone");
    let entries = due(&engine, 100);
    let of = |entry: &Expiring| engine.expiring_document(entry).expect("readable").is_some();
    let deletes: Vec<_> = entries.iter().filter(|entry| of(entry)).cloned().collect();
    assert_eq!(keys(&deletes), [(100, "due")]);
    assert_eq!(entries.len(), 4);
}

#[test]
fn a_forgotten_entry_stays_forgotten_once_flushed_and_comes_back_only_by_replay() {
    for bench in [Bench::new(), Bench::plain()] {
        let mut engine = bench.create();
        put_until(&mut engine, 1, ("a", "1"), Some(100));
        bench.flush(&mut engine, 1);
        for entry in due(&engine, 100) {
            engine.forget_expiring(&entry);
        }
        assert_eq!(due(&engine, u64::MAX), []);
        drop(engine);
        // Not logged and not flushed: seen again.
        let mut engine = bench.load().expect("loaded");
        let entries = due(&engine, 100);
        assert_eq!(keys(&entries), [(100, "a")]);
        delete(&mut engine, 2, "a");
        engine.forget_expiring(&entries[0]);
        // Written again with the same time: a new entry.
        put_until(&mut engine, 3, ("a", "2"), Some(100));
        assert_eq!(keys(&due(&engine, 100)), [(100, "a")]);
        engine.forget_expiring(&entries[0]);
        bench.flush(&mut engine, 3);
        drop(engine);
        let engine = bench.load().expect("loaded");
        assert_eq!(due(&engine, u64::MAX), []);
        let at = Place { tenant: world::TENANT, collection: world::NOTES, key: b"a" };
        assert!(engine.stored(&at, LATEST).expect("readable").is_some());
    }
}

/// While the sweeper halts, or is far behind, a page must end although nothing of what it meets is shown.
#[test]
fn a_page_passes_over_a_bounded_number_of_expired_documents() {
    let bench = Bench::plain();
    let mut engine = bench.create();
    for at in 1..=10_000_u64 {
        put_until(&mut engine, at, (&format!("k{at:05}"), "x"), Some(100));
    }
    put(&mut engine, 10_001, "last", "x");
    bench.log.set_commit_ms(100);
    let mut range = ScanRange { limit_rows: 10, ..whole() };
    let mut pages = 0;
    let mut found = Vec::new();
    loop {
        let page = engine.scan(&range, LATEST).expect("readable");
        found.extend(page.rows.into_iter().map(|(key, _)| key));
        pages += 1;
        match page.next {
            Some(next) => range.after = Some(next),
            None => break,
        }
    }
    assert_eq!(found, ["last"]);
    assert!(pages >= 3, "10,000 expired documents are more than one page looks at: {pages}");
}

/// Documents of one import expire in the same millisecond. The sweeper began each slice at that time, so it
/// passed over everything that it had taken off before, and its work grew with the square of their number.
#[test]
fn a_sweep_looks_at_each_entry_of_one_time_once() {
    const DOCUMENTS: u64 = 10_000;
    let bench = Bench::plain();
    let mut engine = bench.create();
    for at in 1..=DOCUMENTS {
        put_until(&mut engine, at, (&format!("k{at:05}"), "x"), Some(100));
    }
    let (mut from, mut found) = (Some(ExpiryPlace::first()), 0);
    while let Some(place) = from {
        let slice = engine.expiring(&place, 100, 32).expect("readable");
        assert!(slice.due.len() == 32 || slice.next.is_none(), "nothing is passed over");
        assert!(slice.next.as_ref().is_none_or(|next| *next > place), "a slice goes on");
        found += slice.due.len() as u64;
        for entry in &slice.due {
            engine.forget_expiring(entry);
        }
        from = slice.next;
    }
    assert_eq!(found, DOCUMENTS);
    // A look from the beginning meets them all, a bounded number at a time.
    let (mut from, mut slices) = (Some(ExpiryPlace::first()), 0);
    while let Some(place) = from {
        let slice = engine.expiring(&place, 100, 32).expect("readable");
        assert_eq!(slice.due, []);
        slices += 1;
        from = slice.next;
    }
    assert!((10..=11).contains(&slices), "1,024 rows a slice: {slices} slices");
}

/// What the sweeper takes off the list without a logged delete was not counted as dirty, so that no flush ever
/// gave its memory back and writes were let in as if it took none.
#[test]
fn entries_that_are_taken_off_take_memory_that_a_flush_gives_back() {
    let bench = Bench::plain();
    let mut engine = bench.create();
    put_until(&mut engine, 1, ("a", "1"), Some(100));
    put(&mut engine, 2, "a", "2");
    bench.flush(&mut engine, 2);
    assert_eq!(engine.dirty(), None);
    for entry in due(&engine, 100) {
        assert_eq!(engine.expiring_document(&entry).expect("readable"), None);
        engine.forget_expiring(&entry);
    }
    assert!(engine.dirty().is_some_and(|dirty| dirty.bytes == engine.memory_bytes()));
    bench.flush(&mut engine, 2);
    assert_eq!((engine.dirty(), engine.memory_bytes()), (None, 0));
    drop(engine);
    let engine = bench.load().expect("loaded");
    assert_eq!(due(&engine, u64::MAX), []);
    assert_eq!(get(&engine, "a", LATEST).as_deref(), Some("2"));
}
