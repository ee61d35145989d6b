//! Answers, whatever was set, removed, sealed, merged and replayed before.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

mod world;

use nodedb_engine::conformance::TestLog;
use nodedb_engine::{CatalogChange, DurableLog, Engine, Frozen, Metric, Redo};
use nodedb_testkit::SimFiles;
use nodedb_types::{CollectionId, IndexId, LogEpoch, Lsn, Stamp, TenantId};
use nodedb_vector::{Neighbour, Query, SearchMode, SearchPlan, VectorEngine, VectorOptions};
use proptest::prelude::*;
use std::{collections::BTreeMap, convert::Infallible, path::Path, sync::Arc};
use world::{collection, put};

/// One index for each metric; the first is also used alone.
const INDEXES: [(u32, Metric); 3] = [(7, Metric::L2), (8, Metric::Dot), (9, Metric::Cosine)];
const INDEX: IndexId = IndexId::new(7);
const DIR: &str = "/vectors";

fn index_of(metric: Metric) -> IndexId {
    let index = INDEXES.iter().find(|(_, other)| *other == metric);
    IndexId::new(index.expect("there is one for each metric").0)
}

/// The creation of the three indexes, which is record 1.
fn creation(dimensions: u32) -> Redo {
    let index = |(id, metric)| world::index(id, dimensions, metric);
    collection(1, INDEXES.map(index).into())
}

fn engine(dimensions: u32) -> (SimFiles, VectorEngine) {
    let files = SimFiles::new(1);
    let engine = VectorEngine::create(Arc::new(files.clone()), Path::new(DIR));
    let mut engine = engine.expect("a fresh disk");
    apply(&mut engine, 1, &creation(dimensions));
    (files, engine)
}

fn at(lsn: u64) -> Stamp {
    Stamp { epoch: LogEpoch::new(1), lsn: Lsn::from_u64(lsn).expect("not 0") }
}

fn apply(engine: &mut VectorEngine, lsn: u64, redo: &Redo) {
    engine.apply(at(lsn), TenantId::DEFAULT, redo);
}

fn query(vector: &[f32], metric: Metric, k: usize) -> Query<'_> {
    Query { index: index_of(metric), vector, metric, k, ef: None, mode: SearchMode::Auto }
}

fn nearest(engine: &VectorEngine, vector: &[f32], metric: Metric, k: usize) -> Vec<Neighbour> {
    let all = engine.nearest(&query(vector, metric, k), &mut |_| Ok::<_, Infallible>(true));
    all.expect("everything is accepted").neighbours
}

fn set_all(engine: &mut VectorEngine, lsn: u64, key: &str, vector: Option<&[f32]>) {
    for (place, (id, _)) in (0..).zip(INDEXES) {
        apply(engine, 3 * lsn + place, &put(IndexId::new(id), key, vector.map(<[f32]>::to_vec)));
    }
}

fn keys(hits: &[Neighbour]) -> Vec<&str> {
    let keys = hits.iter().map(|hit| str::from_utf8(&hit.key));
    keys.collect::<Result<_, _>>().expect("keys are text")
}

/// Plain arithmetic with more digits.
fn distance(a: &[f32], b: &[f32], metric: Metric) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let length = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    match metric {
        Metric::L2 => pairs().map(|(a, b)| (a - b).powi(2)).sum(),
        Metric::Dot => 0.0 - pairs().map(|(a, b)| a * b).sum::<f64>(),
        Metric::Cosine => 1.0 - pairs().map(|(a, b)| a * b).sum::<f64>() / (length(a) * length(b)),
    }
}

/// Whole numbers, of which sums are exact, and never all zero.
fn whole_vector(dimensions: usize) -> impl Strategy<Value = Vec<f32>> {
    let numbers = proptest::collection::vec((-9_i8..9).prop_map(f32::from), dimensions);
    numbers.prop_map(|mut vector| {
        vector[0] = vector[0].abs() + 1.0;
        vector
    })
}

/// Keys and what they are set to, in order; `None` removes.
type Changes = Vec<(u8, Option<Vec<f32>>)>;

/// Changes, a query and how many answers it wants.
fn case() -> impl Strategy<Value = (Changes, Vec<f32>, usize)> {
    (1_usize..40).prop_flat_map(|dimensions| {
        let change = (0_u8..30, proptest::option::weighted(0.8, whole_vector(dimensions)));
        let changes = proptest::collection::vec(change, 1..80);
        (changes, whole_vector(dimensions), 0_usize..20)
    })
}

/// Seals, merges and flushes whatever is due.
fn settle(engine: &mut VectorEngine, lsn: u64) {
    loop {
        while let Some(rebuild) = engine.begin_rebuild() {
            world::finish(engine, rebuild);
        }
        let Some(frozen) = engine.freeze(at(lsn).lsn) else {
            return;
        };
        engine.install(frozen.persist(&TestLog::new()).expect("the disk works"));
    }
}

