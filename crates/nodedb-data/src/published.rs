//! The catalog as callers may see it.

use nodedb_engine::Catalog;
use nodedb_types::Lsn;
use parking_lot::Mutex;
use std::sync::Arc;

/// The newest catalog that is durable and applied in every vshard.
#[derive(Debug, Default)]
pub(crate) struct PublishedCatalog {
    newest: Mutex<(Option<Lsn>, Arc<Catalog>)>,
}

/// A catalog on its way to be published.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// Where to.
    pub(crate) to: Arc<PublishedCatalog>,
    /// Its last change.
    pub(crate) lsn: Lsn,
    /// The copy.
    pub(crate) catalog: Arc<Catalog>,
}

impl PublishedCatalog {
    /// The newest one.
    pub(crate) fn get(&self) -> Arc<Catalog> {
        Arc::clone(&self.newest.lock().1)
    }

    /// Publishes the copy as of a position, unless a newer one is there: one sync may release the
    /// changes of several cores in any order.
    pub(crate) fn put(&self, lsn: Option<Lsn>, catalog: Arc<Catalog>) {
        let mut newest = self.newest.lock();
        if newest.0 <= lsn {
            *newest = (lsn, catalog);
        }
    }
}

impl Published {
    /// Puts it where callers see it.
    pub(crate) fn publish(self) {
        self.to.put(Some(self.lsn), self.catalog);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_engine::CatalogChange;
    use nodedb_types::{Name, TenantId};

    #[test]
    fn an_older_copy_never_replaces_a_newer_one() {
        let mut newer = Catalog::default();
        let name = Name::new("acme").expect("a good name");
        let id = TenantId::new(2);
        newer.apply(Lsn::FIRST, &CatalogChange::CreateTenant { id, name });
        let newer = Arc::new(newer);
        let published = PublishedCatalog::default();
        published.put(Some(Lsn::FIRST.advance(8)), Arc::clone(&newer));
        published.put(Some(Lsn::FIRST), Arc::default());
        assert_eq!(published.get(), newer);
    }
}
