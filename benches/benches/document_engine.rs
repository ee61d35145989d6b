//! The document engine on one core: what a put, a get and a page of a scan cost.
//!
//! - `put`: into the memtable, a new key each time.
//! - `get_memtable`, `get_tables`: one of 100,000 keys, in memory or after a flush.
//! - `scan_tables`: a page of 1,000 rows after a flush, memtable above it.
//! - `filter`: one document against a filter of three conditions.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot read what it wrote has nothing to measure"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use nodedb_document::{DocumentEngine, Filter, Place, Ports, ReadAt, ScanRange};
use nodedb_engine::{DurableLog, Engine, Frozen, NotDurable, Redo, Snapshots};
use nodedb_env::Env;
use nodedb_types::{CollectionId, LogEpoch, Lsn, Stamp, TenantId};
use std::{hint::black_box, sync::Arc};

const ROWS: u64 = 100_000;
const NOTES: CollectionId = CollectionId::new(1);

/// A log in which everything is durable at once.
#[derive(Debug)]
struct Log;

impl DurableLog for Log {
    fn durable(&self) -> Option<Lsn> {
        Lsn::from_u64(u64::MAX)
    }

    fn wait_durable(&self, _: Lsn) -> Result<(), NotDurable> {
        Ok(())
    }
}

struct Bench {
    // Removed when dropped, after the engine.
    engine: DocumentEngine,
    _temp: tempfile::TempDir,
}

fn key(row: u64) -> String {
    // Spread, so that neighbours in time are none in order.
    format!("{:020}", row.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn put(engine: &mut DocumentEngine, row: u64) {
    let value = format!("{{\"n\":{row},\"text\":\"{}\"}}", key(row).repeat(8));
    let redo = Redo::Put {
        collection: NOTES,
        key: key(row).into(),
        value: value.into(),
        vectors: Vec::new(),
        expires: None,
        fields: Vec::new(),
    };
    let lsn = Lsn::FIRST.advance(row);
    let stamp = Stamp { epoch: LogEpoch::new(1), lsn };
    engine.apply(stamp, TenantId::DEFAULT, &redo);
}

impl Bench {
    fn new(rows: u64) -> Self {
        let temp = tempfile::tempdir().expect("a directory");
        let env = Env::real();
        let snapshots = Snapshots::new(Arc::clone(&env.clock));
        let ports = Ports::new(&env, snapshots, Arc::new(Log));
        let engine = DocumentEngine::create(&ports, &temp.path().join("documents"));
        let mut engine = engine.expect("created");
        for row in 0..rows {
            put(&mut engine, row);
        }
        Self { engine, _temp: temp }
    }

    fn flushed(rows: u64) -> Self {
        let mut bench = Self::new(rows);
        let frozen = bench.engine.freeze(Lsn::FIRST.advance(rows)).expect("dirty");
        bench.engine.install(frozen.persist(&Log).expect("persisted"));
        bench
    }

    fn get(&self, row: u64) {
        let key = key(row % ROWS);
        let place = Place { tenant: TenantId::DEFAULT, collection: NOTES, key: key.as_bytes() };
        let found = self.engine.get(&place, ReadAt::Latest).expect("readable");
        assert!(black_box(found).is_some());
    }
}

fn writes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("document");
    group.throughput(Throughput::Elements(ROWS));
    group.sample_size(10);
    group.bench_function("put", |bencher| {
        bencher.iter_batched(
            || Bench::new(0),
            |mut bench| {
                for row in 0..ROWS {
                    put(&mut bench.engine, row);
                }
                bench
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("document");
    group.throughput(Throughput::Elements(1));
    for (name, bench) in [("get_memtable", Bench::new(ROWS)), ("get_tables", Bench::flushed(ROWS))]
    {
        let mut row = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                row += 7919;
                bench.get(row);
            });
        });
    }
    let mut bench = Bench::flushed(ROWS);
    for row in ROWS + 1..ROWS + 1000 {
        put(&mut bench.engine, row);
    }
    let range = ScanRange {
        after: Some(key(4242).into()),
        limit_rows: 1000,
        limit_bytes: usize::MAX,
        ..ScanRange::all(TenantId::DEFAULT, NOTES)
    };
    group.throughput(Throughput::Elements(1000));
    group.bench_function("scan_tables", |bencher| {
        bencher.iter(|| black_box(bench.engine.scan(&range, ReadAt::Latest).expect("readable")));
    });
    group.throughput(Throughput::Elements(1));
    let filter = Filter::parse("n >= 5 AND text LIKE '%9%' AND missing IS NULL").expect("valid");
    let document = format!("{{\"n\":17,\"text\":\"{}\"}}", key(17).repeat(8));
    group.bench_function("filter", |bencher| {
        bencher.iter(|| black_box(filter.matches(document.as_bytes()).expect("a document")));
    });
    group.finish();
}

criterion_group!(benches, writes, reads);
criterion_main!(benches);
