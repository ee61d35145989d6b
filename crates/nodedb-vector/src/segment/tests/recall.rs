//! How much of the truth a segment finds, on embeddings of real text.

use super::{words::words, *};

const ROWS: usize = 4_000;
const EF: usize = 64;

#[test]
fn ten_nearest_are_found_and_every_vector_finds_itself() {
    let data = words(ROWS);
    for storage in STORAGES {
        let segment = segment(spec(384, Metric::Cosine, storage), &data.rows);
        let none = RoaringBitmap::new();
        let (mut right, mut all) = (0, 0);
        for vector in &data.queries {
            let exact = segment.exact_except(vector, &none, 10).expect("scanned");
            let found = segment.search(query(vector, 10, EF), None).expect("found");
            assert_eq!(found.len(), 10);
            right += exact.iter().filter(|hit| found.contains(hit)).count();
            all += exact.len();
        }
        assert!(right * 100 >= all * 98, "{storage:?}: {right} of {all}");

        let mut lost: Vec<u32> = Vec::new();
        for (slot, vector) in (0..).zip(&data.rows) {
            let found = segment.search(query(vector, 10, EF), None).expect("found");
            if found.iter().all(|hit| hit.slot != slot) {
                lost.push(slot);
            }
        }
        assert!(lost.is_empty(), "{storage:?}: {lost:?}");
    }
}

/// Points on a line: bf16 cannot tell up to 16 of 4,000 from each other, and only measuring in full can.
#[test]
fn neighbours_that_rounding_makes_equal_are_told_apart() {
    let rows: Vec<Vec<f32>> = (0..4_000_u16).map(|at| vec![f32::from(at), 1.0]).collect();
    let none = RoaringBitmap::new();
    let segment = segment(spec(2, Metric::L2, VectorStorage::Bf16), &rows);
    let (mut right, mut all) = (0, 0);
    for vector in rows.iter().step_by(7) {
        let exact = segment.exact_except(vector, &none, 10).expect("scanned");
        let found = segment.search(query(vector, 10, EF), None).expect("found");
        right += exact.iter().filter(|hit| found.contains(hit)).count();
        all += exact.len();
    }
    assert!(right * 100 >= all * 98, "{right} of {all}");
}

/// One row of huge numbers stretched the scale of the codes until all others were zeros, and every row
/// but that one was as near as any other.
#[test]
fn a_few_outliers_do_not_blind_the_codes() {
    let mut data = words(ROWS);
    for (place, size) in [(7, 1e6), (1_500, -3e3), (3_999, 50.0)] {
        data.rows[place].iter_mut().for_each(|x| *x *= size);
    }
    let none = RoaringBitmap::new();
    for metric in [Metric::L2, Metric::Dot] {
        let [codes, numbers] = [VectorStorage::I8, VectorStorage::F32].map(|storage| {
            let segment = segment(spec(384, metric, storage), &data.rows);
            let mut right = 0;
            for vector in &data.queries {
                let exact = segment.exact_except(vector, &none, 10).expect("scanned");
                let found = segment.search(query(vector, 10, EF), None).expect("found");
                right += exact.iter().filter(|hit| found.contains(hit)).count();
            }
            // Under dot some other outlier is the nearest of each, and no graph is sure to lead there.
            for place in [7_u32, 1_500, 3_999].into_iter().filter(|_| metric == Metric::L2) {
                let vector = &data.rows[position(place)];
                let found = segment.search(query(vector, 1, EF), None).expect("found");
                let exact = segment.exact_except(vector, &none, 1).expect("scanned");
                assert_eq!(found, exact, "{metric:?}: an outlier finds itself");
            }
            right
        });
        // Under dot the outliers are near everything, and no graph finds all others.
        let all = data.queries.len() * 10;
        assert!(numbers <= codes + all / 50, "{metric:?}: {codes} and {numbers} of {all}");
        assert!(metric != Metric::L2 || codes * 100 >= all * 97, "{codes} of {all}");
    }
}