proptest! {
    #[test]
    fn search_is_exact_against_brute_force((changes, asked, k) in case(), head_rows in 2_usize..40) {
        let (_files, engine) = engine(u32::try_from(asked.len()).expect("small"));
        let mut engine = engine.with_options(VectorOptions { head_rows, ..VectorOptions::DEFAULT });
        let mut model = BTreeMap::new();
        for (lsn, (key, vector)) in (1..).zip(changes) {
            let key = format!("k{key:02}");
            set_all(&mut engine, lsn, &key, vector.as_deref());
            model.remove(&key);
            model.extend(vector.map(|vector| (key, vector)));
            if lsn % 7 == 0 {
                settle(&mut engine, 3 * lsn + 2);
            }
        }
        prop_assert_eq!(engine.len(INDEX), model.len());
        for metric in [Metric::L2, Metric::Dot] {
            let mut expected: Vec<_> = model
                .iter()
                .map(|(key, vector)| (distance(&asked, vector, metric), key.as_bytes()))
                .collect();
            expected.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
            expected.truncate(k);
            let query = query(&asked, metric, k);
            let pairs = |hits: &[Neighbour]| -> Vec<_> {
                hits.iter().map(|hit| (f64::from(hit.distance), hit.key.clone())).collect()
            };
            let expected: Vec<_> =
                expected.into_iter().map(|(distance, key)| (distance, key.to_vec().into())).collect();
            let hits = nearest(&engine, &asked, metric, k);
            prop_assert_eq!(pairs(&hits), &*expected);
            let mut keys = model.keys().map(|key| key.clone().into());
            let among = engine.nearest_among(&query, &mut keys, &mut |_| Ok::<_, Infallible>(true));
            prop_assert_eq!(pairs(&among.expect("accepted").neighbours), &*expected);
        }
        let hits = nearest(&engine, &asked, Metric::Cosine, k);
        prop_assert_eq!(hits.len(), k.min(model.len()));
        prop_assert!(hits.is_sorted_by(|a, b| (a.distance, &a.key) < (b.distance, &b.key)));
        let farthest = hits.last().map_or(f64::INFINITY, |hit| f64::from(hit.distance));
        for (key, vector) in &model {
            let true_distance = distance(&asked, vector, Metric::Cosine);
            match hits.iter().find(|hit| hit.key == key.as_bytes()) {
                Some(hit) => prop_assert!((f64::from(hit.distance) - true_distance).abs() < 1e-5),
                None => prop_assert!(k == 0 || true_distance > farthest - 1e-5),
            }
        }
    }
}

#[test]
fn accept_is_asked_in_order_until_enough() {
    let (_files, mut engine) = engine(1);
    for (lsn, key) in (2..).zip(["d", "b", "a", "c", "e"]) {
        let value = if key == "e" { 9.0 } else { 1.0 };
        apply(&mut engine, lsn, &put(INDEX, key, Some(vec![value])));
    }
    let query = query(&[0.0], Metric::L2, 2);
    let mut asked = Vec::new();
    let hits = engine.nearest(&query, &mut |key| {
        asked.push(key.to_vec());
        Ok::<_, Infallible>(key != b"b")
    });
    assert_eq!(keys(&hits.expect("no error").neighbours), ["a", "c"]);
    assert_eq!(asked, [b"a", b"b", b"c"], "each once, also where a second round was needed");
    let none = engine.nearest(&query, &mut |_| Ok::<_, Infallible>(false));
    assert!(none.expect("no error").neighbours.is_empty());
    assert_eq!(engine.nearest(&query, &mut |_| Err("refused")), Err("refused"));
    let elsewhere = Query { index: IndexId::new(1), ..query };
    let none = engine.nearest(&elsewhere, &mut |_| Err("asked"));
    assert!(none.expect("nobody was asked").neighbours.is_empty());
    let mut some = ["e", "none", "c"].into_iter().map(Into::into);
    let among = engine.nearest_among(&query, &mut some, &mut |_| Ok::<_, Infallible>(true));
    let among = among.expect("accepted");
    assert_eq!(keys(&among.neighbours), ["c", "e"]);
    assert_eq!(among.plan, SearchPlan::Among { matches: 2 });
}

#[test]
fn every_vector_is_its_own_nearest() {
    let (_files, mut engine) = engine(33);
    // No two point in the same direction.
    let number = |n: u16, d: u16| f32::from((n * 37 + d * d * 11) % 101) - 50.3;
    let vectors: Vec<Vec<f32>> =
        (0..50_u16).map(|n| (0..33_u16).map(|d| number(n, d)).collect()).collect();
    for (lsn, vector) in (1..).zip(&vectors) {
        set_all(&mut engine, lsn, &format!("k{lsn}"), Some(vector));
    }
    for (lsn, vector) in (1..).zip(&vectors) {
        let key = format!("k{lsn}");
        for metric in [Metric::L2, Metric::Cosine] {
            let hits = nearest(&engine, vector, metric, 1);
            assert_eq!(keys(&hits), [&*key], "{metric:?}");
            assert!(hits[0].distance < 1e-6, "{metric:?}");
        }
        assert_eq!(engine.vector(INDEX, key.as_bytes()), Some(&**vector));
        assert_eq!(engine.stamp(INDEX, key.as_bytes()), Some(at(3 * lsn)));
    }
    assert_eq!(engine.vector(INDEX, b"none"), None);
}

