//! A whole database as its callers meet it: admission, routing, the bridge, a core, the log, and back.
//!
//! - `put`: one caller puts one document and waits until it is durable.
//! - `put-256`: one caller begins 256 puts, then waits for all of them.
//! - `get`: one of 10,000 documents.
//! - `scan`: all 10,000 of them, in key order over all vshards.
//! - `search`: the 10 nearest of 20,000 vectors with 64 numbers.
//!
//! The limit of a put writes as many bytes as keys and values have to a file that was written before,
//! and syncs it once. A search stands beside the engine below it, which is asked on this thread.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot read what it wrote has nothing to measure"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nodedb::{
    Collection, Database, Durability, Metric, NewCollection, ScanOptions, SearchOptions,
    WriteOptions,
};
use nodedb_bench::{BareFile, beside, documents, payload, unit_vectors};
use nodedb_engine::{Engine, Redo, VectorChange};
use nodedb_testkit::SimFiles;
use nodedb_types::{CollectionId, IndexId, LogEpoch, Lsn, Stamp, TenantId};
use nodedb_vector::{Query, VectorEngine};
use std::{convert::Infallible, hint::black_box, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;

const ROWS: usize = 10_000;
const PIPELINE: usize = 256;
const VECTORS: usize = 20_000;
const DIMENSIONS: u16 = 64;
const NEIGHBOURS: usize = 10;
/// What the log pads its batches to.
const ALIGN: usize = 512;
const INDEX: IndexId = IndexId::new(1);

const SYNCED: WriteOptions = WriteOptions { expect: None, durability: Some(Durability::Sync) };

type Rows = Vec<(String, String)>;

/// A database with one collection, without archive, otherwise as by default.
struct World {
    collection: Collection,
    // Closes before its directory is removed.
    _database: Database,
    _temp: TempDir,
}

impl World {
    fn new(collection: NewCollection) -> Self {
        let temp = tempfile::tempdir().expect("a directory");
        let database = Database::open(temp.path().join("db")).expect("a database");
        let name = collection.name.clone();
        database.create_collection(collection).expect("created");
        let collection = database.collection(&name).expect("it was created");
        Self { collection, _database: database, _temp: temp }
    }

    fn put(&self, (key, json): &(String, String)) {
        let put = self.collection.put_raw(key, json.as_bytes(), SYNCED);
        black_box(put.expect("written"));
    }

    fn put_pipelined(&self, rows: &[(String, String)]) {
        let begun: Vec<_> = rows
            .iter()
            .map(|(key, json)| self.collection.put_async(key, json.as_bytes(), SYNCED))
            .collect();
        for put in begun {
            black_box(put.expect("room").wait().expect("written"));
        }
    }

    fn put_all(&self, rows: &Rows) {
        for rows in rows.chunks(PIPELINE) {
            self.put_pipelined(rows);
        }
    }
}

/// As many bytes as the log needs for these rows at the very least, on average.
fn bytes_of(rows: &Rows, count: usize) -> Vec<u8> {
    let sum: usize = rows.iter().map(|(key, json)| key.len() + json.len()).sum();
    payload(2, (sum * count / rows.len()).next_multiple_of(ALIGN))
}

fn put(criterion: &mut Criterion) {
    let rows = documents(1, ROWS);
    let mut file = BareFile::create().expect("a file");
    let world = World::new(NewCollection::named("notes"));

    let mut group = criterion.benchmark_group("database/put");
    group.throughput(Throughput::Elements(1));
    let bytes = bytes_of(&rows, 1);
    let mut limit = || file.write_synced(&bytes).expect("synced");
    let mut next = rows.iter().cycle();
    let mut subject = || world.put(next.next().expect("a cycle has no end"));
    beside(&mut group, ("limit", &mut limit), ("nodedb", &mut subject));
    group.finish();

    let mut group = criterion.benchmark_group("database/put-256");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    let bytes = bytes_of(&rows, PIPELINE);
    let mut limit = || file.write_synced(&bytes).expect("synced");
    let mut next = rows.chunks_exact(PIPELINE).cycle();
    let mut subject = || world.put_pipelined(next.next().expect("a cycle has no end"));
    beside(&mut group, ("limit", &mut limit), ("nodedb", &mut subject));
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let rows = documents(1, ROWS);
    let world = World::new(NewCollection::named("notes"));
    world.put_all(&rows);
    let mut group = criterion.benchmark_group("database");
    let mut row = 0;
    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |bencher| {
        bencher.iter(|| {
            row = (row + 7919) % ROWS;
            let found = world.collection.get(&rows[row].0).expect("readable");
            assert!(black_box(found).is_some());
        });
    });
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("scan", |bencher| {
        bencher.iter(|| {
            let scan = world.collection.scan(ScanOptions::default());
            let mut count = 0;
            for document in scan.expect("a snapshot") {
                black_box(document.expect("readable"));
                count += 1;
            }
            assert_eq!(count, ROWS);
        });
    });
    group.finish();
}

