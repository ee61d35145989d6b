//! A document as answers show it.

use super::{AnswerError, value_text};
use nodedb::{CollectionKind, Document};
use serde::Serialize;
use serde_json::value::RawValue;

/// A document as answers show it.
#[derive(Serialize, Debug)]
pub struct Row {
    /// The key: a string, or `{"hex": ".."}`.
    pub key: Box<RawValue>,
    /// The version to expect in a later write.
    pub version: String,
    /// The value, digit for digit as it is stored.
    pub value: Box<RawValue>,
}

impl Row {
    /// The row of a document.
    ///
    /// # Errors
    /// [`AnswerError::Input`] for a stored document that is not JSON.
    pub fn of(kind: CollectionKind, document: &Document) -> Result<Self, AnswerError> {
        Ok(Self {
            key: value_text::key_json(&document.key)?,
            version: document.version.to_string(),
            value: value_text::value_json(kind, &document.value)?,
        })
    }
}
