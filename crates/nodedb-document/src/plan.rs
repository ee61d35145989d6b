//! How a filter is answered: by entries of field indexes, or by looking at every document.
//!
//! A plan covers every document that the filter can match; each document that it leads to is checked
//! against the whole filter again. So a plan decides how long an answer takes, never what it says: pages
//! of one scan may be answered by different plans.

mod access;
mod entries;
mod explain;
mod ranges;
mod select;

pub use explain::Explain;
pub use select::Selection;

use crate::Filter;
use access::Access;
use nodedb_engine::FieldIndex;

/// Ranges of a plan above which every document is looked at instead.
const RANGES_MAX: usize = 256;

/// How a filter is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The entries that cover the filter; `None` if only every document does.
    access: Option<Access>,
}

impl Plan {
    /// A plan that uses any of these indexes, each of which must have an entry of every document that
    /// has a value, as of the position that is read.
    ///
    /// ```
    /// use nodedb_document::{Filter, plan::Plan};
    ///
    /// let filter = Filter::parse("size >= 10")?;
    /// assert!(Plan::new(&filter, &[]).is_scan());
    /// # Ok::<(), nodedb_document::DocumentError>(())
    /// ```
    pub fn new(filter: &Filter, indexes: &[&FieldIndex]) -> Self {
        let access = Access::of(filter, indexes);
        Self { access: access.filter(|access| access.ranges() <= RANGES_MAX) }
    }

    /// Whether every document is looked at.
    pub const fn is_scan(&self) -> bool {
        self.access.is_none()
    }
}
