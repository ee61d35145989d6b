//! Which room a write may use when there is little (protocol rule P10).

use crate::Change;
use nodedb_engine::CatalogChange;
use nodedb_wal::AppendClass;

impl Change {
    /// As what it stands in the log: deletes and drops may use room that is held back from others, or a full
    /// disk could never be freed by them.
    pub(crate) const fn class(&self) -> AppendClass {
        match self {
            Self::Delete { .. }
            | Self::Catalog(
                CatalogChange::DropCollection { .. } | CatalogChange::DropIndex { .. },
            ) => AppendClass::Freeing,
            Self::Put { .. }
            | Self::Catalog(
                CatalogChange::CreateTenant { .. }
                | CatalogChange::CreateCollection(_)
                | CatalogChange::CreateIndex { .. }
                | CatalogChange::IndexReady { .. },
            ) => AppendClass::User,
        }
    }
}

/// The class of writes that are logged together: that of deletes only where there is nothing else.
pub(crate) fn class_of(mut writes: impl Iterator<Item = AppendClass>) -> AppendClass {
    let frees = writes.all(|class| class == AppendClass::Freeing);
    if frees { AppendClass::Freeing } else { AppendClass::User }
}

/// How much of a limited memory a write of a class may find in use. What frees gets an eighth more: on a
/// full disk nothing is flushed, so memory is full as well. How much that can be is bounded by the log's own
/// reserve.
pub(crate) const fn limit_for(class: AppendClass, max: usize) -> usize {
    match class {
        AppendClass::User => max,
        AppendClass::Freeing | AppendClass::Housekeeping => max.saturating_add(max / 8),
    }
}
