//! In which order keys come.

use std::cmp::Ordering;

/// In which order keys come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direction {
    /// The smallest first.
    #[default]
    Ascending,
    /// The largest first.
    Descending,
}

impl Direction {
    /// Which of two keys comes first.
    pub fn compare<K: Ord + ?Sized>(self, one: &K, other: &K) -> Ordering {
        match self {
            Self::Ascending => one.cmp(other),
            Self::Descending => other.cmp(one),
        }
    }

    /// The next item in this order.
    pub(crate) fn next<I: DoubleEndedIterator>(self, items: &mut I) -> Option<I::Item> {
        match self {
            Self::Ascending => items.next(),
            Self::Descending => items.next_back(),
        }
    }
}
