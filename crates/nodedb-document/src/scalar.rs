//! Values of documents and filters that compare with each other.

use std::{borrow::Cow, cmp::Ordering};

/// A value of a field or a literal. Text is borrowed from the document wherever it can be.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Scalar<'d> {
    /// JSON null, or no such field.
    Null,
    Bool(bool),
    /// Any integer of 64 bits, signed or not.
    Integer(i128),
    /// Never NaN: neither JSON nor SQL literals have it.
    Float(f64),
    Text(Cow<'d, str>),
    /// An array or object, which compares with nothing.
    Composite,
}

impl Scalar<'_> {
    /// The order of two values of one type; `None` is unknown.
    pub(crate) fn compare(&self, other: &Scalar<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Scalar::Bool(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Scalar::Integer(b)) => Some(a.cmp(b)),
            (Self::Float(a), Scalar::Float(b)) => a.partial_cmp(b),
            (Self::Integer(a), Scalar::Float(b)) => Some(exact(*a, *b)),
            (Self::Float(a), Scalar::Integer(b)) => Some(exact(*b, *a).reverse()),
            (Self::Text(a), Scalar::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            _ => None,
        }
    }

    /// The boolean itself; anything else is unknown as a condition.
    pub(crate) const fn truth(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The string itself; anything else is unknown to a pattern.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// 2^64, above every integer here.
const BEYOND: f64 = 18_446_744_073_709_551_616.0;

/// Compares without rounding the integer: 2^53 + 1 is above 2^53, which a conversion would hide.
fn exact(integer: i128, float: f64) -> Ordering {
    if float >= BEYOND {
        return Ordering::Less;
    }
    if float <= -BEYOND {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^64 in size fits")]
    let whole = float.trunc() as i128;
    integer.cmp(&whole).then_with(|| 0.0_f64.total_cmp(&(float.fract() + 0.0)))
}
