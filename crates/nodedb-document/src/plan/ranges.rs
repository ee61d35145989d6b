//! Ranges of the values of one index.

use crate::{
    index::value::{BOOLEANS, Fit, NUMBERS, TEXTS, decode, encode, encode_prefix},
    row_key::after_prefix,
    scalar::Scalar,
};
use std::fmt::{self, Write};

/// A place between two values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Edge {
    /// A value, the beginning of some, or the first byte of a type.
    value: Vec<u8>,
    /// Behind everything that begins so, else before it.
    behind: bool,
}

/// The values between two edges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    low: Edge,
    high: Edge,
}

/// Ranges of one index, ascending, none of which overlap.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ranges(Vec<Range>);

impl Edge {
    const fn before(value: Vec<u8>) -> Self {
        Self { value, behind: false }
    }

    const fn behind(value: Vec<u8>) -> Self {
        Self { value, behind: true }
    }

    /// The bytes that everything above sorts at or behind.
    pub(crate) fn position(&self) -> Vec<u8> {
        let end = self.behind.then(|| after_prefix(&self.value)).flatten();
        end.unwrap_or_else(|| self.value.clone())
    }
}

impl Range {
    pub(crate) const fn low(&self) -> &Edge {
        &self.low
    }

    pub(crate) const fn high(&self) -> &Edge {
        &self.high
    }

    /// The one kept value that it consists of. Its entries are in the order of their keys.
    pub(crate) fn point(&self) -> Option<&[u8]> {
        let one = self.low.value == self.high.value && !self.low.behind && self.high.behind;
        let whole = decode(&self.low.value).is_some_and(|(.., rest)| rest.is_empty());
        (one && whole).then_some(&self.low.value)
    }

    fn is_empty(&self) -> bool {
        self.low.position() >= self.high.position()
    }
}

/// How the values of a range lie to a literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Below { itself: bool },
    Above { itself: bool },
    Equal,
    Unequal,
}

impl Ranges {
    /// The kept values that may lie so to a literal: those that do, and of a literal too long to be kept
    /// whole also those that are kept as the same bytes.
    pub(crate) fn of(side: Side, literal: &Scalar<'_>) -> Self {
        let Some((value, fit)) = encode(literal) else {
            // Nothing compares with null.
            return Self::default();
        };
        let kind = value.get(..1).unwrap_or_default().to_vec();
        let (least, greatest) = (Edge::before(kind.clone()), Edge::behind(kind));
        let cut = fit == Fit::Cut;
        let below = |itself: bool| Range {
            low: least.clone(),
            high: Edge { value: value.clone(), behind: itself || cut },
        };
        let above = |itself: bool| Range {
            low: Edge { value: value.clone(), behind: !itself && !cut },
            high: greatest.clone(),
        };
        Self::new(match side {
            Side::Below { itself } => vec![below(itself)],
            Side::Above { itself } => vec![above(itself)],
            Side::Equal => {
                vec![Range { low: Edge::before(value.clone()), high: Edge::behind(value) }]
            }
            Side::Unequal => vec![below(false), above(false)],
        })
    }

    /// The texts that begin with this one.
    pub(crate) fn prefix(text: &str) -> Self {
        let prefix = encode_prefix(text);
        Self::new(vec![Range { low: Edge::before(prefix.clone()), high: Edge::behind(prefix) }])
    }

    fn new(mut ranges: Vec<Range>) -> Self {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_by_cached_key(|range| range.low.position());
        let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.low.position() < last.high.position() => {
                    if last.high.position() < range.high.position() {
                        last.high = range.high;
                    }
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    /// Adds the ranges of another. What overlaps then is for [`Ranges::merged`], once for all.
    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The same values in ascending ranges that do not overlap.
    pub(crate) fn merged(self) -> Self {
        Self::new(self.0)
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        for one in &self.0 {
            for two in &other.0 {
                let low = if one.low.position() < two.low.position() { two } else { one };
                let high = if one.high.position() < two.high.position() { one } else { two };
                both.push(Range { low: low.low.clone(), high: high.high.clone() });
            }
        }
        Self::new(both)
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Range> {
        self.0.iter()
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a condition on a path; the first ranges of many.
    pub(crate) fn describe(&self, path: &str) -> String {
        const SHOWN: usize = 8;
        let mut out = String::new();
        for (number, range) in self.0.iter().take(SHOWN).enumerate() {
            out.push_str(if number == 0 { "" } else { " OR " });
            out.push_str(&range.describe(path));
        }
        if let Some(more) = self.0.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            // Writing to a string cannot fail.
            write!(out, " OR {more} more").unwrap_or_default();
        }
        out
    }
}

impl Range {
    fn describe(&self, path: &str) -> String {
        if self.low.value == self.high.value && !self.low.behind && self.high.behind {
            return match (decode(&self.low.value), &*self.low.value) {
                (Some((value, Fit::Whole, _)), _) => format!("{path} = {}", Shown(&value)),
                (Some((value, Fit::Cut, _)), _) => format!("{path} LIKE {}", Beginning(&value)),
                (None, [BOOLEANS]) => format!("{path} is a boolean"),
                (None, [NUMBERS]) => format!("{path} is a number"),
                (None, [TEXTS]) => format!("{path} is a text"),
                (None, prefix) => {
                    let whole = [prefix, &[0, 1]].concat();
                    let text = decode(&whole).map_or(Scalar::Null, |(text, ..)| text);
                    format!("{path} LIKE {}", Beginning(&text))
                }
            };
        }
        let edge = |edge: &Edge, before: &str, behind: &str| {
            let (value, ..) = decode(&edge.value)?;
            let how = if edge.behind { behind } else { before };
            Some(format!("{path} {how} {}", Shown(&value)))
        };
        let edges = [edge(&self.low, ">=", ">"), edge(&self.high, "<", "<=")];
        edges.into_iter().flatten().collect::<Vec<_>>().join(" AND ")
    }
}

/// A value as a literal of a filter.
struct Shown<'v>(&'v Scalar<'static>);

/// A text as the beginning of others.
struct Beginning<'v>(&'v Scalar<'static>);

/// Characters of a text that are shown.
const SHOWN_CHARS: usize = 64;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Scalar::Bool(true) => f.write_str("TRUE"),
            Scalar::Bool(false) => f.write_str("FALSE"),
            Scalar::Integer(integer) => write!(f, "{integer}"),
            Scalar::Float(float) => write!(f, "{float:?}"),
            Scalar::Text(text) => write!(f, "'{}'", shown(text)),
            Scalar::Null | Scalar::Composite => f.write_str("NULL"),
        }
    }
}

impl fmt::Display for Beginning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}%'", self.0.text().map(shown).unwrap_or_default())
    }
}

fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN_CHARS).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        out.push_str("...");
    }
    out.replace('\'', "''")
}

#[cfg(test)]
mod tests;
