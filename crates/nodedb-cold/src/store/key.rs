//! Names of objects and of the folders that they stand in.

use std::fmt;

/// Longest key, in bytes: below the 1024 that the services allow, with room for a bucket prefix.
const KEY_BYTES_MAX: usize = 512;

/// The name of one object: segments joined by `/`, each of `A-Z a-z 0-9 _ - .` and not beginning
/// with a dot.
///
/// The grammar leaves no way to name a place outside a store's root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Box<str>);

/// A folder of objects: the root, or segments joined by `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folder(Box<str>);

/// A text that is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an object key: give up to {KEY_BYTES_MAX} bytes of A-Z a-z 0-9 _ - . in \
     segments joined by `/`, none empty and none beginning with a dot"
)]
pub struct KeyError {
    /// What was given, cut to 80 characters.
    pub text: String,
}

/// Whether a name may be one segment of a key.
pub(crate) fn is_segment(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(inside)
}

fn check(text: &str) -> Result<(), KeyError> {
    if text.len() <= KEY_BYTES_MAX && text.split('/').all(is_segment) {
        Ok(())
    } else {
        Err(KeyError { text: text.chars().take(80).collect() })
    }
}

impl ObjectKey {
    /// Checks and wraps a key.
    ///
    /// # Errors
    /// [`KeyError`] for any text outside the grammar.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        check(text).map(|()| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The segments before the last, outermost first.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &str> {
        let folder = self.0.rsplit_once('/').map_or("", |(folder, _)| folder);
        folder.split('/').filter(|segment| !segment.is_empty())
    }
}

impl Folder {
    /// The folder that holds everything of a store.
    pub fn root() -> Self {
        Self("".into())
    }

    /// Checks and wraps a folder; the empty text is the root.
    ///
    /// # Errors
    /// [`KeyError`] for any text outside the grammar.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        check(text).map(|()| Self(text.into()))
    }

    /// The text, without a slash at its end; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder of that name in this one.
    ///
    /// # Panics
    /// If `name` is not a segment of the grammar; callers build names from numbers and digests.
    #[must_use]
    pub fn folder(&self, name: &str) -> Self {
        Self(self.join(name))
    }

    /// The object of that name in this folder.
    ///
    /// # Panics
    /// If `name` is not a segment of the grammar; callers build names from numbers and digests.
    #[must_use]
    pub fn object(&self, name: &str) -> ObjectKey {
        ObjectKey(self.join(name))
    }

    fn join(&self, name: &str) -> Box<str> {
        assert!(is_segment(name), "`{name}` is not a segment of a key");
        let joined = if self.0.is_empty() { name.to_owned() } else { format!("{}/{name}", self.0) };
        assert!(joined.len() <= KEY_BYTES_MAX, "`{joined}` is too long");
        joined.into()
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectKey({})", self.0)
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Folder({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leads_out_of_the_root() {
        for bad in [
            "", "/", "/a", "a/", "a//b", "..", "a/../b", ".a", "a/.b", "a b", "a\0", "a\\b",
            "\u{e9}",
        ] {
            assert!(ObjectKey::new(bad).is_err(), "{bad:?}");
        }
        assert!(ObjectKey::new(&"a".repeat(KEY_BYTES_MAX)).is_ok());
        assert!(ObjectKey::new(&"a".repeat(KEY_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn a_key_knows_its_folders() {
        let key = Folder::root().folder("a").folder("b-1").object("FORMAT");
        assert_eq!(key.as_str(), "a/b-1/FORMAT");
        assert_eq!(key.name(), "FORMAT");
        assert_eq!(key.folders().collect::<Vec<_>>(), ["a", "b-1"]);
        assert_eq!(Folder::root().object("x").folders().count(), 0);
    }
}
