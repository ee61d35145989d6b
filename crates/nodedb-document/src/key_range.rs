//! Intervals of user keys.

use bytes::Bytes;
use std::ops::{Bound, RangeBounds};

/// Which keys: those between two bounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRange {
    /// The lower bound.
    pub from: Bound<Bytes>,
    /// The upper bound. Below the lower one it leaves no key at all.
    pub to: Bound<Bytes>,
}

impl KeyRange {
    /// All keys.
    pub const ALL: Self = Self { from: Bound::Unbounded, to: Bound::Unbounded };

    /// The keys within a range of Rust, such as `"a".."c"`.
    pub fn new<K: AsRef<[u8]>>(keys: impl RangeBounds<K>) -> Self {
        let copy = |key: &K| Bytes::copy_from_slice(key.as_ref());
        Self { from: keys.start_bound().map(copy), to: keys.end_bound().map(copy) }
    }
}

impl Default for KeyRange {
    fn default() -> Self {
        Self::ALL
    }
}
