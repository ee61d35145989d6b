//! Vectors for similarity search.

use nodedb_testkit::SeededRandom;

/// `count` vectors of length 1 in random directions. Without clusters, so recall on them is lower
/// than on embeddings of real text: good for speed, not for claims about recall.
///
/// # Panics
/// If `dimension` is 0.
pub fn unit_vectors(seed: u64, count: usize, dimension: usize) -> Vec<Vec<f32>> {
    assert!(dimension > 0, "a vector has a dimension");
    let random = SeededRandom::new(seed);
    (0..count).map(|_| unit_vector(&random, dimension)).collect()
}

fn unit_vector(random: &SeededRandom, dimension: usize) -> Vec<f32> {
    let mut vector: Vec<f32> = (0..dimension).map(|_| bell(random)).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    for x in &mut vector {
        *x /= length;
    }
    vector
}

/// Near enough to a normal distribution that no direction is preferred: a sum of four uniforms.
fn bell(random: &SeededRandom) -> f32 {
    let uniform = || {
        let ticks = u16::try_from(random.below(1 << 16)).unwrap_or_default();
        f32::from(ticks) / 65_536.0 - 0.499_992_4
    };
    uniform() + uniform() + uniform() + uniform()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn have_length_one_and_point_everywhere() {
        let vectors = unit_vectors(5, 100, 64);
        let mut mean = 0.0;
        for vector in &vectors {
            let length = vector.iter().map(|x| x * x).sum::<f32>();
            assert!((length - 1.0).abs() < 1e-4, "{length}");
            mean += vector.iter().sum::<f32>() / 6_400.0;
        }
        assert!(mean.abs() < 0.01, "{mean}");
    }
}
