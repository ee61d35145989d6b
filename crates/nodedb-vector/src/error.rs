//! What callers send, checked before it is logged.

use nodedb_engine::Metric;
use nodedb_types::ErrorKind;

/// A vector that no index takes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// Its length is not that of the index.
    #[error("the vector has {found} numbers, the index takes {expected}: send {expected}")]
    Dimensions {
        /// What the index takes.
        expected: u32,
        /// What was sent.
        found: usize,
    },
    /// A number is NaN or infinite.
    #[error("number {position} of the vector (counted from 0) is {value}: send finite numbers")]
    NotFinite {
        /// Where, from 0.
        position: usize,
        /// What stands there.
        value: f32,
    },
    /// Its numbers are so large that distances would overflow.
    #[error(
        "the numbers of the vector are too large, first of all number {position} (counted from 0): \
         scale it to a length below 9e18"
    )]
    TooLong {
        /// The largest number, from 0.
        position: usize,
    },
    /// It has no direction, or is too short to tell it, and the index measures angles.
    #[error(
        "the vector is zero or all but zero, which has no angle: leave it out or use metric l2"
    )]
    ZeroUnderCosine,
}

impl VectorError {
    /// How a caller reacts to it.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

/// Bound of the squared length. `|a - b|^2 <= 4 max(|a|, |b|)^2` and `|a . b| <= |a| |b|`, partial
/// sums included, so below it no distance overflows to infinity or NaN.
const SQUARED_LENGTH_MAX: f64 = f32::MAX as f64 / 4.0;

/// Checks a vector before it is logged, or asked for.
///
/// # Errors
/// [`VectorError`] says what is wrong, and where.
///
/// # Examples
/// ```
/// use nodedb_engine::Metric;
/// use nodedb_vector::{VectorError, check_vector};
///
/// assert_eq!(check_vector(2, Metric::Cosine, &[0.0, 0.5]), Ok(()));
/// assert_eq!(
///     check_vector(2, Metric::Cosine, &[0.0, 0.0]),
///     Err(VectorError::ZeroUnderCosine)
/// );
/// ```
pub fn check_vector(dimensions: u32, metric: Metric, vector: &[f32]) -> Result<(), VectorError> {
    if usize::try_from(dimensions) != Ok(vector.len()) {
        return Err(VectorError::Dimensions { expected: dimensions, found: vector.len() });
    }
    let mut squares = 0.0;
    let mut largest = (0, 0.0);
    for (position, value) in vector.iter().copied().enumerate() {
        if !value.is_finite() {
            return Err(VectorError::NotFinite { position, value });
        }
        if value.abs() > largest.1 {
            largest = (position, value.abs());
        }
        squares += f64::from(value) * f64::from(value);
    }
    if squares > SQUARED_LENGTH_MAX {
        return Err(VectorError::TooLong { position: largest.0 });
    }
    // Below the smallest normal number the length loses its digits, and the angle with it.
    if metric == Metric::Cosine && squares < f64::from(f32::MIN_POSITIVE) {
        return Err(VectorError::ZeroUnderCosine);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_infinities_are_refused_by_position() {
        for value in [f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(
                check_vector(3, Metric::L2, &[1.0, 2.0, value]),
                Err(VectorError::NotFinite { position: 2, value })
            );
        }
        let error = check_vector(2, Metric::Dot, &[f32::NAN, 0.0]).expect_err("NaN");
        assert!(matches!(error, VectorError::NotFinite { position: 0, .. }));
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn wrong_dimensions_and_zero_under_cosine_are_refused() {
        assert_eq!(
            check_vector(3, Metric::L2, &[1.0, 2.0]),
            Err(VectorError::Dimensions { expected: 3, found: 2 })
        );
        let zero = [0.0; 4];
        assert_eq!(check_vector(4, Metric::L2, &zero), Ok(()));
        assert_eq!(check_vector(4, Metric::Dot, &zero), Ok(()));
        for short in [[0.0; 4], [-0.0; 4], [1e-30; 4], [f32::from_bits(1); 4]] {
            assert_eq!(check_vector(4, Metric::Cosine, &short), Err(VectorError::ZeroUnderCosine));
        }
    }

    #[test]
    fn a_length_that_overflows_is_refused() {
        assert_eq!(
            check_vector(2, Metric::L2, &[1.0, -1e20]),
            Err(VectorError::TooLong { position: 1 })
        );
        assert_eq!(check_vector(2, Metric::L2, &[1.0, -9e18]), Ok(()));
    }
}
