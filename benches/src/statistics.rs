//! What many rounds come to.

/// The middle of the values, the mean of the two middle ones if their number is even; `None` of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// The median of what `values` are to `limits`, round by round: a disk that is slow in one round is so
/// for both sides of that round's ratio. `None` if there is no round with both.
pub fn ratio(values: &[f64], limits: &[f64]) -> Option<f64> {
    let rounds = values.iter().zip(limits).filter(|(_, limit)| **limit > 0.0);
    median(&rounds.map(|(value, limit)| value / limit).collect::<Vec<_>>())
}

/// The smallest of `sorted` that at least `per_mille` thousandths of them do not exceed; `None` of none.
///
/// # Panics
/// If `per_mille` is above 1000 or the values do not ascend.
pub fn percentile(sorted: &[u64], per_mille: usize) -> Option<u64> {
    assert!(per_mille <= 1000, "a share is at most all");
    assert!(sorted.is_sorted(), "percentiles are of sorted values");
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    sorted.get(rank.max(1) - 1).copied()
}

/// A count as a number to calculate with. Exact up to 2^53, which no bench counts to.
///
/// # Panics
/// Above that.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench stay below 2^53")]
pub fn real(count: u64) -> f64 {
    assert!(count < 1 << 53, "a count of a bench is exact as f64");
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_of_the_sorted_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn a_ratio_is_taken_in_each_round_before_the_median() {
        // The disk was ten times slower in the second round: a ratio of medians would be 0.05.
        let limits = [100.0, 10.0, 1000.0];
        let values = [50.0, 5.0, 500.0];
        assert_eq!(ratio(&values, &limits), Some(0.5));
        assert_eq!(
            ratio(&[1.0, 8.0], &[0.0, 2.0]),
            Some(4.0),
            "a round without a limit is left out"
        );
        assert_eq!(ratio(&[1.0], &[]), None);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 500), Some(50));
        assert_eq!(percentile(&hundred, 990), Some(99));
        assert_eq!(percentile(&hundred, 999), Some(100));
        assert_eq!(percentile(&hundred, 1000), Some(100));
        assert_eq!(percentile(&hundred, 0), Some(1));
        assert_eq!(percentile(&[7], 990), Some(7));
        assert_eq!(percentile(&[], 990), None);
    }
}
