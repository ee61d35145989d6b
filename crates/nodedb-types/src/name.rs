//! Names that callers give to collections, tenants and restore points.

use crate::limits::NAME_BYTES_MAX;
use std::fmt;

/// A checked name: 1 to 64 of `a-z A-Z 0-9 _ - .`, beginning with a letter, digit or `_`.
///
/// Names never become file paths; the grammar keeps them readable in logs and safe in shells.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing was given.
    #[error("a name is empty: give 1 to {NAME_BYTES_MAX} characters")]
    Empty,
    /// Longer than the limit.
    #[error("a name has {length} bytes, {NAME_BYTES_MAX} are the limit")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A character outside the grammar.
    #[error(
        "name `{name}` has {character:?}: use a-z, A-Z, 0-9, `_`, `-`, `.`, not first `-` or `.`"
    )]
    BadCharacter {
        /// The name.
        name: String,
        /// The first offending character.
        character: char,
    },
}

impl Name {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule the text breaks.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong { length: text.len() });
        }
        let bad = |(index, c): (usize, char)| {
            let inside = c.is_ascii_alphanumeric() || c == '_';
            (!inside && (index == 0 || (c != '-' && c != '.'))).then_some(c)
        };
        match text.char_indices().find_map(bad) {
            Some(character) => Err(NameError::BadCharacter { name: text.to_owned(), character }),
            None => Ok(Self(text.into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_accepted_and_one_more_is_refused() {
        assert!(Name::new(&"a".repeat(NAME_BYTES_MAX)).is_ok());
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(Name::new(&long), Err(NameError::TooLong { length: 65 }));
    }

    #[test]
    fn hostile_names_are_refused() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        for bad in ["..", ".a", "-a", "a/b", "a b", "a\0", "\u{e9}", "a\n"] {
            assert!(matches!(Name::new(bad), Err(NameError::BadCharacter { .. })), "{bad:?}");
        }
        for good in ["notes", "_x", "0", "a.b-c_D"] {
            assert_eq!(Name::new(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
    }
}
