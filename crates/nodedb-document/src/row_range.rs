//! Intervals of row keys.

use crate::{Direction, KeyRange, row_key::after_prefix};
use bytes::Bytes;
use std::ops::Bound;

/// The place just before a key, or just after it. They sort as the places do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Edge {
    key: Bytes,
    after: bool,
}

/// An interval of row keys. It may be empty, but it is never the wrong way round, over which sorted maps
/// panic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RowRange {
    from: Edge,
    /// `None` at the end of everything.
    to: Option<Edge>,
}

/// The two ends of an interval, as the standard library writes them.
pub(crate) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

impl Edge {
    pub(crate) fn before(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), after: false }
    }

    pub(crate) fn after(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), after: true }
    }
}

impl RowRange {
    /// The rows that start with these bytes.
    pub(crate) fn prefix(prefix: impl Into<Bytes>) -> Self {
        let prefix = prefix.into();
        let to = after_prefix(&prefix).map(Edge::before);
        Self { from: Edge::before(prefix), to }
    }

    /// Without the rows below.
    pub(crate) fn starting(mut self, from: Edge) -> Self {
        if from > self.from {
            // A start beyond the end leaves nothing, and an interval of the right way round.
            self.from = self.to.clone().map_or(from.clone(), |to| to.min(from));
        }
        self
    }

    /// Without the rows above.
    pub(crate) fn ending(mut self, to: Edge) -> Self {
        if self.to.as_ref().is_none_or(|end| to < *end) {
            self.to = Some(to.max(self.from.clone()));
        }
        self
    }

    /// Without the rows that come, in an order, up to and with this one.
    pub(crate) fn past(self, row: impl Into<Bytes>, direction: Direction) -> Self {
        match direction {
            Direction::Ascending => self.starting(Edge::after(row)),
            Direction::Descending => self.ending(Edge::before(row)),
        }
    }

    /// Without the rows outside of a range of keys, given what the row of a key is.
    pub(crate) fn within(self, keys: &KeyRange, row: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let range = match &keys.from {
            Bound::Included(key) => self.starting(Edge::before(row(key))),
            Bound::Excluded(key) => self.starting(Edge::after(row(key))),
            Bound::Unbounded => self,
        };
        match &keys.to {
            Bound::Included(key) => range.ending(Edge::after(row(key))),
            Bound::Excluded(key) => range.ending(Edge::before(row(key))),
            Bound::Unbounded => range,
        }
    }

    /// The bounds; `None` of an empty interval.
    pub(crate) fn bounds(&self) -> Option<Bounds<'_>> {
        let from: &[u8] = &self.from.key;
        let from = if self.from.after { Bound::Excluded(from) } else { Bound::Included(from) };
        let Some(to) = &self.to else {
            return Some((from, Bound::Unbounded));
        };
        assert!(self.from <= *to, "an interval is never the wrong way round");
        let end: &[u8] = &to.key;
        let end = if to.after { Bound::Included(end) } else { Bound::Excluded(end) };
        (self.from < *to).then_some((from, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &[u8]) -> Vec<u8> {
        [b"row/", key].concat()
    }

    fn of(keys: &KeyRange) -> RowRange {
        RowRange::prefix("row/").within(keys, row)
    }

    fn bounds(range: &RowRange) -> Option<(Bound<String>, Bound<String>)> {
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).expect("text");
        range.bounds().map(|(from, to)| (from.map(text), to.map(text)))
    }

    #[test]
    fn each_bound_narrows_the_range_and_none_widens_it() {
        let range = of(&KeyRange::new("b"..="d"));
        let expected = (Bound::Included("row/b".to_owned()), Bound::Included("row/d".to_owned()));
        assert_eq!(bounds(&range), Some(expected.clone()));
        let same = range.clone().starting(Edge::before("row/a")).ending(Edge::before("row/e"));
        assert_eq!(bounds(&same), Some(expected));
        let narrower = range.past("row/b", Direction::Ascending);
        let narrower = narrower.past("row/c", Direction::Descending);
        let expected = (Bound::Excluded("row/b".to_owned()), Bound::Excluded("row/c".to_owned()));
        assert_eq!(bounds(&narrower), Some(expected));
    }

    #[test]
    fn what_leaves_nothing_is_empty_and_never_the_wrong_way_round() {
        for keys in [
            KeyRange::new("d".."b"),
            KeyRange::new("b".."b"),
            KeyRange { from: Bound::Excluded("b".into()), to: Bound::Included("b".into()) },
        ] {
            assert_eq!(of(&keys).bounds(), None, "{keys:?}");
        }
        let beyond = RowRange::prefix("row/").starting(Edge::before("s"));
        assert_eq!(beyond.bounds(), None);
        assert_eq!(beyond.starting(Edge::after("t")).bounds(), None);
        let below = RowRange::prefix("row/").ending(Edge::after("q"));
        assert_eq!(below.bounds(), None);
        assert!(of(&KeyRange::new("b"..="b")).bounds().is_some());
    }

    #[test]
    fn a_prefix_without_an_end_goes_to_the_end_of_everything() {
        let range = RowRange::prefix(vec![255]);
        assert_eq!(range.bounds(), Some((Bound::Included(&[255_u8][..]), Bound::Unbounded)));
    }
}
