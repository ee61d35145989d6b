//! A position in a stored JSON text, which moves over what nobody asked for without building it.
//!
//! Stored texts were checked when they were written, so this reader only looks at what it needs: a
//! damaged text is an error where it is noticed, and never a panic or an endless walk.

use crate::{DocumentError, scalar::Scalar};
use std::borrow::Cow;

/// What a text that was cut or damaged lacks, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed {
    at: usize,
    expected: &'static str,
}

impl From<Malformed> for DocumentError {
    fn from(Malformed { at, expected }: Malformed) -> Self {
        Self::NotJson { message: format!("{expected} is expected at byte {at}") }
    }
}

/// A string as it stands in the text, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawText<'d> {
    /// With its quotes.
    quoted: &'d [u8],
    escaped: bool,
    at: usize,
}

/// What a value begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Begin {
    Object,
    Array,
    Scalar,
}

/// A position in a text.
#[derive(Debug)]
pub(crate) struct Cursor<'d> {
    text: &'d [u8],
    at: usize,
}

impl<'d> Cursor<'d> {
    pub(crate) const fn new(text: &'d [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// What the next value is; the position stays before it.
    pub(crate) fn begin(&mut self) -> Result<Begin, Malformed> {
        match self.look() {
            Some(b'{') => Ok(Begin::Object),
            Some(b'[') => Ok(Begin::Array),
            Some(_) => Ok(Begin::Scalar),
            None => self.lacks("a value"),
        }
    }

    /// Enters the object that was looked at. Answers whether it has a member, and stands before its
    /// name then, else behind the object.
    pub(crate) fn enter(&mut self) -> Result<bool, Malformed> {
        self.take(b'{', "`{`")?;
        if self.look() != Some(b'}') {
            return Ok(true);
        }
        self.at += 1;
        Ok(false)
    }

    /// The name of a member, up to its value.
    pub(crate) fn name(&mut self) -> Result<RawText<'d>, Malformed> {
        let name = self.string()?;
        self.take(b':', "`:`")?;
        Ok(name)
    }

    /// Goes on behind a member's value. Answers whether another member follows.
    pub(crate) fn next_member(&mut self) -> Result<bool, Malformed> {
        let byte = self.look();
        self.at += 1;
        match byte {
            Some(b',') => Ok(true),
            Some(b'}') => Ok(false),
            _ => {
                self.at -= 1;
                self.lacks("`,` or `}`")
            }
        }
    }

    /// The text must be over.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        if self.look().is_none() { Ok(()) } else { self.lacks("the end of the text") }
    }

    /// Reads a value that is no array or object.
    pub(crate) fn scalar(&mut self) -> Result<Scalar<'d>, Malformed> {
        match self.look() {
            Some(b'"') => Ok(Scalar::Text(self.string()?.text()?)),
            Some(b't') => self.word(b"true", Scalar::Bool(true)),
            Some(b'f') => self.word(b"false", Scalar::Bool(false)),
            Some(b'n') => self.word(b"null", Scalar::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.lacks("a value"),
        }
    }

    /// Moves over a value.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        match self.look() {
            Some(b'"') => self.string().map(drop),
            Some(b'{' | b'[') => {
                self.at += 1;
                self.leave()
            }
            Some(_) => {
                let from = self.at;
                let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n'..=b'\r');
                self.at = position(self.text, from, ends).unwrap_or(self.text.len());
                if self.at == from { self.lacks("a value") } else { Ok(()) }
            }
            None => self.lacks("a value"),
        }
    }

    /// Moves behind the end of the array or object that the position is in, before a value or a name
    /// or behind one.
    pub(crate) fn leave(&mut self) -> Result<(), Malformed> {
        let mut open = 1_usize;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return Ok(());
            }
        }
        self.lacks("the end of an array or object")
    }

    /// The next byte that is no white space. Stored texts have none; those of CRDT documents and of
    /// callers may.
    fn look(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), Malformed> {
        if self.look() != Some(byte) {
            return self.lacks(expected);
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<RawText<'d>, Malformed> {
        let at = self.at;
        self.take(b'"', "`\"`")?;
        let begin = self.at - 1;
        let mut escaped = false;
        let mut from = self.at;
        loop {
            let Some(stop) = position(self.text, from, |byte| matches!(byte, b'"' | b'\\')) else {
                return Err(Malformed { at, expected: "the end of a string" });
            };
            if self.text.get(stop) == Some(&b'"') {
                self.at = stop + 1;
                let quoted = self.text.get(begin..self.at).unwrap_or_default();
                return Ok(RawText { quoted, escaped, at });
            }
            escaped = true;
            from = stop + 2;
        }
    }

    fn word(&mut self, word: &[u8], value: Scalar<'d>) -> Result<Scalar<'d>, Malformed> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return self.lacks("a value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Scalar<'d>, Malformed> {
        let from = self.at;
        let rest = self.text.get(from..).unwrap_or_default();
        let negative = rest.first() == Some(&b'-');
        let mut value = 0_i128;
        let mut length = usize::from(negative);
        while let Some(digit @ b'0'..=b'9') = rest.get(length) {
            // Beyond the digits of a 64-bit integer the sum is not looked at.
            value = value.wrapping_mul(10).wrapping_add(i128::from(digit - b'0'));
            length += 1;
        }
        let whole = !matches!(rest.get(length), Some(b'.' | b'e' | b'E'));
        if whole && length > usize::from(negative) && length <= INTEGER_DIGITS {
            let value = if negative { -value } else { value };
            if INTEGERS.contains(&value) {
                self.at = from + length;
                return Ok(Scalar::Integer(value));
            }
        }
        let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
        let end = position(rest, length, |byte| !part(byte)).unwrap_or(rest.len());
        let digits = rest.get(..end).and_then(|digits| str::from_utf8(digits).ok());
        // The nearest double, as a filter's literals are read.
        let float = digits.and_then(|digits| digits.parse().ok()).filter(|x: &f64| x.is_finite());
        let Some(float) = float else {
            return self.lacks("a number within the range of a double");
        };
        self.at = from + end;
        Ok(Scalar::Float(float))
    }

    const fn lacks<T>(&self, expected: &'static str) -> Result<T, Malformed> {
        Err(Malformed { at: self.at, expected })
    }
}

/// Integers that are kept exactly; others become the nearest double.
pub(crate) const INTEGERS: std::ops::RangeInclusive<i128> = i64::MIN as i128..=u64::MAX as i128;
/// Bytes of the longest of them.
const INTEGER_DIGITS: usize = 20;

impl<'d> RawText<'d> {
    /// Whether it says this, escapes taken for what they mean.
    pub(crate) fn is(&self, other: &str) -> Result<bool, Malformed> {
        if self.escaped { Ok(self.text()? == other) } else { Ok(self.plain() == other.as_bytes()) }
    }

    fn plain(&self) -> &'d [u8] {
        self.quoted.get(1..self.quoted.len().saturating_sub(1)).unwrap_or_default()
    }

    fn text(&self) -> Result<Cow<'d, str>, Malformed> {
        let malformed = || Malformed { at: self.at, expected: "a string in UTF-8" };
        if self.escaped {
            let text = serde_json::from_slice(self.quoted);
            return text.map(Cow::Owned).or(Err(malformed()));
        }
        str::from_utf8(self.plain()).map(Cow::Borrowed).or(Err(malformed()))
    }
}

/// Where the first such byte is, from a position on.
fn position(text: &[u8], from: usize, is: impl FnMut(&u8) -> bool) -> Option<usize> {
    Some(from + text.get(from..)?.iter().position(is)?)
}

#[cfg(test)]
mod tests;
