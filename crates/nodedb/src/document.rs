//! What reads answer.

use crate::Error;
use bytes::Bytes;
use nodedb_types::{Lsn, Version};
use serde::de::DeserializeOwned;

/// A stored value with its key and version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// Its key.
    pub key: Bytes,
    /// The version to `expect` in a later write.
    pub version: Version,
    /// JSON text, or the raw bytes of a bytes collection.
    pub value: Bytes,
}

impl Document {
    /// The JSON text.
    ///
    /// # Errors
    /// [`Error::NotJson`] for the value of a bytes collection that is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        str::from_utf8(&self.value).or(Err(Error::NotJson { message: "not UTF-8".to_owned() }))
    }

    /// The value as a type of the caller's.
    ///
    /// # Errors
    /// [`Error::NotJson`] if it does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.value)
            .map_err(|error| Error::NotJson { message: error.to_string() })
    }
}

/// A neighbour found by vector search.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// The document.
    pub document: Document,
    /// How far it is, by the index's metric; smaller is nearer.
    pub distance: f32,
}

/// An acknowledged write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// Its position in the log.
    pub lsn: Lsn,
    /// The version that it gave the key.
    pub version: Version,
}

/// What a merge of CRDT updates did. Merges into one document that come at about the same time may share one
/// log record: then all of them name its position and version, so neither tells merges apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Merged {
    /// The logged record; `None` if the document knew all of it already.
    pub written: Option<Written>,
    /// Whether the document changed.
    pub changed: bool,
}

/// What a key must hold for a write to happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// The value of this version.
    Version(Version),
}
