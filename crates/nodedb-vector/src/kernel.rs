//! Exact distances between vectors, by the kernels that the processor at hand runs fastest.
//!
//! The kernels read `f32` and sum in `f64`, so that a distance is off by the rounding of its result
//! alone, whatever the length and however small or large the numbers. Rows that come from memory take
//! the time that memory takes, as with sums in `f32`; rows in a cache take up to 1.7 times as long at
//! 1,536 numbers, and less at fewer. A smaller distance is nearer: cosine is `1 - cos` in 0 to 2, L2 is
//! squared, dot is negated. Vectors that passed [`check_vector`](crate::check_vector) have finite
//! distances, never NaN.

use nodedb_engine::Metric;
use numkong::{Dot, Euclidean};

/// Sum of products.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    narrow(wide_dot(a, b))
}

/// Sum of squared differences.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    narrow(wide_squared_distance(a, b))
}

/// Length of a vector, which [`Probe`] wants of each row under cosine.
pub(crate) fn norm(vector: &[f32]) -> f32 {
    narrow(wide_dot(vector, vector).sqrt())
}

#[expect(clippy::expect_used, reason = "the kernel answers for two slices of one length")]
fn wide_dot(a: &[f32], b: &[f32]) -> f64 {
    <f32 as Dot>::dot(a, b).expect("vectors of one index are of one length")
}

#[expect(clippy::expect_used, reason = "the kernel answers for two slices of one length")]
fn wide_squared_distance(a: &[f32], b: &[f32]) -> f64 {
    <f32 as Euclidean>::sqeuclidean(a, b).expect("vectors of one index are of one length")
}

#[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest number of an answer")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

/// A vector to measure distances from, prepared once for many rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'a> {
    vector: &'a [f32],
    metric: Metric,
    norm: f64,
}

impl<'a> Probe<'a> {
    /// Prepares a vector that passed [`check_vector`](crate::check_vector).
    pub(crate) fn new(metric: Metric, vector: &'a [f32]) -> Self {
        assert!(!vector.is_empty(), "a vector has at least one number");
        let norm = match metric {
            // Narrowed, as the rows' lengths are: a row's distance is the same from both sides.
            Metric::Cosine => f64::from(norm(vector)),
            Metric::L2 | Metric::Dot => 0.0,
        };
        assert!(metric != Metric::Cosine || norm > 0.0, "a checked vector has an angle");
        Self { vector, metric, norm }
    }

    /// Distance of one row. `norm` is the row's [`norm`], looked at under cosine alone.
    #[inline]
    pub(crate) fn distance(&self, row: &[f32], norm: f32) -> f32 {
        match self.metric {
            Metric::Cosine => self.cosine(row, norm),
            Metric::L2 => squared_distance(self.vector, row),
            Metric::Dot => self.negated_dot(row),
        }
    }

    /// Distances of rows that lie one behind the other, into `out`. Under cosine `norms` has the
    /// [`norm`] of each row, under the others it is not looked at.
    pub(crate) fn distances(&self, rows: &[f32], norms: &[f32], out: &mut [f32]) {
        let stride = self.vector.len();
        assert_eq!(rows.len(), out.len() * stride, "one distance for each row");
        let rows = rows.chunks_exact(stride).zip(out);
        match self.metric {
            Metric::Cosine => {
                assert_eq!(rows.len(), norms.len(), "one norm for each row");
                rows.zip(norms).for_each(|((row, out), norm)| *out = self.cosine(row, *norm));
            }
            Metric::L2 => rows.for_each(|(row, out)| *out = squared_distance(self.vector, row)),
            Metric::Dot => rows.for_each(|(row, out)| *out = self.negated_dot(row)),
        }
    }

    fn cosine(&self, row: &[f32], norm: f32) -> f32 {
        let cosine = wide_dot(self.vector, row) / (self.norm * f64::from(norm));
        // Rounding may lead out of the range.
        narrow((1.0 - cosine).clamp(0.0, 2.0))
    }

    fn negated_dot(&self, row: &[f32]) -> f32 {
        // The difference, not the negation: that would make two zeros that differ.
        0.0 - dot(self.vector, row)
    }
}

#[cfg(test)]
mod tests;
