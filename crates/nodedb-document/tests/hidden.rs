//! Runs of rows that are not shown end a page: no call looks at more than its bound, and the pages together
//! answer everything.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use bytes::Bytes;
use nodedb_document::{
    Direction, DocumentEngine, Dropped, Filter, PlainTables, ReadAt, Row, Rows, ScanPage,
    ScanRange, SortedTables, Statistics, TableStore, TableView, Tally, Verified,
    index::EntryCount,
    plan::{Plan, Selection},
};
use nodedb_engine::{Engine, EngineError, FieldChange, FieldIndex, IndexState, IoBudget, Redo};
use nodedb_env::Files;
use nodedb_types::{ErrorKind, IndexId};
use std::{
    ops::Bound,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use world::{Bench, NOTES, TENANT, delete, lsn, place, put, stamp, whole};

/// Rows that a page of any kind looks at, at most, beside the few that it shows: the bound, and one row of
/// each layer to see whether there are more.
const LOOKED_MAX: u64 = 4096 + 4;
const ROWS: u64 = 200_000;

/// The plain tables, counting the rows that are read from them one after another.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<AtomicU64>);

#[derive(Debug)]
struct CountedTables(Box<dyn SortedTables>, Counted);

#[derive(Debug)]
struct CountedView(Arc<dyn TableView>, Counted);

impl Counted {
    /// How many since the last time.
    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }

    fn over(&self, tables: Box<dyn SortedTables>) -> Box<dyn SortedTables> {
        Box::new(CountedTables(tables, self.clone()))
    }
}

impl TableStore for Counted {
    fn create(&self, f: &Arc<dyn Files>, dir: &Path) -> Result<Box<dyn SortedTables>, EngineError> {
        Ok(self.over(PlainTables.create(f, dir)?))
    }

    fn exists(&self, files: &dyn Files, dir: &Path) -> Result<bool, EngineError> {
        PlainTables.exists(files, dir)
    }

    fn open(&self, f: &Arc<dyn Files>, dir: &Path) -> Result<Box<dyn SortedTables>, EngineError> {
        Ok(self.over(PlainTables.open(f, dir)?))
    }

    fn verify(&self, files: &dyn Files, dir: &Path) -> Result<Verified, EngineError> {
        PlainTables.verify(files, dir)
    }
}

impl SortedTables for CountedTables {
    fn ingest(&mut self, rows: &mut dyn Iterator<Item = Row>) -> Result<(), EngineError> {
        self.0.ingest(rows)
    }

    fn compact(&mut self, budget: &Arc<IoBudget>) -> Result<bool, EngineError> {
        self.0.compact(budget)
    }

    fn set_dropped(&mut self, dropped: &Dropped) {
        self.0.set_dropped(dropped);
    }

    fn view(&self) -> Arc<dyn TableView> {
        Arc::new(CountedView(self.0.view(), self.1.clone()))
    }
}

impl TableView for CountedView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.0.get(key)
    }

    fn range(&self, bounds: (Bound<&[u8]>, Bound<&[u8]>), direction: Direction) -> Rows<'_> {
        let count = &self.1.0;
        Box::new(self.0.range(bounds, direction).inspect(|_| {
            count.fetch_add(1, Ordering::Relaxed);
        }))
    }
}

fn key(number: u64) -> String {
    format!("k{number:06}")
}

