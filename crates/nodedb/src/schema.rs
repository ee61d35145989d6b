//! Changes of the catalog, one at a time.

use crate::{Error, sender::Sender};
use nodedb_control::Routing;
use nodedb_data::{Change, Group, Outcome, Part, Write};
use nodedb_engine::{Catalog, CatalogChange, Collection as Definition, Index, IndexState};
use nodedb_types::{CollectionId, Durability, IndexId, Lsn, LsnRange, TenantId};
use parking_lot::Mutex;

/// Changes the catalog. Shared by the callers of a database and its task that builds indexes.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) sender: Sender,
    pub(crate) routing: Routing,
    /// One change at a time, so that ids are drawn from the newest catalog.
    one_at_a_time: Mutex<()>,
}

impl Schema {
    pub(crate) const fn new(sender: Sender, routing: Routing) -> Self {
        Self { sender, routing, one_at_a_time: Mutex::new(()) }
    }

    /// Plans changes on the newest catalog, and logs them for every vshard as one atomic group, so that
    /// no vshard ever sees a put to a collection before, or after, all the others do.
    pub(crate) fn change<T>(
        &self,
        plan: impl FnOnce(&Catalog) -> Result<(Vec<CatalogChange>, T), Error>,
    ) -> Result<(Lsn, T), Error> {
        let _one_at_a_time = self.one_at_a_time.lock();
        let (changes, planned) = plan(&self.sender.data.catalog())?;
        // Sent again while the database is busy: nothing was done by the tries before.
        let lsn = self.sender.patiently(|| self.log(&changes))?;
        Ok((lsn, planned))
    }

    fn log(&self, changes: &[CatalogChange]) -> Result<Lsn, Error> {
        let write = |change: &CatalogChange| Write {
            collection: CollectionId::new(0),
            change: Change::Catalog(change.clone()),
            expect: None,
            durability: Durability::Sync,
            idempotency: None,
        };
        let part = |vshard| Part { vshard, writes: changes.iter().map(write).collect() };
        let parts = self.routing.all().map(part).collect();
        let group = Group { parts, durability: Durability::Sync, idempotency: None };
        let pending = self.sender.send_group(TenantId::SYSTEM, group, |outcome| {
            let Outcome::GroupWritten(written) = outcome else {
                return Err(Error::mismatched("catalog change"));
            };
            let last = written.lsns.and_then(LsnRange::last);
            last.ok_or_else(|| Error::internal("a catalog change wrote nothing"))
        })?;
        pending.wait()
    }

    /// Marks an index as complete.
    pub(crate) fn index_ready(&self, of: &Definition, index: IndexId) -> Result<Lsn, Error> {
        let ready = CatalogChange::IndexReady { collection: of.id, index };
        self.change_index(ready)
    }

    /// Drops an index.
    pub(crate) fn drop_index(&self, of: &Definition, index: IndexId) -> Result<Lsn, Error> {
        self.change_index(CatalogChange::DropIndex { collection: of.id, index })
    }

    fn change_index(&self, change: CatalogChange) -> Result<Lsn, Error> {
        let (lsn, ()) = self.change(|catalog| {
            catalog.check(&change)?;
            Ok((vec![change], ()))
        })?;
        Ok(lsn)
    }

    /// The indexes that are being built, with their collections.
    pub(crate) fn building(&self) -> Vec<(Definition, Index)> {
        let catalog = self.sender.data.catalog();
        let indexes = |of: &Definition| {
            let all: Vec<_> = of.index_ids().filter_map(|id| of.index(id)).collect();
            let building = all.into_iter().filter(|index| index.state() == IndexState::Building);
            building.map(|index| (of.clone(), index)).collect::<Vec<_>>()
        };
        catalog.all().flat_map(indexes).collect()
    }
}
