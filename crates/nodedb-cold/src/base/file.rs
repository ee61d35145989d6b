//! A file of a base image.

use crate::{error::FormatError, hash::ObjectHash};
use std::{
    fmt,
    path::{Path, PathBuf},
};

const PATH_BYTES_MAX: usize = 255;

/// Where a file stands below the directory of its database: segments of `a-z A-Z 0-9 . _ -` joined by
/// `/`, none `.` or `..`, at most 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BasePath(Box<str>);

impl BasePath {
    /// Checks and wraps a path.
    ///
    /// # Errors
    /// [`FormatError::Path`] for anything outside the grammar: nothing that could lead out of the
    /// directory that it is restored into.
    pub fn new(text: &str) -> Result<Self, FormatError> {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let segment =
            |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(inside);
        if text.len() <= PATH_BYTES_MAX && text.split('/').all(segment) {
            Ok(Self(text.into()))
        } else {
            Err(FormatError::Path { path: text.chars().take(80).collect() })
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories on the way to the file, outermost first, and the file, all below `root`.
    pub(crate) fn below(&self, root: &Path) -> (Vec<PathBuf>, PathBuf) {
        let mut directories = Vec::new();
        let mut path = root.to_owned();
        for segment in self.0.split('/') {
            directories.push(path.clone());
            path.push(segment);
        }
        (directories, path)
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A part that is in the archive: minted only by a verified upload, or read from a completed base.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PartRef {
    hash: ObjectHash,
    len: u32,
}

impl PartRef {
    pub(crate) const fn new(hash: ObjectHash, len: u32) -> Self {
        Self { hash, len }
    }

    /// Digest of its bytes.
    pub const fn hash(&self) -> ObjectHash {
        self.hash
    }

    /// Its length in bytes.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether it has no bytes; no part has none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A file: where it stands and which parts it consists of, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BaseFile {
    /// Where.
    pub path: BasePath,
    /// Its parts. An empty file has none.
    pub parts: Vec<PartRef>,
}

impl BaseFile {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.len)).sum()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}