/// All keys are in the tables, and all but the last are deleted above them.
fn nearly_empty(bench: &Bench) -> DocumentEngine {
    let mut engine = bench.create();
    for number in 0..ROWS {
        put(&mut engine, number + 1, &key(number), r#"{"a":1}"#);
    }
    bench.flush(&mut engine, ROWS);
    for number in 0..ROWS - 1 {
        delete(&mut engine, ROWS + number + 1, &key(number));
    }
    engine
}

/// The keys of all pages, and how many there were.
fn pages(range: ScanRange, mut page: impl FnMut(&ScanRange) -> ScanPage) -> (Vec<Bytes>, u64) {
    let (mut range, mut keys, mut pages) = (range, Vec::new(), 0);
    loop {
        let ScanPage { rows, next } = page(&range);
        keys.extend(rows.into_iter().map(|(key, _)| key));
        pages += 1;
        let Some(next) = next else {
            return (keys, pages);
        };
        let on = |after: &Bytes| range.direction.compare(after, &next).is_lt();
        assert!(range.after.as_ref().is_none_or(on), "a page goes on");
        range.after = Some(next);
    }
}

#[test]
fn deleted_keys_before_a_live_one_end_a_page() {
    let counted = Counted::default();
    let bench = Bench::over(Arc::new(counted.clone()));
    let engine = nearly_empty(&bench);
    let last = vec![Bytes::from(key(ROWS - 1))];
    let filters = ["a = 1", "a = 2"].map(|text| Filter::parse(text).expect("a filter"));
    for direction in [Direction::Ascending, Direction::Descending] {
        let range = ScanRange { direction, limit_rows: 512, ..whole() };
        let scanned = pages(range.clone(), |range| {
            let page = engine.scan(range, ReadAt::Latest).expect("readable");
            assert!(counted.take() <= LOOKED_MAX);
            page
        });
        assert_eq!(scanned, (last.clone(), ROWS.div_ceil(4096)));
        for (filter, found) in filters.iter().zip([&last[..], &[]]) {
            let plan = Plan::new(filter, &[]);
            let (keys, _) = pages(range.clone(), |range| {
                let selection = Selection { range, filter, plan: &plan };
                let page = engine.select(&selection, ReadAt::Latest).expect("readable");
                assert!(counted.take() <= LOOKED_MAX);
                page
            });
            assert_eq!(keys, found);
        }
    }
    let mut tally = Tally::new(TENANT, NOTES, lsn(2 * ROWS), 0);
    let mut slices = 1;
    let tallied = loop {
        let slice = engine.tally(&mut tally, None).expect("readable");
        assert!(counted.take() <= LOOKED_MAX);
        match slice {
            Some(tallied) => break tallied.statistics,
            None => slices += 1,
        }
    };
    assert_eq!(tallied, Statistics { documents: 1, key_bytes: 7, value_bytes: 7 });
    assert_eq!(slices, ROWS.div_ceil(4096));
}

/// Real tables keep a deleted row as a tombstone until a merge; the library's own iterator passes over all of
/// them in one step.
#[test]
fn tombstones_of_real_tables_end_a_page() {
    let bench = Bench::new();
    let mut engine = nearly_empty(&bench);
    for flushed in [false, true] {
        if flushed {
            bench.flush(&mut engine, 2 * ROWS);
            // Without merging: deleted rows lie above the ones that they hide.
            assert_eq!(engine.memory_bytes(), 0);
        }
        for direction in [Direction::Ascending, Direction::Descending] {
            let range = ScanRange { direction, limit_rows: 512, ..whole() };
            let scanned =
                pages(range, |range| engine.scan(range, ReadAt::Latest).expect("readable"));
            assert_eq!(scanned, (vec![Bytes::from(key(ROWS - 1))], ROWS.div_ceil(4096)));
        }
    }
}

/// Rows that came after the snapshot were passed over without a bound too.
#[test]
fn rows_that_a_snapshot_does_not_see_end_a_page() {
    let bench = Bench::plain();
    let mut engine = bench.create();
    put(&mut engine, 1, "z", "1");
    let snapshot = ReadAt::Snapshot(lsn(1));
    for number in 0..20_000 {
        put(&mut engine, number + 2, &key(number), "1");
    }
    let (keys, count) = pages(whole(), |range| engine.scan(range, snapshot).expect("readable"));
    assert_eq!((keys, count), (vec![Bytes::from("z")], 5));
}

#[test]
fn a_page_ends_in_time_and_goes_on() {
    let bench = Bench::plain();
    let mut engine = bench.create();
    for number in 0..1_000 {
        put(&mut engine, number + 1, &key(number), "{}");
    }
    let filter = Filter::parse("TRUE").expect("a filter");
    let plan = Plan::new(&filter, &[]);
    // It is over already, and still every page shows something.
    let range = ScanRange { until: Some(Duration::ZERO), ..whole() };
    let scanned = pages(range.clone(), |range| engine.scan(range, ReadAt::Latest).expect("read"));
    let selected = pages(range, |range| {
        let selection = Selection { range, filter: &filter, plan: &plan };
        engine.select(&selection, ReadAt::Latest).expect("read")
    });
    for (keys, pages) in [scanned, selected] {
        assert_eq!(keys.len(), 1_000);
        assert!((50..=100).contains(&pages), "16 rows between looks at the clock: {pages} pages");
    }
    let mut tally = Tally::new(TENANT, NOTES, lsn(1_000), 0);
    let tallied = engine.tally(&mut tally, Some(Duration::ZERO)).expect("readable");
    assert_eq!(tallied, None);
}

const INDEX: IndexId = IndexId::new(7);

fn index() -> FieldIndex {
    FieldIndex { id: INDEX, path: "n".into(), unique: false, state: IndexState::Ready }
}

/// Writes a document whose `n` was one value and is another one.
fn write(engine: &mut DocumentEngine, at: u64, name: &str, n: (Option<u64>, Option<u64>)) {
    let text = |n: u64| format!("{{\"n\":{n}}}");
    let value = |n: u64| {
        let values = nodedb_document::index::field_values(&[index()], text(n).as_bytes());
        values.expect("a document").remove(0).value.expect("an entry")
    };
    let fields = vec![FieldChange { index: INDEX, before: n.0.map(value), after: n.1.map(value) }];
    let (collection, key) = (NOTES, Bytes::copy_from_slice(name.as_bytes()));
    let redo = match n.1 {
        Some(n) => {
            let value = text(n).into();
            Redo::Put { collection, key, value, expires: None, vectors: Vec::new(), fields }
        }
        None => Redo::Delete { collection, key, vectors: Vec::new(), crdt: None, fields },
    };
    engine.apply(stamp(at), TENANT, &redo);
}

/// A list of 256 values read the first 1,024 entries of each of them for every page.
#[test]
fn a_page_of_many_values_reads_little_more_than_it_shows() {
    const VALUES: u64 = 256;
    const EACH: u64 = 200;
    let counted = Counted::default();
    let bench = Bench::over(Arc::new(counted.clone()));
    let mut engine = bench.create();
    for number in 0..VALUES * EACH {
        write(&mut engine, number + 1, &key(number), (None, Some(number % VALUES)));
    }
    bench.flush(&mut engine, VALUES * EACH);
    let list: Vec<_> = (0..VALUES).map(|value| value.to_string()).collect();
    let filter = Filter::parse(&format!("n IN ({})", list.join(", "))).expect("a filter");
    let index = index();
    let plan = Plan::new(&filter, &[&index]);
    assert!(!plan.is_scan());
    for direction in [Direction::Ascending, Direction::Descending] {
        let range = ScanRange { direction, limit_rows: 512, ..whole() };
        let (keys, pages) = pages(range, |range| {
            let selection = Selection { range, filter: &filter, plan: &plan };
            let page = engine.select(&selection, ReadAt::Latest).expect("readable");
            let looked = counted.take();
            assert!(looked <= 512 + 3 * VALUES, "a page of 512 rows looked at {looked}");
            page
        });
        assert_eq!(keys.len() as u64, VALUES * EACH);
        assert!(keys.is_sorted_by(|one, other| direction.compare(one, other).is_lt()));
        assert_eq!(pages, (VALUES * EACH).div_ceil(512));
    }
}

/// Each document goes from one value to the other, some back again. Where a page ends at an entry that was
/// left behind, its document may have an entry under the other value, which must not be lost.
#[test]
fn documents_that_changed_their_value_are_found_once() {
    let bench = Bench::plain();
    let mut engine = bench.create();
    let mut at = 0;
    let mut next = || {
        at += 1;
        at
    };
    for number in 0..20_000 {
        let name = key(number);
        write(&mut engine, next(), &name, (None, Some(1)));
        write(&mut engine, next(), &name, (Some(1), Some(2)));
        if number % 3 == 0 {
            write(&mut engine, next(), &name, (Some(2), Some(1)));
        }
        if number % 5 == 0 {
            let before = if number % 3 == 0 { 1 } else { 2 };
            write(&mut engine, next(), &name, (Some(before), None));
        }
    }
    let expected: Vec<_> = (0..20_000).filter(|n| n % 5 > 0).map(|n| Bytes::from(key(n))).collect();
    let index = index();
    for (text, wanted) in [("n IN (1, 2)", None), ("n = 1", Some(0)), ("n > 0 AND n < 2", Some(0))]
    {
        let filter = Filter::parse(text).expect("a filter");
        let plan = Plan::new(&filter, &[&index]);
        let range = ScanRange { limit_rows: 100, ..whole() };
        let (keys, _) = pages(range, |range| {
            let selection = Selection { range, filter: &filter, plan: &plan };
            engine.select(&selection, ReadAt::Latest).expect("readable")
        });
        let of = |number: &usize| wanted.is_none_or(|rest| number % 3 == rest);
        let expected = expected
            .iter()
            .filter(|key| of(&str::from_utf8(&key[1..]).expect("text").parse().expect("a number")));
        assert!(keys.iter().eq(expected), "{text}");
    }
}

/// A value that goes from one document to the next leaves an entry behind with each: looking for its holder
/// passed over all of them, in the turn of a write.
#[test]
fn a_value_that_too_many_have_given_up_is_refused_and_not_looked_for() {
    let bench = Bench::plain();
    let mut engine = bench.create();
    let mut last = 0;
    for number in 0..65_540 {
        last = 2 * number + 2;
        write(&mut engine, last - 1, &key(number), (None, Some(1)));
        write(&mut engine, last, &key(number), (Some(1), None));
    }
    let value = nodedb_document::index::field_values(&[index()], br#"{"n":1}"#);
    let value = value.expect("a document").remove(0).value.expect("an entry");
    let holder = |engine: &DocumentEngine| engine.holder(&place("x"), INDEX, &value, |_| false);
    let error = holder(&engine).expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    bench.flush(&mut engine, last);
    assert_eq!(holder(&engine).expect("few"), None);
}

/// Entries that were taken off, and those that are newer than the snapshot, were counted like all others.
#[test]
fn only_entries_that_are_there_are_counted() {
    let bench = Bench::plain();
    let mut engine = bench.create();
    let mut last = 0;
    for number in 0..10_000 {
        last += 1;
        write(&mut engine, last, &key(number), (None, Some(number)));
    }
    bench.log.set_durable(last);
    let _held = Arc::clone(&bench.ports.snapshots).register(|| Some(lsn(last)));
    let all = last;
    for number in 0..9_000 {
        last += 1;
        write(&mut engine, last, &key(number), (Some(number), None));
    }
    last += 1;
    write(&mut engine, last, "new", (None, Some(1)));
    let counted = |snapshot| {
        let mut count = EntryCount::new(TENANT, NOTES, INDEX, lsn(snapshot));
        loop {
            if let Some(entries) = engine.count_entries(&mut count).expect("readable") {
                return entries;
            }
        }
    };
    assert_eq!(counted(all), 10_000);
    assert_eq!(counted(last), 1_001);
}
