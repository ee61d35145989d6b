//! The exact head: one search over all rows, and what a write costs the core.
//!
//! - `nearest`: 10 of N vectors with 384 numbers, as sentence models make them.
//! - `apply`: one vector set in an index of 10,000.

#![expect(clippy::expect_used, reason = "a bench without its engine has nothing to measure")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nodedb_engine::{
    CatalogChange, Engine, Index, IndexState, Metric, Redo, VectorChange, VectorIndex,
    VectorStorage,
};
use nodedb_testkit::SimFiles;
use nodedb_types::{CollectionId, IndexId, LogEpoch, Lsn, Stamp, TenantId};
use nodedb_vector::{Query, SearchMode, VectorEngine};
use std::{convert::Infallible, hint::black_box, path::Path, sync::Arc};

const DIMENSIONS: usize = 384;
const INDEX: IndexId = IndexId::new(1);
const OTHER: IndexId = IndexId::new(2);

/// Numbers from -1 to 1 that look random and repeat.
fn vector(seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut number = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = u16::try_from(state >> 48).unwrap_or_default();
        f32::from(high) / 32768.0 - 1.0
    };
    (0..DIMENSIONS).map(|_| number()).collect()
}

fn set(engine: &mut VectorEngine, lsn: u64, key: u64) {
    let redo = Redo::Put {
        collection: CollectionId::new(1),
        key: key.to_le_bytes().to_vec().into(),
        value: Vec::new().into(),
        vectors: [INDEX, OTHER]
            .map(|index| VectorChange { index, vector: Some(vector(lsn)) })
            .into(),
        expires: None,
        fields: Vec::new(),
    };
    let at = Stamp { epoch: LogEpoch::new(1), lsn: Lsn::from_u64(lsn).expect("not 0") };
    engine.apply(at, TenantId::DEFAULT, &redo);
}

fn engine(rows: u64) -> VectorEngine {
    let files = Arc::new(SimFiles::new(1));
    let mut engine = VectorEngine::create(files, Path::new("/v")).expect("a fresh disk");
    for (id, metric) in [(INDEX, Metric::Cosine), (OTHER, Metric::L2)] {
        let index = VectorIndex {
            id,
            field: "v".to_owned(),
            dimensions: 384,
            metric,
            storage: VectorStorage::Bf16,
            state: IndexState::Ready,
        };
        let create = CatalogChange::CreateIndex {
            collection: CollectionId::new(1),
            index: Index::Vector(index),
        };
        let at =
            Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST.advance(u64::from(id.get()) - 1) };
        engine.apply(at, TenantId::DEFAULT, &Redo::Catalog(create));
    }
    for lsn in 3..rows + 3 {
        set(&mut engine, lsn, lsn);
    }
    engine
}

fn nearest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vector/nearest");
    for rows in [2_500, 20_000] {
        let engine = engine(rows);
        let asked = vector(0);
        group.throughput(Throughput::Elements(rows));
        for (index, metric) in [(INDEX, Metric::Cosine), (OTHER, Metric::L2)] {
            let mode = SearchMode::Exact;
            let query = Query { index, vector: &asked, metric, k: 10, ef: None, mode };
            group.bench_function(BenchmarkId::new(metric.name(), rows), |bench| {
                bench.iter(|| {
                    let hits = engine.nearest(&query, &mut |_| Ok::<_, Infallible>(true));
                    black_box(hits).expect("everything is accepted")
                });
            });
        }
    }
    group.finish();
}

fn apply(criterion: &mut Criterion) {
    let mut engine = engine(10_000);
    let mut lsn = 10_002;
    criterion.bench_function("vector/apply", |bench| {
        bench.iter(|| {
            lsn += 1;
            set(&mut engine, lsn, lsn % 10_000);
        });
    });
}

criterion_group!(benches, nearest, apply);
criterion_main!(benches);
