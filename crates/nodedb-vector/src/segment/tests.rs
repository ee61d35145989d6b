//! Segments as their owner uses them, over copies of their files.

use super::{slot::position, *};
use nodedb_engine::{Metric, VectorStorage};
use nodedb_types::{IndexId, LogEpoch, Lsn};
use roaring::RoaringBitmap;
use std::path::Path;

pub(super) const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];
pub(super) const STORAGES: [VectorStorage; 3] =
    [VectorStorage::F32, VectorStorage::Bf16, VectorStorage::I8];

pub(super) fn spec(dimensions: u32, metric: Metric, storage: VectorStorage) -> SegmentSpec {
    SegmentSpec { index: IndexId::new(7), dimensions, metric, storage }
}

pub(super) fn stamp(row: u32) -> Stamp {
    Stamp { epoch: LogEpoch::new(3), lsn: Lsn::from_u64(u64::from(row) + 1).expect("above 0") }
}

pub(super) fn key(row: u32) -> Vec<u8> {
    format!("key-{row:08}").into_bytes()
}

/// The files of a segment.
pub(super) struct SegmentBytes {
    pub(super) rows: Vec<u8>,
    pub(super) vectors: Vec<u8>,
    pub(super) graph: Vec<u8>,
}

/// A builder with all keys and vectors, and the file of vectors.
fn begun(first: u32, spec: SegmentSpec, rows: &[Vec<f32>]) -> (SegmentBuilder, Vec<u8>) {
    let mut builder = SegmentBuilder::new(spec);
    for (row, _) in (first..).zip(rows) {
        builder.push_key(&key(row), stamp(row));
    }
    let mut file = Vec::new();
    for vector in rows {
        builder.push_vector(vector, &mut file);
    }
    builder.end_vectors(&mut file);
    (builder, file)
}

pub(super) fn build(spec: SegmentSpec, rows: &[Vec<f32>]) -> SegmentBytes {
    build_from(0, spec, rows)
}

/// The keys count from `first`.
pub(super) fn build_from(first: u32, spec: SegmentSpec, rows: &[Vec<f32>]) -> SegmentBytes {
    let (mut builder, vectors) = begun(first, spec, rows);
    for vector in rows {
        builder.add(vector).expect("added");
    }
    let KeysAndGraph { rows, graph } = builder.finish().expect("built");
    SegmentBytes { rows, vectors, graph }
}

pub(super) fn flat(spec: SegmentSpec, rows: &[Vec<f32>]) -> Segment {
    let (builder, vectors) = begun(0, spec, rows);
    let KeysAndGraph { rows, graph } = builder.finish().expect("built");
    Segment::open(parts(spec, &SegmentBytes { rows, vectors, graph })).expect("opened")
}

pub(super) fn parts(spec: SegmentSpec, bytes: &SegmentBytes) -> SegmentParts {
    let file =
        |name: &str, bytes: &[u8]| SegmentFile::copied(Path::new(name), bytes).expect("copied");
    SegmentParts {
        spec,
        rows: file("rows", &bytes.rows),
        vectors: file("vectors", &bytes.vectors),
        graph: file("graph", &bytes.graph),
    }
}

pub(super) fn segment(spec: SegmentSpec, vectors: &[Vec<f32>]) -> Segment {
    Segment::open(parts(spec, &build(spec, vectors))).expect("opened")
}

/// Vectors without order, the same at every run.
pub(super) fn vectors(count: usize, dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut number = || {
        // A step of a linear congruential generator: its high bits are random enough for vectors.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = u16::try_from(state >> 48).expect("16 bits");
        (f32::from(high) - 32_768.0) / 32_768.0
    };
    (0..count).map(|_| (0..dimensions).map(|_| number()).collect()).collect()
}

/// What the graph alone finds, however few the rows are.
pub(super) fn walk(segment: &Segment, query: SegmentQuery<'_>) -> Vec<Hit> {
    segment.walk(query, None).expect("walked").expect("no filter")
}

pub(super) fn query(vector: &[f32], k: usize, ef: usize) -> SegmentQuery<'_> {
    SegmentQuery { vector, k, ef }
}

#[test]
fn rows_are_found_by_slot_by_key_and_by_vector() {
    let rows = vectors(300, 24, 1);
    for metric in METRICS {
        for storage in STORAGES {
            let segment = segment(spec(24, metric, storage), &rows);
            assert_eq!(segment.len(), 300);
            for (slot, vector) in (0..).zip(&rows) {
                assert_eq!(segment.key(slot), key(slot));
                assert_eq!(segment.stamp(slot), stamp(slot));
                assert_eq!(segment.vector(slot), &**vector);
                assert_eq!(segment.find(&key(slot)), Some(slot));
                let hits = walk(&segment, query(vector, 3, 64));
                let exact =
                    segment.exact_except(vector, &RoaringBitmap::new(), 3).expect("scanned");
                assert_eq!(hits[0], exact[0], "{metric:?} {storage:?} {slot}");
                let some = segment.exact(vector, 0..300, 3).expect("scanned");
                assert_eq!(some, exact);
            }
            assert_eq!(segment.find(b"key"), None);
            assert_eq!(segment.find(b"key-00000300"), None);
        }
    }
}

/// A flat segment has the same rows, and answers what measuring all of them answers.
#[test]
fn a_segment_without_a_graph_answers_exactly() {
    let rows = vectors(3_000, 6, 2);
    for metric in METRICS {
        let spec = spec(6, metric, VectorStorage::Bf16);
        let (flat, graph) = (flat(spec, &rows), segment(spec, &rows));
        assert!(!flat.is_graph() && graph.is_graph());
        assert_eq!((flat.len(), flat.key_bytes()), (graph.len(), graph.key_bytes()));
        for (slot, vector) in (0..).zip(&rows).step_by(50) {
            assert_eq!((flat.vector(slot), flat.find(&key(slot))), (&**vector, Some(slot)));
            let found = flat.search(query(vector, 10, 64), None).expect("found");
            let exact = graph.exact_except(vector, &RoaringBitmap::new(), 10).expect("scanned");
            assert_eq!(found, exact, "{metric:?}");
            let mut third = |slot: u32| slot.is_multiple_of(3);
            let found = flat.search(query(vector, 10, 64), Some(&mut third)).expect("found");
            let exact = graph.exact(vector, (0..3_000).step_by(3), 10).expect("scanned");
            assert_eq!(found, exact, "{metric:?}");
        }
    }
}

mod damage;
mod extremes;
mod files;
mod filters;
mod measure;
mod recall;
mod soak;
mod words;
