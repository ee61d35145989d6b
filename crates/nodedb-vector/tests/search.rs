//! Answers are exact, whatever was set, removed and replayed before.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

use nodedb_engine::conformance::TestLog;
use nodedb_engine::{CatalogChange, DurableLog, Engine, Frozen, Metric, Redo, VectorChange};
use nodedb_testkit::SimFiles;
use nodedb_types::{CollectionId, IndexId, LogEpoch, Lsn, Stamp, TenantId};
use nodedb_vector::{Neighbour, Query, VectorEngine};
use proptest::prelude::*;
use std::{collections::BTreeMap, convert::Infallible, path::Path, sync::Arc};

const INDEX: IndexId = IndexId::new(7);
const DIR: &str = "/vectors";

fn engine() -> (SimFiles, VectorEngine) {
    let files = SimFiles::new(1);
    let engine = VectorEngine::create(Arc::new(files.clone()), Path::new(DIR));
    (files, engine.expect("a fresh disk"))
}

fn at(lsn: u64) -> Stamp {
    Stamp { epoch: LogEpoch::new(1), lsn: Lsn::from_u64(lsn).expect("not 0") }
}

fn put(index: IndexId, key: &str, vector: Option<Vec<f32>>) -> Redo {
    Redo::Put {
        collection: CollectionId::new(1),
        key: key.to_owned().into(),
        value: b"{}".to_vec().into(),
        vectors: vec![VectorChange { index, vector }],
        expires: None,
        fields: Vec::new(),
    }
}

fn apply(engine: &mut VectorEngine, lsn: u64, redo: &Redo) {
    engine.apply(at(lsn), TenantId::DEFAULT, redo);
}

fn nearest(engine: &VectorEngine, vector: &[f32], metric: Metric, k: usize) -> Vec<Neighbour> {
    let query = Query { index: INDEX, vector, metric, k };
    let all = engine.nearest(&query, &mut |_| Ok::<_, Infallible>(true));
    all.expect("everything is accepted")
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

proptest! {
    #[test]
    fn search_is_exact_against_brute_force((changes, asked, k) in case()) {
        let (_files, mut engine) = engine();
        let mut model = BTreeMap::new();
        for (lsn, (key, vector)) in (1..).zip(changes) {
            let key = format!("k{key:02}");
            apply(&mut engine, lsn, &put(INDEX, &key, vector.clone()));
            model.remove(&key);
            model.extend(vector.map(|vector| (key, vector)));
        }
        prop_assert_eq!(engine.len(INDEX), model.len());
        for metric in [Metric::L2, Metric::Dot] {
            let hits = nearest(&engine, &asked, metric, k);
            let found: Vec<_> = hits.iter().map(|hit| (f64::from(hit.distance), &*hit.key)).collect();
            let mut expected: Vec<_> = model
                .iter()
                .map(|(key, vector)| (distance(&asked, vector, metric), key.as_bytes()))
                .collect();
            expected.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
            expected.truncate(k);
            prop_assert_eq!(found, expected);
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
    let (_files, mut engine) = engine();
    for (lsn, key) in (1..).zip(["d", "b", "a", "c", "e"]) {
        let value = if key == "e" { 9.0 } else { 1.0 };
        apply(&mut engine, lsn, &put(INDEX, key, Some(vec![value])));
    }
    let query = Query { index: INDEX, vector: &[0.0], metric: Metric::L2, k: 2 };
    let mut asked = Vec::new();
    let hits = engine.nearest(&query, &mut |key| {
        asked.push(key.to_vec());
        Ok::<_, Infallible>(key != b"b")
    });
    assert_eq!(keys(&hits.expect("no error")), ["a", "c"]);
    assert_eq!(asked, [b"a", b"b", b"c"]);
    let none = engine.nearest(&query, &mut |_| Ok::<_, Infallible>(false));
    assert_eq!(none, Ok(Vec::new()));
    assert_eq!(engine.nearest(&query, &mut |_| Err("refused")), Err("refused"));
    let elsewhere = Query { index: IndexId::new(8), ..query };
    assert_eq!(engine.nearest(&elsewhere, &mut |_| Err("asked")), Ok(Vec::new()));
}

#[test]
fn every_vector_is_its_own_nearest() {
    let (_files, mut engine) = engine();
    // No two point in the same direction.
    let number = |n: u16, d: u16| f32::from((n * 37 + d * d * 11) % 101) - 50.3;
    let vectors: Vec<Vec<f32>> =
        (0..50_u16).map(|n| (0..33_u16).map(|d| number(n, d)).collect()).collect();
    for (lsn, vector) in (1..).zip(&vectors) {
        apply(&mut engine, lsn, &put(INDEX, &format!("k{lsn}"), Some(vector.clone())));
    }
    for (lsn, vector) in (1..).zip(&vectors) {
        let key = format!("k{lsn}");
        for metric in [Metric::L2, Metric::Cosine] {
            let hits = nearest(&engine, vector, metric, 1);
            assert_eq!(keys(&hits), [&*key], "{metric:?}");
            assert!(hits[0].distance < 1e-6, "{metric:?}");
        }
        assert_eq!(engine.vector(INDEX, key.as_bytes()), Some(&**vector));
        assert_eq!(engine.stamp(INDEX, key.as_bytes()), Some(at(lsn)));
    }
    assert_eq!(engine.vector(INDEX, b"none"), None);
}

#[test]
fn a_metric_measures_what_it_says() {
    let (_files, mut engine) = engine();
    for (lsn, (key, vector)) in
        (1..).zip([("along", [10.0, 0.0]), ("across", [0.0, 1.0]), ("against", [-1.0, 0.0])])
    {
        apply(&mut engine, lsn, &put(INDEX, key, Some(vector.to_vec())));
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
    let (files, mut engine) = engine();
    let log: Vec<Redo> = (1..=20_u8)
        .map(|n| put(INDEX, &format!("k{}", n % 7), Some(vec![f32::from(n), 1.0])))
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
    let (_files, mut engine) = engine();
    let other = IndexId::new(8);
    apply(&mut engine, 1, &put(INDEX, "a", Some(vec![1.0])));
    apply(&mut engine, 2, &put(other, "a", Some(vec![2.0, 3.0])));
    let before = engine.memory_bytes();
    let drop = Redo::Catalog(CatalogChange::DropCollection {
        id: CollectionId::new(1),
        indexes: vec![INDEX],
    });
    apply(&mut engine, 3, &drop);
    assert!(engine.is_empty(INDEX) && engine.len(other) == 1);
    assert!(engine.memory_bytes() < before);
    assert_eq!(engine.indexes().collect::<Vec<_>>(), [other]);
}
