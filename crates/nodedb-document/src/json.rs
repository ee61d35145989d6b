//! JSON text of documents: checked once when it is written, then stored as it came without the white
//! space between its parts.
//!
//! Digits and the order of members are kept exactly, so what a caller reads is what was written.

mod check;
mod cursor;
mod member;
mod name;
mod paths;
mod vector;

use crate::DocumentError;
use bytes::Bytes;

pub(crate) use cursor::INTEGERS;
pub use member::field;
pub(crate) use paths::Paths;
pub use vector::vector_field;

/// Deepest nesting of arrays and objects in a document. One less than
/// [`nodedb_types::limits::NESTING_MAX`], where the parser of every later reader stops.
pub const DEPTH_MAX: usize = nodedb_types::limits::NESTING_MAX - 1;

/// The form in which a document is stored: the same text without white space outside of strings.
///
/// # Errors
/// [`DocumentError::NotJson`] for anything but one JSON value in UTF-8 whose numbers fit a double and
/// whose nesting fits [`DEPTH_MAX`], [`DocumentError::DuplicateMember`].
pub fn canonical(text: &[u8]) -> Result<Bytes, DocumentError> {
    check::check(text)?;
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    if !text.iter().any(space) {
        return Ok(Bytes::copy_from_slice(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut within = Within::Nothing;
    for byte in text {
        let keep = within != Within::Nothing || !space(byte);
        within = within.after(*byte);
        if keep {
            out.push(*byte);
        }
    }
    Ok(out.into())
}

/// Where the scan over a valid text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    String,
    Escape,
}

impl Within {
    const fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Nothing, b'"') | (Self::Escape, _) => Self::String,
            (Self::Nothing, _) | (Self::String, b'"') => Self::Nothing,
            (Self::String, b'\\') => Self::Escape,
            (Self::String, _) => Self::String,
        }
    }
}

/// What a stored text that no longer parses means for the caller.
fn not_json(error: &serde_json::Error) -> DocumentError {
    DocumentError::NotJson { message: error.to_string() }
}

#[cfg(test)]
mod tests;
