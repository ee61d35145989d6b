//! How well graphs find, over sealed segments and a head, with and without filters.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]
#![expect(clippy::disallowed_methods, reason = "tests look at real files")]

mod world;

use nodedb_engine::{
    Engine, Frozen, Metric,
    conformance::{Record, TestLog},
};
use nodedb_env::RealFiles;
use nodedb_types::IndexId;
use nodedb_vector::{Found, Query, SearchMode, SearchPlan, VectorEngine, VectorOptions};
use std::{collections::BTreeSet, convert::Infallible, sync::Arc};
use world::{collection, finish, put};

const INDEX: IndexId = IndexId::new(1);
const DIMENSIONS: usize = 64;
const ROWS: usize = 5000;

/// Numbers from -1 to 1 that look random and repeat.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(self.0 >> 48).expect("16 bits")) / 32768.0 - 1.0
    }
}

/// Vectors as models make them: many numbers that vary in few directions.
fn vectors(count: usize, seed: u64) -> Vec<Vec<f32>> {
    const DIRECTIONS: usize = 12;
    let mut fixed = Numbers(99);
    let directions: Vec<Vec<f32>> =
        (0..DIRECTIONS).map(|_| (0..DIMENSIONS).map(|_| fixed.next()).collect()).collect();
    let mut numbers = Numbers(seed);
    let mut vector = || {
        let mut vector: Vec<f32> = (0..DIMENSIONS).map(|_| numbers.next() * 0.05).collect();
        for direction in &directions {
            let weight = numbers.next();
            vector.iter_mut().zip(direction).for_each(|(x, d)| *x += weight * d);
        }
        vector
    };
    (0..count).map(|_| vector()).collect()
}

/// An engine whose heads are sealed after so many rows, and the rows that are left over.
fn engine(dir: &std::path::Path, head_rows: usize) -> VectorEngine {
    let engine = VectorEngine::create(Arc::new(RealFiles), &dir.join("v")).expect("created");
    let mut engine = engine.with_options(VectorOptions { head_rows, ..VectorOptions::DEFAULT });
    let index =
        world::index(INDEX.get(), u32::try_from(DIMENSIONS).expect("small"), Metric::Cosine);
    let rows = (0..).zip(vectors(ROWS, 1)).map(|(row, vector)| put(INDEX, &key(row), Some(vector)));
    for (lsn, redo) in (1..).zip(std::iter::once(collection(1, vec![index])).chain(rows)) {
        let record = Record::new(lsn, redo);
        engine.apply(record.at, record.tenant, &record.redo);
        // Sealed, and a graph built: more would be merged at rest.
        for _ in 0..2 {
            let Some(rebuild) = engine.begin_rebuild() else { break };
            finish(&mut engine, rebuild);
            let frozen = engine.freeze(record.at.lsn).expect("a segment waits");
            engine.install(frozen.persist(&TestLog::new()).expect("the disk works"));
        }
    }
    engine
}

fn key(row: usize) -> String {
    format!("row:{row:05}")
}

fn search(engine: &VectorEngine, vector: &[f32], mode: SearchMode, every: usize) -> Found {
    let query = Query { index: INDEX, vector, metric: Metric::Cosine, k: 10, ef: None, mode };
    let mut asked = BTreeSet::new();
    let found = engine.nearest(&query, &mut |key| {
        assert!(asked.insert(key.to_vec()), "each key once");
        let row: usize = str::from_utf8(&key[4..]).expect("text").parse().expect("a number");
        Ok::<_, Infallible>(row.is_multiple_of(every))
    });
    found.expect("no error")
}

/// The share of the truly nearest that are found, in percent.
fn recall(engine: &VectorEngine, mode: SearchMode, every: usize) -> usize {
    let asked = vectors(100, 2);
    let mut hits = 0;
    for vector in &asked {
        let found = search(engine, vector, mode, every).neighbours;
        assert!(found.is_sorted_by(|a, b| (a.distance, &a.key) < (b.distance, &b.key)));
        let truth = search(engine, vector, SearchMode::Exact, every).neighbours;
        hits += truth.iter().filter(|near| found.contains(near)).count();
    }
    hits * 100 / (asked.len() * 10)
}

#[test]
fn one_segment_and_several_with_a_head_find_98_of_100() {
    for (head_rows, segments) in [(ROWS, 1), (1600, 3), (900, 2)] {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = engine(dir.path(), head_rows);
        assert_eq!(engine.segments(INDEX), segments, "{head_rows}");
        assert_eq!(engine.len(INDEX), ROWS);
        let plan = search(&engine, &vectors(1, 2)[0], SearchMode::Auto, 1).plan;
        assert!(matches!(plan, SearchPlan::Graph { segments: asked, .. } if asked == segments));
        let found = recall(&engine, SearchMode::Auto, 1);
        assert!(found >= 98, "{found} of 100 with {segments} segments");
        for every in [2, 10, 100] {
            let found = recall(&engine, SearchMode::Filtered, every);
            assert!(found >= 98, "{found} of 100, one in {every} taken");
        }
    }
}

#[test]
fn a_filter_that_takes_little_ends_in_measuring_all_rows() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = engine(dir.path(), ROWS);
    let asked = &vectors(1, 3)[0];
    let plan = |every| search(&engine, asked, SearchMode::Filtered, every).plan;
    assert!(matches!(plan(1), SearchPlan::Graph { .. }));
    assert!(matches!(plan(3), SearchPlan::Graph { .. }));
    assert_eq!(plan(500), SearchPlan::Exact);
    assert_eq!(engine.plan(INDEX, 10, None, SearchMode::Exact), SearchPlan::Exact);
    assert_eq!(
        engine.plan(INDEX, 10, Some(99), SearchMode::Auto),
        SearchPlan::Graph { segments: 1, ef: 99 }
    );
}

/// A row that a search for its own vector does not find is lost to its owner.
#[test]
fn every_sealed_vector_is_its_own_nearest() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = engine(dir.path(), 900);
    let missed = (0..).zip(vectors(ROWS, 1)).filter(|(row, vector)| {
        let found = search(&engine, vector, SearchMode::Auto, 1).neighbours;
        found.first().is_none_or(|near| near.key != key(*row))
    });
    assert_eq!(missed.count(), 0);
}

#[test]
fn segments_are_read_after_their_files_are_gone_and_take_little_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = engine(dir.path(), ROWS);
    let asked = &vectors(1, 3)[0];
    let before = search(&engine, asked, SearchMode::Auto, 1);
    std::fs::remove_dir_all(dir.path().join("v")).expect("removed");
    assert_eq!(search(&engine, asked, SearchMode::Auto, 1), before);
    let bf16 = ROWS * DIMENSIONS * 2;
    assert!(engine.memory_bytes() < bf16 * 3 / 2, "{} bytes", engine.memory_bytes());
}
