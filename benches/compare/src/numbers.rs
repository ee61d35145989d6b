//! Keys for the records of stores that want keys.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// 1, 2, 3 ..., each handed out once: keys ascend, which every peer likes best.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(Arc<AtomicU64>);

impl Numbers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1)))
    }

    /// The next so many.
    pub(crate) fn take(&self, count: usize) -> Range<u64> {
        let count = count as u64;
        // Relaxed: only that each is handed out once counts.
        let first = self.0.fetch_add(count, Ordering::Relaxed);
        first..first + count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_handed_out_twice() {
        let numbers = Numbers::new();
        let other = numbers.clone();
        assert_eq!([numbers.take(2), other.take(3), numbers.take(1)], [1..3, 3..6, 6..7]);
    }
}
