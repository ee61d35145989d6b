//! Changes of the catalog, one at a time.

use crate::{Error, IndexInfo, sender::Sender};
use nodedb_control::Routing;
use nodedb_data::{Change, Group, Outcome, Part, Write};
use nodedb_engine::{Catalog, CatalogChange, Collection as Definition, Index, IndexState};
use nodedb_types::{CollectionId, Durability, IndexId, Lsn, LsnRange, TenantId};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Changes the catalog. Shared by the callers of a database and its task that builds indexes.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) sender: Sender,
    pub(crate) routing: Routing,
    /// One change at a time, so that ids are drawn from the newest catalog.
    one_at_a_time: Mutex<()>,
    /// Why indexes cannot be completed. At most one entry for each index that is being built.
    failures: Mutex<BTreeMap<IndexId, String>>,
}

impl Schema {
    pub(crate) fn new(sender: Sender, routing: Routing) -> Self {
        Self { sender, routing, one_at_a_time: Mutex::default(), failures: Mutex::default() }
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

    /// Keeps why an index cannot be completed, until the next try; `None` once there is nothing to say.
    pub(crate) fn note_failure(&self, index: IndexId, failure: Option<String>) {
        let mut failures = self.failures.lock();
        match failure {
            Some(failure) => drop(failures.insert(index, failure)),
            None => drop(failures.remove(&index)),
        }
    }

    /// An index as callers see it.
    pub(crate) fn info(&self, index: &Index) -> IndexInfo {
        let failure = self.failures.lock().get(&index.id()).cloned();
        IndexInfo { failure, ..IndexInfo::of(index) }
    }

    /// What is to be said of indexes that cannot be completed. One that was dropped meanwhile is no
    /// concern any more.
    pub(crate) fn build_failures(&self) -> Vec<String> {
        let told = |(of, index): (Definition, Index)| {
            let failure = self.failures.lock().get(&index.id()).cloned()?;
            let (over, of) = (index.over(), &of.name);
            Some(format!(
                "the index over `{over}` of `{of}` cannot be completed: {failure}; it is tried again: \
                 mend that, or drop the index"
            ))
        };
        self.building().into_iter().filter_map(told).collect()
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
