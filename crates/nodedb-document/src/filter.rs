//! Filters over documents: a boolean SQL expression with the three-valued logic of SQL.

mod extract;
mod like;
mod parse;
mod predicate;
mod scalar;

use crate::DocumentError;
use nodedb_types::limits::{FILTER_BYTES_MAX, NESTING_MAX};
use predicate::Predicate;
use scalar::Scalar;

/// A parsed filter over the fields of JSON documents.
///
/// Names and dotted paths (`size`, `address.city`, `"odd name"`) are fields; an absent one is NULL.
/// Values of different types do not compare: the result is unknown, as it is with NULL. Numbers
/// compare by value, integers up to 64 bits exactly; strings compare by bytes.
///
/// ```
/// use nodedb_document::Filter;
///
/// let filter = Filter::parse("size >= 10 AND tag IN ('a', 'b')")?;
/// assert!(filter.matches(br#"{"size":12,"tag":"a"}"#)?);
/// assert!(!filter.matches(br#"{"tag":"a"}"#)?);
/// # Ok::<(), nodedb_document::DocumentError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Filter {
    predicate: Predicate,
    /// The paths of all fields; operands refer to them by number.
    fields: Vec<Vec<String>>,
}

impl Filter {
    /// Parses an expression.
    ///
    /// # Errors
    /// [`DocumentError::FilterTooLong`], [`DocumentError::FilterTooDeep`],
    /// [`DocumentError::FilterSyntax`], or [`DocumentError::FilterUnsupported`] with a list of what
    /// is supported.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(DocumentError::FilterTooLong {
                bytes: text.len(),
                limit: FILTER_BYTES_MAX,
            });
        }
        parse::parse(text)
    }

    /// Whether a document matches: the expression is true, neither false nor unknown.
    ///
    /// # Errors
    /// [`DocumentError::NotJson`] if the bytes are no JSON text, as in a collection of raw bytes.
    pub fn matches(&self, document: &[u8]) -> Result<bool, DocumentError> {
        let mut values = vec![Scalar::Null; self.fields.len()];
        extract::extract(document, &self.fields, &mut values)?;
        Ok(self.predicate.truth(&values) == Some(true))
    }
}

const fn too_deep() -> DocumentError {
    DocumentError::FilterTooDeep { limit: NESTING_MAX }
}

#[cfg(test)]
mod tests;
