//! Filters over documents: a boolean SQL expression with the three-valued logic of SQL.

mod like;
mod parse;
mod predicate;

use crate::{DocumentError, json::Paths, scalar::Scalar};
use nodedb_types::limits::{FILTER_BYTES_MAX, NESTING_MAX};

pub(crate) use like::Pattern;
pub(crate) use predicate::{Comparison, Operand, Predicate};

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
    pub(crate) predicate: Predicate,
    /// The paths of all fields; operands refer to them by number.
    pub(crate) fields: Vec<Vec<String>>,
    /// The same paths, as documents are read by them.
    paths: Paths,
}

/// Fields of a filter for which a document is evaluated without allocating.
const FIELDS_INLINE: usize = 8;

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
    /// [`DocumentError::NotJson`] if the bytes are no JSON text as far as they are read, which is up to
    /// where the last field was found.
    pub fn matches(&self, document: &[u8]) -> Result<bool, DocumentError> {
        if self.paths.len() > FIELDS_INLINE {
            return self.holds(document, &mut vec![Scalar::Null; self.paths.len()]);
        }
        let mut values = [const { Scalar::Null }; FIELDS_INLINE];
        self.holds(document, &mut values)
    }

    fn holds<'d>(
        &self,
        document: &'d [u8],
        values: &mut [Scalar<'d>],
    ) -> Result<bool, DocumentError> {
        self.paths.extract(document, values)?;
        Ok(self.predicate.truth(values) == Some(true))
    }
}

const fn too_deep() -> DocumentError {
    DocumentError::FilterTooDeep { limit: NESTING_MAX }
}

#[cfg(test)]
mod tests;