/// The engine alone, with the same vectors in one piece.
fn engine(vectors: &[Vec<f32>]) -> VectorEngine {
    let files = Arc::new(SimFiles::new(1));
    let mut engine = VectorEngine::create(files, Path::new("/v")).expect("a fresh disk");
    let create = nodedb_engine::CatalogChange::CreateIndex {
        collection: CollectionId::new(1),
        index: nodedb_engine::Index::Vector(nodedb_engine::VectorIndex {
            id: INDEX,
            field: "v".to_owned(),
            dimensions: DIMENSIONS.into(),
            metric: Metric::Cosine,
            storage: nodedb_engine::VectorStorage::Bf16,
            state: nodedb_engine::IndexState::Ready,
        }),
    };
    let at = Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST };
    engine.apply(at, TenantId::DEFAULT, &Redo::Catalog(create));
    for (row, vector) in (1..).zip(vectors) {
        let redo = Redo::Put {
            collection: CollectionId::new(1),
            key: key(row).into(),
            value: "{}".into(),
            vectors: vec![VectorChange { index: INDEX, vector: Some(vector.clone()) }],
            expires: None,
            fields: Vec::new(),
        };
        let at = Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST.advance(row) };
        engine.apply(at, TenantId::DEFAULT, &redo);
    }
    engine
}

fn key(row: u64) -> String {
    format!("point:{row:08}")
}

fn search(criterion: &mut Criterion) {
    let vectors = unit_vectors(1, VECTORS, DIMENSIONS.into());
    let asked = unit_vectors(2, 1, DIMENSIONS.into()).remove(0);
    let mut group = criterion.benchmark_group("database/search");
    group.throughput(Throughput::Elements(VECTORS as u64));
    let engine = engine(&vectors);
    let query = Query {
        index: INDEX,
        vector: &asked,
        metric: Metric::Cosine,
        k: NEIGHBOURS,
        ef: None,
        mode: nodedb_vector::SearchMode::Exact,
    };
    let mut bare = || {
        let hits = engine.nearest(&query, &mut |_| Ok::<_, Infallible>(true));
        black_box(hits).expect("everything is accepted");
    };

    let points = NewCollection::named("points");
    let world = World::new(points.with_vector("v", DIMENSIONS.into(), Metric::Cosine));
    let rows: Rows = (0..)
        .zip(&vectors)
        .map(|(row, vector)| (key(row), format!("{{\"v\":{vector:?}}}")))
        .collect();
    world.put_all(&rows);
    let mut subject = || {
        let near = SearchOptions::vector("v", asked.clone()).with_k(NEIGHBOURS);
        let hits = world.collection.search(near).expect("hits");
        assert_eq!(black_box(hits).len(), NEIGHBOURS);
    };
    beside(&mut group, ("bare nodedb-vector", &mut bare), ("nodedb", &mut subject));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        // A new log prepares its next segments meanwhile.
        .warm_up_time(Duration::from_secs(2))
        .measurement_time(Duration::from_secs(2));
    targets = put, read, search
}
criterion_main!(benches);