#[test]
fn a_metric_measures_what_it_says() {
    let (_files, mut engine) = engine(2);
    for (lsn, (key, vector)) in
        (1..).zip([("along", [10.0, 0.0]), ("across", [0.0, 1.0]), ("against", [-1.0, 0.0])])
    {
        set_all(&mut engine, lsn, key, Some(&vector));
    }
    let found = |metric| {
        let hits = nearest(&engine, &[1.0, 0.0], metric, 9);
        let hits =
            hits.iter().map(|hit| (keys(std::slice::from_ref(hit))[0].to_owned(), hit.distance));
        hits.collect::<Vec<_>>()
    };
    let named = |pairs: [(&str, f32); 3]| pairs.map(|(key, distance)| (key.to_owned(), distance));
    assert_eq!(found(Metric::Cosine), named([("along", 0.0), ("across", 1.0), ("against", 2.0)]));
    assert_eq!(found(Metric::L2), named([("across", 2.0), ("against", 4.0), ("along", 81.0)]));
    assert_eq!(found(Metric::Dot), named([("along", -10.0), ("across", 0.0), ("against", 1.0)]));
}

/// Defect D-40 of the predecessor: every restart inserted all vectors of the log again.
#[test]
fn replay_after_a_restart_makes_no_duplicates() {
    let (files, mut engine) = engine(2);
    let log: Vec<Redo> = std::iter::once(creation(2))
        .chain(
            (2..=20_u8).map(|n| put(INDEX, &format!("k{}", n % 7), Some(vec![f32::from(n), 1.0]))),
        )
        .collect();
    let replay = |engine: &mut VectorEngine| {
        for (lsn, redo) in (1..).zip(&log) {
            apply(engine, lsn, redo);
        }
    };
    for (lsn, redo) in (1..).zip(&log[..15]) {
        apply(&mut engine, lsn, redo);
    }
    let frozen = engine.freeze(at(15).lsn).expect("dirty");
    let wal = TestLog::new();
    engine.install(frozen.persist(&wal).expect("the disk works"));
    assert_eq!(wal.durable(), Some(at(15).lsn));
    replay(&mut engine);
    let expected = nearest(&engine, &[0.0, 0.0], Metric::L2, 100);
    assert_eq!(expected.len(), 7);
    for _ in 0..3 {
        engine = VectorEngine::load(Arc::new(files.clone()), Path::new(DIR)).expect("whole");
        assert_eq!((engine.len(INDEX), engine.dirty()), (7, None));
        replay(&mut engine);
        assert_eq!(nearest(&engine, &[0.0, 0.0], Metric::L2, 100), expected);
        assert_eq!(engine.dirty().expect("16 to 20 are not flushed").oldest, at(16).lsn);
    }
}

#[test]
fn a_drop_takes_whole_indexes_and_nothing_else() {
    let (files, mut engine) = engine(2);
    let other = IndexId::new(8);
    apply(&mut engine, 2, &put(INDEX, "a", Some(vec![1.0, 1.0])));
    apply(&mut engine, 3, &put(other, "a", Some(vec![2.0, 3.0])));
    let before = engine.memory_bytes();
    let collection = CollectionId::new(1);
    let drop = CatalogChange::DropIndex { collection, index: INDEX };
    apply(&mut engine, 4, &Redo::Catalog(drop));
    assert!(engine.is_empty(INDEX) && engine.len(other) == 1);
    assert!(engine.memory_bytes() < before);
    assert_eq!(engine.indexes().collect::<Vec<_>>(), [other, IndexId::new(9)]);
    assert_eq!(engine.misfit(&put(INDEX, "a", Some(vec![1.0, 1.0]))), Some(INDEX));
    assert_eq!(engine.misfit(&put(other, "a", Some(vec![1.0]))), Some(other));
    assert_eq!(engine.misfit(&put(other, "a", Some(vec![1.0, 1.0]))), None);
    settle(&mut engine, 4);
    let drop =
        CatalogChange::DropCollection { id: collection, indexes: vec![other, IndexId::new(9)] };
    apply(&mut engine, 5, &Redo::Catalog(drop));
    settle(&mut engine, 5);
    let loaded = VectorEngine::load(Arc::new(files), Path::new(DIR)).expect("whole");
    assert_eq!(loaded.indexes().count(), 0);
}
