//! Values of field indexes as bytes that sort as the values do.

use crate::{json::INTEGERS, scalar::Scalar};
use nodedb_types::limits::INDEX_VALUE_BYTES_MAX;

/// First byte of a value: values of different types do not compare, so each type has a range.
pub(crate) const BOOLEANS: u8 = 1;
pub(crate) const NUMBERS: u8 = 2;
pub(crate) const TEXTS: u8 = 3;

/// What ends a text: itself, or its beginning if it was too long. A zero byte within is followed by
/// `ESCAPED`, which is above both, so that a text sorts before all that it begins.
const WHOLE: u8 = 1;
const CUT: u8 = 2;
const ESCAPED: u8 = u8::MAX;

/// How much of a value is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fit {
    /// All of it.
    Whole,
    /// The beginning: other values may be kept as the same bytes.
    Cut,
}

/// The bytes of a value; `None` of one that no index keeps: null, nothing, an array or an object.
///
/// They are self-delimiting, no value's being the beginning of another's: a key may follow.
pub(crate) fn encode(value: &Scalar<'_>) -> Option<(Vec<u8>, Fit)> {
    match value {
        Scalar::Null | Scalar::Composite => None,
        Scalar::Bool(truth) => Some((vec![BOOLEANS, u8::from(*truth)], Fit::Whole)),
        Scalar::Integer(integer) => Some((encode_integer(*integer), Fit::Whole)),
        Scalar::Float(float) => Some((encode_number(*float, 0), Fit::Whole)),
        Scalar::Text(text) => {
            let mut out = encode_prefix(text);
            let fit = if text.len() > INDEX_VALUE_BYTES_MAX { Fit::Cut } else { Fit::Whole };
            out.extend([0, if fit == Fit::Whole { WHOLE } else { CUT }]);
            Some((out, fit))
        }
    }
}

/// The bytes that the values of all texts begin with that begin with this one.
pub(crate) fn encode_prefix(text: &str) -> Vec<u8> {
    let kept = text.as_bytes().get(..INDEX_VALUE_BYTES_MAX).unwrap_or(text.as_bytes());
    let mut out = Vec::with_capacity(kept.len() + 3);
    out.push(TEXTS);
    for byte in kept {
        out.push(*byte);
        if *byte == 0 {
            out.push(ESCAPED);
        }
    }
    out
}

/// The greatest double that is not above the number, then what is left to the number, which is only
/// there between two integers that no double tells apart.
fn encode_number(double: f64, rest: u16) -> Vec<u8> {
    let mut out = vec![NUMBERS];
    // Adding zero makes minus zero plus zero: they are equal.
    let bits = (double + 0.0).to_bits();
    let negative = bits >> 63 == 1;
    let sortable = if negative { !bits } else { bits | (1 << 63) };
    out.extend(sortable.to_be_bytes());
    out.extend(rest.to_be_bytes());
    out
}

#[expect(clippy::cast_precision_loss, reason = "what is lost goes into the rest")]
#[expect(clippy::cast_possible_truncation, reason = "doubles near 64-bit integers fit 128 bits")]
#[expect(clippy::expect_used, reason = "doubles next to 64-bit integers are at most 2,048 apart")]
fn encode_integer(integer: i128) -> Vec<u8> {
    assert!(INTEGERS.contains(&integer), "integers have 64 bits");
    let near = integer as f64;
    let below = if near as i128 > integer { near.next_down() } else { near };
    let rest = u16::try_from(integer - below as i128).expect("the distance of two doubles");
    encode_number(below, rest)
}

/// A kept value and the bytes behind it; `None` if the bytes do not begin with one. Of a text that was
/// cut it is the beginning.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Scalar<'static>, Fit, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    match *kind {
        BOOLEANS => match rest.split_first()? {
            (0, rest) => Some((Scalar::Bool(false), Fit::Whole, rest)),
            (1, rest) => Some((Scalar::Bool(true), Fit::Whole, rest)),
            _ => None,
        },
        NUMBERS => {
            let (double, rest) = rest.split_first_chunk()?;
            let (more, rest) = rest.split_first_chunk()?;
            Some((decode_number(*double, *more), Fit::Whole, rest))
        }
        TEXTS => {
            let (text, fit, rest) = decode_text(rest)?;
            let text = String::from_utf8_lossy(&text).into_owned();
            Some((Scalar::Text(text.into()), fit, rest))
        }
        _ => None,
    }
}

/// The kept value that the bytes begin with, as it stands there, and what follows it.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = match *bytes.first()? {
        BOOLEANS => bytes.get(2..)?,
        NUMBERS => bytes.get(11..)?,
        TEXTS => {
            let mut at = 1;
            loop {
                at += bytes.get(at..)?.iter().position(|byte| *byte == 0)? + 2;
                if *bytes.get(at - 1)? != ESCAPED {
                    break bytes.get(at..)?;
                }
            }
        }
        _ => return None,
    };
    bytes.split_at_checked(bytes.len() - rest.len())
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number of 64 bits")]
fn decode_number(double: [u8; 8], rest: [u8; 2]) -> Scalar<'static> {
    let sortable = u64::from_be_bytes(double);
    let positive = sortable >> 63 == 1;
    let double = f64::from_bits(if positive { sortable ^ (1 << 63) } else { !sortable });
    let integer = double as i128 + i128::from(u16::from_be_bytes(rest));
    if double.fract() == 0.0 && INTEGERS.contains(&integer) {
        return Scalar::Integer(integer);
    }
    Scalar::Float(double)
}

fn decode_text(mut bytes: &[u8]) -> Option<(Vec<u8>, Fit, &[u8])> {
    let mut text = Vec::new();
    loop {
        let (byte, rest) = bytes.split_first()?;
        bytes = rest;
        if *byte != 0 {
            text.push(*byte);
            continue;
        }
        let (after, rest) = bytes.split_first()?;
        bytes = rest;
        match *after {
            WHOLE => return Some((text, Fit::Whole, bytes)),
            CUT => return Some((text, Fit::Cut, bytes)),
            ESCAPED => text.push(0),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
