//! What the indexes of a collection take from a document.

use bytes::Bytes;
use nodedb_document::{
    DocumentError,
    index::{FieldValue, field_values},
    json,
};
use nodedb_engine::{Collection, Index, IndexEntry, VectorChange, VectorIndex};
use nodedb_types::ErrorKind;
use nodedb_vector::VectorError;
use std::slice;

/// What the indexes of a collection take from one document, one entry for each index.
///
/// Callers make them with the document, so that a core need not read JSON. Where a caller's catalog was
/// older than the core's, the core makes them again from the value.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Entries {
    /// Of the vector indexes, in their order.
    pub vectors: Vec<VectorChange>,
    /// Of the field indexes, in their order.
    pub fields: Vec<FieldValue>,
}

/// Why an index cannot take a document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The field does not hold what the index is over.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The vector is none that can be searched.
    #[error("field `{field}`: {source}")]
    Vector {
        /// Which field.
        field: String,
        /// What is wrong with it.
        source: VectorError,
    },
    /// The log does not take the entry.
    #[error("field `{field}`: the entry takes {bytes} bytes of log, {limit} are the limit here")]
    TooLong {
        /// Which field.
        field: String,
        /// What it takes.
        bytes: usize,
        /// What the log takes at once, which smaller segments lower.
        limit: usize,
    },
}

impl Entries {
    /// The entries of a document, whose canonical JSON text is given.
    ///
    /// # Errors
    /// [`EntryError`] for a field that does not hold what its index is over.
    pub fn of(schema: &Collection, value: &[u8]) -> Result<Self, EntryError> {
        let change = |index: &VectorIndex| {
            Ok(VectorChange { index: index.id, vector: vector_of(index, value)? })
        };
        let vectors = schema.vectors.iter().map(change).collect::<Result<_, EntryError>>()?;
        let fields = field_values(&schema.fields, value)?;
        Ok(Self { vectors, fields })
    }

    /// Bytes that they take in the log, about.
    pub fn bytes(&self) -> usize {
        let vectors = self.vectors.iter().filter_map(|change| change.vector.as_ref());
        let vectors: usize = vectors.map(|vector| vector.len() * size_of::<f32>()).sum();
        let fields = self.fields.iter().filter_map(|field| field.value.as_ref());
        vectors + fields.map(Bytes::len).sum::<usize>()
    }
}

/// The entry of a document in one index; `None` if it has none.
pub(crate) fn entry_of(index: &Index, value: &[u8]) -> Result<Option<IndexEntry>, EntryError> {
    match index {
        Index::Vector(index) => Ok(vector_of(index, value)?.map(IndexEntry::Vector)),
        Index::Field(index) => {
            let values = field_values(slice::from_ref(index), value)?;
            let value = values.into_iter().find_map(|field| field.value);
            Ok(value.map(IndexEntry::Field))
        }
    }
}

fn vector_of(index: &VectorIndex, value: &[u8]) -> Result<Option<Vec<f32>>, EntryError> {
    // The catalog holds no number of dimensions that a `usize` does not.
    let dimensions = usize::try_from(index.dimensions).unwrap_or(usize::MAX);
    let vector = json::vector_field(value, &index.field, dimensions)?;
    if let Some(vector) = &vector {
        nodedb_vector::check_vector(index.dimensions, index.metric, vector)
            .map_err(|source| EntryError::Vector { field: index.field.clone(), source })?;
    }
    Ok(vector)
}

impl EntryError {
    /// How a caller reacts to it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Document(error) => error.kind(),
            Self::Vector { source, .. } => source.kind(),
            Self::TooLong { .. } => ErrorKind::InvalidInput,
        }
    }
}
