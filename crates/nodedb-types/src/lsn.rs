//! Log sequence numbers and ranges of them.

use std::{fmt, num::NonZeroU64};

/// Dense number of a log record: 1, 2, 3, ... The absence of a record is `Option::None`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(NonZeroU64);

impl Lsn {
    /// The first record of a log.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The number as an `Lsn`, or `None` for 0.
    pub const fn from_u64(value: u64) -> Option<Self> {
        match NonZeroU64::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number itself, at least 1.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The on-disk form of an optional position: 0 stands for `None`.
    pub fn encode(position: Option<Self>) -> u64 {
        position.map_or(0, Self::get)
    }

    /// The record after this one.
    ///
    /// # Panics
    /// At 2^64 - 1 records, which no log reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        self.advance(1)
    }

    /// The record `count` places further on.
    ///
    /// # Panics
    /// Past 2^64 - 1 records, which no log reaches.
    #[must_use]
    pub const fn advance(self, count: u64) -> Self {
        match self.0.checked_add(count) {
            Some(value) => Self(value),
            None => panic_overflow(),
        }
    }

    /// The record before this one, or `None` for the first.
    pub const fn previous(self) -> Option<Self> {
        Self::from_u64(self.0.get() - 1)
    }

    /// The first record that an inclusive watermark does not cover.
    pub fn after(watermark: Option<Self>) -> Self {
        watermark.map_or(Self::FIRST, Self::next)
    }
}

#[expect(clippy::panic, reason = "2^64 records: one per nanosecond takes 584 years")]
const fn panic_overflow() -> ! {
    panic!("log sequence number overflow")
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lsn({})", self.0)
    }
}

/// A half-open range of records, `start` included, `end` excluded. May be empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LsnRange {
    start: Lsn,
    end: Lsn,
}

impl LsnRange {
    /// The records from `start` up to, without, `end`.
    ///
    /// # Panics
    /// If `end` lies before `start`.
    pub fn new(start: Lsn, end: Lsn) -> Self {
        assert!(start <= end, "range start {start} lies after its end {end}");
        Self { start, end }
    }

    /// `count` records beginning with `start`.
    pub fn starting_at(start: Lsn, count: u64) -> Self {
        Self { start, end: start.advance(count) }
    }

    /// First record, if the range is not empty.
    pub const fn start(self) -> Lsn {
        self.start
    }

    /// The record after the last.
    pub const fn end(self) -> Lsn {
        self.end
    }

    /// The last record, or `None` of an empty range.
    pub fn last(self) -> Option<Lsn> {
        if self.is_empty() { None } else { self.end.previous() }
    }

    /// Number of records.
    pub const fn count(self) -> u64 {
        self.end.get() - self.start.get()
    }

    /// Whether no record is in it.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether the record is in it.
    pub fn contains(self, lsn: Lsn) -> bool {
        self.start <= lsn && lsn < self.end
    }
}

impl fmt::Debug for LsnRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

impl fmt::Display for LsnRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_record_is_none_and_encodes_as_zero() {
        assert_eq!(Lsn::from_u64(0), None);
        assert_eq!(Lsn::encode(None), 0);
        assert_eq!(Lsn::encode(Some(Lsn::FIRST)), 1);
        assert_eq!(Lsn::FIRST.previous(), None);
        assert_eq!(Lsn::after(None), Lsn::FIRST);
        assert_eq!(Lsn::after(Some(Lsn::FIRST)).get(), 2);
    }

    #[test]
    fn a_range_is_half_open() {
        let range = LsnRange::starting_at(Lsn::FIRST, 2);
        assert!(range.contains(Lsn::FIRST) && range.contains(Lsn::FIRST.next()));
        assert!(!range.contains(range.end()));
        assert_eq!((range.count(), range.last()), (2, Some(Lsn::FIRST.next())));
        let empty = LsnRange::new(Lsn::FIRST, Lsn::FIRST);
        assert!(empty.is_empty() && empty.last().is_none() && !empty.contains(Lsn::FIRST));
    }
}
