//! Segments of odd shapes, and questions at the limits.

use super::*;
use crate::VectorError;
use nodedb_types::limits;

fn finds_all(segment: &Segment, rows: &[Vec<f32>]) {
    let all = rows.len();
    for vector in rows {
        let found = walk(segment, query(vector, all, 1));
        let exact = segment.exact_except(vector, &RoaringBitmap::new(), all).expect("scanned");
        assert_eq!(found, exact, "{:?}", segment.spec());
        assert!(found.iter().all(|hit| hit.distance.is_finite()));
    }
}

#[test]
fn no_row_and_one_row() {
    for metric in METRICS {
        for storage in STORAGES {
            let spec = spec(5, metric, storage);
            let one = vectors(1, 5, 9);
            let empty = segment(spec, &[]);
            assert_eq!(empty.len(), 0);
            assert_eq!(empty.find(b""), None);
            assert_eq!(empty.search(query(&one[0], 10, 64), None), Ok(vec![]));
            assert_eq!(empty.exact_except(&one[0], &RoaringBitmap::new(), 10), Ok(vec![]));
            finds_all(&segment(spec, &one), &one);
        }
    }
}

#[test]
fn one_number_and_as_many_as_there_may_be() {
    for dimensions in [1, limits::VECTOR_DIMENSIONS_MAX] {
        let rows = vectors(40, dimensions, 10);
        let width = u32::try_from(dimensions).expect("few");
        for metric in METRICS {
            for storage in STORAGES {
                finds_all(&segment(spec(width, metric, storage), &rows), &rows);
            }
        }
    }
}

/// Of many equal vectors a graph keeps some that no edge leads to.
#[test]
fn equal_vectors_are_all_found_where_all_are_wanted() {
    let rows = vec![vec![0.5, -0.25, 1.0]; 1_300];
    for metric in METRICS {
        for storage in STORAGES {
            let segment = segment(spec(3, metric, storage), &rows);
            let few = segment.search(query(&rows[0], 10, 50), None).expect("found");
            assert_eq!(few.len(), 10);
            let walked = walk(&segment, query(&rows[0], 60, 60));
            assert!(walked.len() <= 60);
            let most = segment.search(query(&rows[0], 60, 60), None).expect("found");
            assert_eq!(most.len(), 60);
            let found = segment.search(query(&rows[0], 1_300, 64), None).expect("found");
            let slots: Vec<u32> = found.iter().map(|hit| hit.slot).collect();
            assert_eq!(slots, (0..1_300).collect::<Vec<_>>(), "{metric:?} {storage:?}");
        }
    }
}

#[test]
fn zeros_are_rows_where_distances_are_no_angles() {
    let mut rows = vectors(30, 4, 11);
    rows.push(vec![0.0; 4]);
    for metric in [Metric::L2, Metric::Dot] {
        for storage in STORAGES {
            finds_all(&segment(spec(4, metric, storage), &rows), &rows);
            let zeros = vec![vec![0.0; 4]; 20];
            finds_all(&segment(spec(4, metric, storage), &zeros), &zeros);
        }
    }
}

/// Sums of squares of such numbers overflow or vanish where a graph computes with them as they are.
#[test]
fn numbers_of_any_size_are_found() {
    let mut rows = Vec::new();
    for (size, seed) in [(1e18_f32, 12), (1.0, 13), (1e-19, 14)] {
        let more = vectors(10, 6, seed);
        rows.extend(more.iter().map(|row| row.iter().map(|x| x * size).collect::<Vec<_>>()));
    }
    for metric in METRICS {
        for storage in STORAGES {
            finds_all(&segment(spec(6, metric, storage), &rows), &rows);
            finds_all(&segment(spec(6, metric, storage), &rows[20..]), &rows[20..]);
        }
    }
    // A question far from all that is stored.
    let far = vec![-3e18; 6];
    for metric in METRICS {
        for storage in STORAGES {
            let segment = segment(spec(6, metric, storage), &rows[20..]);
            let found = walk(&segment, query(&far, 10, 64));
            assert_eq!(found.len(), 10);
            assert!(found.iter().all(|hit| hit.distance.is_finite()), "{found:?}");
        }
    }
}

#[test]
fn more_than_there_is_and_less_than_asked() {
    let rows = vectors(50, 8, 15);
    let segment = segment(spec(8, Metric::L2, VectorStorage::Bf16), &rows);
    for (k, ef, count) in [(0, 64, 0), (10, 0, 10), (50, 3, 50), (usize::MAX, usize::MAX, 50)] {
        let found = segment.search(query(&rows[1], k, ef), None).expect("found");
        assert_eq!(found.len(), count);
        let exact = segment.exact_except(&rows[1], &RoaringBitmap::new(), k).expect("scanned");
        assert_eq!(exact.len(), count);
        let exact = segment.exact(&rows[1], 0..50, k).expect("scanned");
        assert_eq!(exact.len(), count);
    }
}

#[test]
fn dead_slots_are_left_out() {
    let rows = vectors(700, 8, 16);
    let segment = segment(spec(8, Metric::Cosine, VectorStorage::Bf16), &rows);
    let dead: RoaringBitmap = (0..700).filter(|slot| slot % 3 != 1).collect();
    let exact = segment.exact_except(&rows[0], &dead, 9).expect("scanned");
    assert_eq!(exact, segment.exact(&rows[0], (1..700).step_by(3), 9).expect("scanned"));
    let all: RoaringBitmap = (0..700).collect();
    assert_eq!(segment.exact_except(&rows[0], &all, 9), Ok(vec![]));
}

#[test]
fn a_question_that_is_no_vector_of_the_index_is_refused() {
    let rows = vectors(5, 2, 17);
    let segment = segment(spec(2, Metric::Cosine, VectorStorage::F32), &rows);
    let cases = [
        (vec![f32::INFINITY, 0.0], VectorError::NotFinite { position: 0, value: f32::INFINITY }),
        (vec![1.0], VectorError::Dimensions { expected: 2, found: 1 }),
        (vec![0.0, 0.0], VectorError::ZeroUnderCosine),
        (vec![1e30, 0.0], VectorError::TooLong { position: 0 }),
    ];
    for (vector, error) in cases {
        let error = SegmentError::Query(error);
        assert_eq!(segment.search(query(&vector, 1, 64), None), Err(error.clone()));
        assert_eq!(segment.exact(&vector, 0..1, 1), Err(error.clone()));
        assert_eq!(segment.exact_except(&vector, &RoaringBitmap::new(), 1), Err(error));
    }
    let nan = segment.search(query(&[f32::NAN, 1.0], 1, 64), None).expect_err("NaN");
    assert!(matches!(nan, SegmentError::Query(VectorError::NotFinite { position: 0, .. })));
}

#[test]
#[should_panic(expected = "keys come in strictly ascending order")]
fn keys_out_of_order_stop_the_build() {
    let mut builder = SegmentBuilder::new(spec(1, Metric::L2, VectorStorage::F32));
    builder.push_key(b"a", stamp(0));
    builder.push_key(b"a", stamp(1));
}

#[test]
#[should_panic(expected = "vectors are checked before they are logged")]
fn a_vector_that_is_not_finite_stops_the_build() {
    let mut builder = SegmentBuilder::new(spec(1, Metric::L2, VectorStorage::F32));
    builder.push_key(b"a", stamp(0));
    builder.push_vector(&[f32::NAN], &mut Vec::new());
}
