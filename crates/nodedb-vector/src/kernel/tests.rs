use super::*;
use proptest::prelude::*;

/// A plain loop, the definition of each distance.
fn reference(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let dot: f64 = pairs().map(|(a, b)| a * b).sum();
    match metric {
        Metric::Cosine => {
            let squares = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
            1.0 - dot / (squares(a).sqrt() * squares(b).sqrt())
        }
        Metric::L2 => pairs().map(|(a, b)| (a - b).powi(2)).sum(),
        Metric::Dot => -dot,
    }
}

/// How far off a distance may be: a few roundings of the largest number that takes part.
fn tolerance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let size: f64 = match metric {
        Metric::Cosine => 2.0,
        Metric::L2 => pairs.map(|(a, b)| (a - b).powi(2)).sum(),
        Metric::Dot => pairs.map(|(a, b)| (a * b).abs()).sum(),
    };
    size * f64::from(f32::EPSILON) + f64::from(f32::MIN_POSITIVE)
}

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

/// Numbers of all sizes that `check_vector` takes.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -1.0_f32..1.0,
        1 => -1e16_f32..1e16,
        1 => -1e-16_f32..1e-16,
        1 => Just(0.0_f32),
        1 => Just(f32::MIN_POSITIVE),
        1 => Just(f32::from_bits(1)),
    ]
}

fn rows() -> impl Strategy<Value = (Vec<f32>, Vec<Vec<f32>>)> {
    (1_usize..200).prop_flat_map(|length| {
        let vector = move || prop::collection::vec(number(), length);
        (vector(), prop::collection::vec(vector(), 1..8))
    })
}

proptest! {
    #[test]
    fn distances_are_those_of_a_plain_loop((query, rows) in rows()) {
        for metric in METRICS {
            let fits = |row: &[f32]| {
                let dimensions = u32::try_from(row.len()).unwrap();
                crate::check_vector(dimensions, metric, row).is_ok()
            };
            if !fits(&query) || !rows.iter().all(|row| fits(row)) {
                continue;
            }
            let probe = Probe::new(metric, &query);
            let norms: Vec<f32> = rows.iter().map(|row| norm(row)).collect();
            let mut found = vec![f32::NAN; rows.len()];
            probe.distances(&rows.concat(), &norms, &mut found);
            for ((row, norm), found) in rows.iter().zip(&norms).zip(found) {
                prop_assert_eq!(found.to_bits(), probe.distance(row, *norm).to_bits());
                prop_assert!(found.is_finite());
                let off = (f64::from(found) - reference(metric, &query, row)).abs();
                prop_assert!(off <= tolerance(metric, &query, row), "{metric:?} off by {off}");
            }
        }
    }
}

#[test]
fn sums_of_whole_numbers_are_exact_at_every_length() {
    for length in 0..70_u8 {
        let a: Vec<f32> = (0..length).map(f32::from).collect();
        let b: Vec<f32> = (0..length).map(|x| f32::from(x % 5) - 2.0).collect();
        let pairs = || a.iter().zip(&b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        // An empty sum of the standard library is -0.
        let products = 0.0 + pairs().map(|(a, b)| a * b).sum::<f64>();
        let squares = 0.0 + pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let found = [dot(&a, &b), squared_distance(&a, &b)].map(f64::from);
        assert_eq!(found.map(f64::to_bits), [products, squares].map(f64::to_bits), "{length}");
    }
}

#[test]
fn a_vector_is_at_no_distance_from_itself_and_zeros_are_alike() {
    let vector = [0.3, -4.0, 1e-3];
    let itself = Probe::new(Metric::L2, &vector).distance(&vector, 0.0);
    assert_eq!(itself.to_bits(), 0.0_f32.to_bits());
    assert!(Probe::new(Metric::Cosine, &vector).distance(&vector, norm(&vector)) < 3e-7);
    let zero = Probe::new(Metric::Dot, &[0.0, -0.0, 0.0]).distance(&vector, 0.0);
    assert_eq!(zero.to_bits(), 0.0_f32.to_bits());
}

#[test]
fn the_longest_vectors_have_finite_distances() {
    let length = nodedb_types::limits::VECTOR_DIMENSIONS_MAX;
    let large = vec![7e16_f32; length];
    let dimensions = u32::try_from(length).unwrap();
    for metric in METRICS {
        crate::check_vector(dimensions, metric, &large).expect("at the limit");
        let opposite: Vec<f32> = large.iter().map(|x| -x).collect();
        let distance = Probe::new(metric, &large).distance(&opposite, norm(&opposite));
        assert!(distance.is_finite(), "{metric:?} {distance}");
    }
}
