//! Inner loops over two slices. Sixteen accumulators let the compiler use vector registers: one sum
//! would force the order of additions.

const LANES: usize = 16;

/// Sum of products.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    accumulate(a, b, |a, b| a * b)
}

/// Sum of squared differences.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    accumulate(a, b, |a, b| (a - b) * (a - b))
}

#[inline]
fn accumulate(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one index are of one length");
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(*a, *b);
        }
    }
    let rest = a_rest.iter().zip(b_rest);
    let rest: f32 = rest.map(|(a, b)| term(*a, *b)).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
