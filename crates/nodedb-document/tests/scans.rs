//! Scans against a sorted map: any range, any direction, any pages, whatever happens between them.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use bytes::Bytes;
use nodedb_document::{
    Direction, DocumentEngine, FrozenDocuments, KeyRange, ReadAt, ScanRange, TableMaintenance,
};
use nodedb_engine::{Engine, Frozen};
use nodedb_types::Lsn;
use proptest::prelude::*;
use std::{collections::BTreeMap, ops::Bound, sync::Arc};
use world::{Bench, delete, lsn, put, whole};

/// What happens before a scan, and between its pages.
#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Delete(u8),
    Freeze,
    /// The frozen memtable enters the tables, if no scan reads below it.
    Persist,
    Compact,
}

#[derive(Clone, Debug)]
struct Request {
    prefix: &'static str,
    from: Bound<u8>,
    to: Bound<u8>,
    direction: Direction,
    rows: usize,
    bytes: usize,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..40_u8).prop_map(Step::Put),
        4 => (0..40_u8).prop_map(Step::Delete),
        2 => Just(Step::Freeze),
        2 => Just(Step::Persist),
        1 => Just(Step::Compact),
    ]
}

fn bound() -> impl Strategy<Value = Bound<u8>> {
    prop_oneof![
        Just(Bound::Unbounded),
        (0..42_u8).prop_map(Bound::Included),
        (0..42_u8).prop_map(Bound::Excluded),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let prefix = prop::sample::select(vec!["", "", "k", "k1", "k39", "l"]);
    let direction = prop::sample::select(vec![Direction::Ascending, Direction::Descending]);
    let limits = (1..9_usize, prop::sample::select(vec![0, 20, 100, usize::MAX]));
    (prefix, bound(), bound(), direction, limits).prop_map(
        |(prefix, from, to, direction, limits)| {
            let (rows, bytes) = limits;
            Request { prefix, from, to, direction, rows, bytes }
        },
    )
}

fn key(key: u8) -> String {
    format!("k{key:02}")
}

struct World {
    bench: Bench,
    engine: DocumentEngine,
    frozen: Option<FrozenDocuments>,
    rows: BTreeMap<String, String>,
    last: u64,
}

impl World {
    fn new(bench: Bench) -> Self {
        let engine = bench.create();
        Self { engine, bench, frozen: None, rows: BTreeMap::new(), last: 0 }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Put(row) => {
                self.last += 1;
                let value = format!("value{}", self.last);
                put(&mut self.engine, self.last, &key(*row), &value);
                self.rows.insert(key(*row), value);
            }
            Step::Delete(row) => {
                self.last += 1;
                delete(&mut self.engine, self.last, &key(*row));
                self.rows.remove(&key(*row));
            }
            Step::Freeze if self.frozen.is_none() && self.last > 0 => {
                self.frozen = self.engine.freeze(lsn(self.last));
            }
            Step::Persist => self.persist(),
            Step::Compact => {
                let tables: TableMaintenance = self.engine.maintenance();
                if let Some(tables) = tables.compact().expect("merged") {
                    self.engine.install_tables(tables);
                }
            }
            Step::Freeze => {}
        }
    }

    fn persist(&mut self) {
        let oldest = self.bench.ports.snapshots.oldest();
        // The flush would wait for the scan, which is this thread.
        let may = |frozen: &mut FrozenDocuments| oldest.is_none_or(|s| frozen.watermark() <= s);
        if let Some(frozen) = self.frozen.take_if(may) {
            self.engine.install(frozen.persist(&*self.bench.log).expect("persisted"));
        }
    }

    /// Reads all pages, with steps between them, and compares them with what was there at the start.
    fn scan(&mut self, request: &Request, between: &[Step]) {
        self.bench.log.set_durable(self.last);
        let durable = || Lsn::from_u64(self.last);
        let Some(snapshot) = Arc::clone(&self.bench.ports.snapshots).register(durable) else {
            return;
        };
        let expected = self.expected(request);
        let text = |bound: Bound<u8>| bound.map(|row| Bytes::from(key(row)));
        let mut range = ScanRange {
            prefix: Bytes::from_static(request.prefix.as_bytes()),
            keys: KeyRange { from: text(request.from), to: text(request.to) },
            direction: request.direction,
            limit_rows: request.rows,
            limit_bytes: request.bytes,
            ..whole()
        };
        let mut found = Vec::new();
        let mut between = between.iter().cycle();
        loop {
            let at = ReadAt::Snapshot(snapshot.lsn());
            let page = self.engine.scan(&range, at).expect("readable");
            assert!(page.rows.len() <= request.rows);
            found.extend(page.rows.into_iter().map(|(key, stored)| (key, stored.value)));
            let Some(next) = page.next else { break };
            range.after = Some(next);
            if let Some(step) = between.next() {
                self.step(step);
            }
        }
        assert_eq!(found, expected, "{request:?}");
    }

    fn expected(&self, request: &Request) -> Vec<(Bytes, Bytes)> {
        let rows = self.rows.iter().filter(|(row, _)| {
            let low = match request.from {
                Bound::Unbounded => true,
                Bound::Included(from) => **row >= key(from),
                Bound::Excluded(from) => **row > key(from),
            };
            let high = match request.to {
                Bound::Unbounded => true,
                Bound::Included(to) => **row <= key(to),
                Bound::Excluded(to) => **row < key(to),
            };
            low && high && row.starts_with(request.prefix)
        });
        let mut rows: Vec<_> = rows
            .map(|(row, value)| (Bytes::from(row.clone()), Bytes::from(value.clone())))
            .collect();
        if request.direction == Direction::Descending {
            rows.reverse();
        }
        rows
    }
}

type Round = (Vec<Step>, Request, Vec<Step>);

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let round =
        (prop::collection::vec(step(), 0..60), request(), prop::collection::vec(step(), 0..8));
    prop::collection::vec(round, 1..5)
}

fn check(mut world: World, rounds: &[Round]) {
    for (before, request, between) in rounds {
        for step in before {
            world.step(step);
        }
        world.scan(request, between);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_scan_equals_its_snapshot(rounds in rounds()) {
        check(World::new(Bench::new()), &rounds);
    }

    #[test]
    fn any_scan_of_plain_tables_equals_its_snapshot(rounds in rounds()) {
        check(World::new(Bench::plain()), &rounds);
    }
}
