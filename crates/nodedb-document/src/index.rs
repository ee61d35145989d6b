//! Ordered indexes over the values that paths lead to, in the same rows, flush and floor as documents.
//!
//! An entry is a row without a value: index, memcomparable value, key of the document. A document
//! whose path leads nowhere, to null, to an array or to an object has no entry. Of a text above
//! [`INDEX_VALUE_BYTES_MAX`] bytes the entry has the beginning, so whoever finds a document by an
//! entry looks at the document again; a unique index refuses such a text.
//!
//! ```
//! use nodedb_document::index::field_values;
//! use nodedb_engine::{FieldIndex, IndexState};
//! use nodedb_types::IndexId;
//!
//! let index = |id, path: &str| FieldIndex {
//!     id: IndexId::new(id),
//!     path: path.to_owned(),
//!     unique: false,
//!     state: IndexState::Ready,
//! };
//! let indexes = [index(1, "address.city"), index(2, "size")];
//! let values = field_values(&indexes, br#"{"size":12,"address":{"city":"Bern"}}"#)?;
//! let smaller = field_values(&indexes, br#"{"size":11.5}"#)?;
//! assert!(smaller[1].value < values[1].value);
//! assert_eq!(smaller[0].value, None);
//! # Ok::<(), nodedb_document::DocumentError>(())
//! ```

mod entry_count;
mod holder;
pub(crate) mod value;

pub use entry_count::EntryCount;

use crate::{DocumentError, json::Paths, scalar::Scalar};
use bytes::Bytes;
use nodedb_engine::FieldIndex;
use nodedb_types::{IndexId, limits::INDEX_VALUE_BYTES_MAX};
use value::Fit;

/// What an index keeps of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldValue {
    /// Which index.
    pub index: IndexId,
    /// The memcomparable value; `None` where the document has no entry.
    pub value: Option<Bytes>,
}

/// The values that the indexes of a collection keep of a document that is to be written, in the order
/// of the indexes. The text is read once.
///
/// # Errors
/// [`DocumentError::NotJson`]; [`DocumentError::ValueTooLong`] for a text in a unique index that is
/// longer than [`INDEX_VALUE_BYTES_MAX`]: shorten it.
pub fn field_values(
    indexes: &[FieldIndex],
    document: &[u8],
) -> Result<Vec<FieldValue>, DocumentError> {
    let mut too_long = None;
    let values = values(indexes, document, |index, bytes| {
        too_long.get_or_insert_with(|| DocumentError::ValueTooLong {
            path: index.path.clone(),
            bytes,
            limit: INDEX_VALUE_BYTES_MAX,
        });
    })?;
    too_long.map_or(Ok(values), Err)
}

/// The values that are kept of a stored document, which may have been written before a unique index
/// that would have refused it.
///
/// # Errors
/// [`DocumentError::NotJson`].
pub fn stored_values(
    indexes: &[FieldIndex],
    document: &[u8],
) -> Result<Vec<FieldValue>, DocumentError> {
    values(indexes, document, |_, _| {})
}

/// `cut` is told of each unique index whose value is not kept whole, with the bytes of the text.
fn values<'i>(
    indexes: &'i [FieldIndex],
    document: &[u8],
    mut cut: impl FnMut(&'i FieldIndex, usize),
) -> Result<Vec<FieldValue>, DocumentError> {
    let mut paths = Paths::default();
    let numbers: Vec<usize> = indexes.iter().map(|index| paths.add(names(&index.path))).collect();
    let mut found = vec![Scalar::Null; paths.len()];
    if !indexes.is_empty() {
        paths.extract(document, &mut found)?;
    }
    let field = |(index, number): (&'i FieldIndex, usize)| {
        let value = found.get(number).unwrap_or(&Scalar::Null);
        let kept = value::encode(value);
        if index.unique && matches!(kept, Some((_, Fit::Cut))) {
            cut(index, value.text().map_or(0, str::len));
        }
        FieldValue { index: index.id, value: kept.map(|(bytes, _)| bytes.into()) }
    };
    Ok(indexes.iter().zip(numbers).map(field).collect())
}

/// The member names that the path of an index consists of.
pub(crate) fn names(path: &str) -> std::str::Split<'_, char> {
    path.split('.')
}
