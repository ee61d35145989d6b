//! The document engine of one vshard.

use crate::{
    Dropped, FrozenDocuments, PersistedDocuments, Place, Ports, TableMaintenance, TableSnapshot,
    TableStore, Verified,
    memtable::{Memtable, Version},
    row_key::expiry_row,
    store::{Opened, Retired, Store, TABLES},
};
use bytes::Bytes;
use nodedb_engine::{
    CatalogChange, CrdtRows, Dirty, DurableLog, Engine, EngineError, EngineKind, FieldChange,
    Flushed, IndexEntry, ManifestDir, Redo,
};
use nodedb_env::{Clock, Files};
use nodedb_types::{CollectionId, IndexId, Lsn, Stamp, TenantId};
use std::{path::Path, sync::Arc, time::Duration};

/// Documents, bytes and the rows of CRDT documents of one vshard, owned by one core.
#[derive(Debug)]
pub struct DocumentEngine {
    pub(crate) active: Memtable,
    pub(crate) frozen: Option<FrozenDocuments>,
    pub(crate) tables: TableSnapshot,
    /// What is gone; its rows are never shown again.
    pub(crate) dropped: Arc<Dropped>,
    flushed: Flushed,
    /// The last record applied, whether it changed something here or not.
    applied: Option<Lsn>,
    dirty_since: Option<Lsn>,
    store: Arc<Store>,
}

impl DocumentEngine {
    /// Makes an empty engine in a directory that does not exist. Durable on return, except for the
    /// directory's own name: the caller syncs the parent.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    pub fn create(ports: &Ports, dir: &Path) -> Result<Self, EngineError> {
        Store::create(ports, dir).map(Self::new)
    }

    /// Loads the engine as of its floor; the log above it is replayed by the caller. The floor on
    /// return may lie above the one in the manifest, if a kill came between the two.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] naming the damaged, missing or foreign file, or if the files hold
    /// records that the log does not have; [`EngineError::UnsupportedFormat`], [`EngineError::Io`].
    pub fn load(ports: &Ports, dir: &Path) -> Result<Self, EngineError> {
        Store::open(ports, dir).map(Self::new)
    }

    /// Reads and checks every byte of an engine's files, changing none. The engine must not be open.
    ///
    /// # Errors
    /// As [`DocumentEngine::load`].
    pub fn verify(
        files: &dyn Files,
        dir: &Path,
        tables: &dyn TableStore,
    ) -> Result<Verified, EngineError> {
        let manifest = ManifestDir::verify(files, dir, Self::KIND)?;
        let path = dir.join(TABLES);
        if !tables.exists(files, &path)? {
            return match manifest.floor {
                None => Ok(Verified::default()),
                Some(_) => Err(EngineError::corrupt(path, "missing, though the manifest names it")),
            };
        }
        tables.verify(files, &path)
    }

    fn new(opened: Opened) -> Self {
        Self {
            active: Memtable::default(),
            frozen: None,
            tables: opened.tables,
            dropped: Arc::new(opened.dropped),
            flushed: opened.flushed,
            applied: opened.flushed.floor(),
            dirty_since: None,
            store: opened.store,
        }
    }

    /// The handle with which the maintenance thread merges this engine's tables.
    pub fn maintenance(&self) -> TableMaintenance {
        TableMaintenance { store: Arc::clone(&self.store) }
    }

    /// Reads from merged tables from now on. An older snapshot than the one in use is ignored, so the
    /// order of arrival does not matter.
    ///
    /// # Panics
    /// If the floor of the tables would fall.
    pub fn install_tables(&mut self, tables: TableSnapshot) {
        if tables.generation <= self.tables.generation {
            return self.store.retire(Retired::Tables(tables));
        }
        assert!(tables.floor >= self.tables.floor, "the floor of the tables never falls");
        let old = std::mem::replace(&mut self.tables, tables);
        self.store.retire(Retired::Tables(old));
    }

    /// About how much memory the rows take that are in no table, frozen ones and kept versions
    /// counted.
    pub fn memory_bytes(&self) -> usize {
        let frozen = self.frozen.as_ref();
        self.active.bytes() + frozen.map_or(0, |frozen| frozen.memtable.bytes())
    }

    /// The time of the clock by which reads end.
    pub fn now(&self) -> Duration {
        self.clock().now()
    }

    /// Damage of the tables, told by what was read from them.
    pub(crate) fn corrupt(&self, message: &'static str) -> EngineError {
        self.tables.corrupt(message)
    }

    pub(crate) fn log(&self) -> &dyn DurableLog {
        &*self.store.ports.log
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.store.ports.clock
    }

    pub(crate) const fn applied(&self) -> Option<Lsn> {
        self.applied
    }

    pub(crate) fn write(&mut self, key: Bytes, stamp: Stamp, value: Option<Bytes>) {
        self.write_version(key, Version { stamp, expires: None, value });
    }

    /// Writes a document and, if it expires, its entry in the list of times.
    fn write_document(
        &mut self,
        place: &Place<'_>,
        stamp: Stamp,
        value: Bytes,
        expires: Option<u64>,
    ) {
        if let Some(time) = expires {
            self.write(expiry_row(time, place), stamp, Some(Bytes::new()));
        }
        self.write_version(place.data(), Version { stamp, expires, value: Some(value) });
    }

    pub(crate) fn write_version(&mut self, key: Bytes, version: Version) {
        self.dirty_since.get_or_insert(version.stamp.lsn);
        let store = &self.store;
        // The durable position first: a scan that registers between the two calls reads at or above
        // it, while one registered before is seen by the second.
        let horizon = || {
            let durable = store.ports.log.durable()?;
            let oldest = store.ports.snapshots.oldest();
            Some(oldest.map_or(durable, |oldest| oldest.min(durable)))
        };
        self.active.write(key, version, horizon);
    }

    /// Writes the list of a CRDT document's rows.
    fn write_head(&mut self, place: &Place<'_>, stamp: Stamp, rows: &CrdtRows) {
        let mut head = Vec::new();
        rows.encode(&mut head);
        self.write(place.data(), stamp, Some(head.into()));
    }

    fn delete_slots(&mut self, place: &Place<'_>, stamp: Stamp, slots: impl Iterator<Item = u8>) {
        for slot in slots {
            self.write(place.crdt(slot), stamp, None);
        }
    }

    /// The entries that field indexes lose and gain with a document.
    fn write_fields(&mut self, place: &Place<'_>, stamp: Stamp, changes: &[FieldChange]) {
        for FieldChange { index, before, after } in changes {
            // Of a repeated value the second write wins, which is the one that keeps the entry.
            if let Some(before) = before {
                self.write(place.field(*index, before), stamp, None);
            }
            if let Some(after) = after {
                self.write(place.field(*index, after), stamp, Some(Bytes::new()));
            }
        }
    }

    /// The entries of documents that were there before their index.
    fn write_index_rows(&mut self, tenant: TenantId, stamp: Stamp, redo: &Redo) {
        let Redo::IndexRows { collection, index, rows } = redo else {
            return;
        };
        if self.dropped.has_index(*collection, *index) {
            return;
        }
        for row in rows {
            if let IndexEntry::Field(value) = &row.entry {
                let place = Place { tenant, collection: *collection, key: &row.key };
                self.write(place.field(*index, value), stamp, Some(Bytes::new()));
            }
        }
    }

    fn drop_collection(&mut self, at: Lsn, id: CollectionId) {
        if !self.dropped.collections.contains(&id) {
            Arc::make_mut(&mut self.dropped).collections.insert(id);
            self.dirty_since.get_or_insert(at);
        }
    }

    /// Of an index that has no rows here, as a vector index, nothing is lost by noting it as well.
    fn drop_index(&mut self, at: Lsn, id: IndexId) {
        if !self.dropped.indexes.contains(&id) {
            Arc::make_mut(&mut self.dropped).indexes.insert(id);
            self.dirty_since.get_or_insert(at);
        }
    }

    fn apply_to(&mut self, place: &Place<'_>, at: Stamp, redo: &Redo) {
        match redo {
            Redo::Put { value, expires, fields, .. } => {
                self.write_document(place, at, value.clone(), *expires);
                self.write_fields(place, at, fields);
            }
            Redo::Delete { fields, crdt, .. } => {
                self.write(place.data(), at, None);
                self.write_fields(place, at, fields);
                if let Some(rows) = crdt {
                    self.delete_slots(place, at, 0..rows.used);
                }
            }
            Redo::CrdtMerge { slot, update, rows, .. } => {
                self.write(place.crdt(*slot), at, Some(update.clone()));
                self.write_head(place, at, rows);
            }
            Redo::CrdtSnapshot { slot, snapshot, rows, freed, .. } => {
                self.delete_slots(place, at, freed.iter().copied());
                self.write(place.crdt(*slot), at, Some(snapshot.clone()));
                self.write_head(place, at, rows);
            }
            Redo::IndexRows { .. } | Redo::Idempotency(_) | Redo::Catalog(_) => {}
        }
    }
}

impl Engine for DocumentEngine {
    type Frozen = FrozenDocuments;

    const KIND: EngineKind = EngineKind::Documents;

    fn apply(&mut self, at: Stamp, tenant: TenantId, redo: &Redo) {
        // At or below the floor, or a repetition: the log is applied in its order, once.
        if Some(at.lsn) <= self.applied {
            return;
        }
        self.applied = Some(at.lsn);
        let (collection, key) = match redo {
            Redo::Put { collection, key, .. }
            | Redo::Delete { collection, key, .. }
            | Redo::CrdtMerge { collection, key, .. }
            | Redo::CrdtSnapshot { collection, key, .. } => (*collection, key),
            Redo::Catalog(CatalogChange::DropCollection { id, .. }) => {
                return self.drop_collection(at.lsn, *id);
            }
            Redo::Catalog(CatalogChange::DropIndex { index, .. }) => {
                return self.drop_index(at.lsn, *index);
            }
            Redo::IndexRows { .. } => return self.write_index_rows(tenant, at, redo),
            Redo::Idempotency(remembered) => return self.remember(at, tenant, remembered),
            Redo::Catalog(_) => return,
        };
        // Ids are never reused, so a record of a dropped collection is older than the drop.
        if self.dropped.collections.contains(&collection) {
            return;
        }
        let place = Place { tenant, collection, key };
        self.apply_to(&place, at, redo);
    }

    fn flushed(&self) -> Flushed {
        self.flushed
    }

    fn dirty(&self) -> Option<Dirty> {
        let frozen = self.frozen.as_ref().map(|frozen| frozen.oldest);
        // A drop alone takes no memory here, and is dirty all the same.
        Some(Dirty { oldest: frozen.or(self.dirty_since)?, bytes: self.memory_bytes().max(1) })
    }

    fn freeze(&mut self, watermark: Lsn) -> Option<FrozenDocuments> {
        if self.frozen.is_none() {
            let oldest = self.dirty_since?;
            // Only of a dirty engine: a clean one may lie ahead of a replay that another one needs.
            assert!(self.applied <= Some(watermark), "the watermark covers what was applied");
            self.dirty_since = None;
            self.frozen = Some(FrozenDocuments {
                store: Arc::clone(&self.store),
                memtable: Arc::new(std::mem::take(&mut self.active)),
                oldest,
                watermark,
                dropped: Arc::clone(&self.dropped),
            });
        }
        self.frozen.clone()
    }

    fn install(&mut self, persisted: PersistedDocuments) {
        assert!(persisted.flushed.floor() >= self.flushed.floor(), "floors never fall");
        self.flushed = persisted.flushed;
        // In one turn with the memtable's end: no reader finds its rows in neither or in both.
        self.install_tables(persisted.tables);
        assert!(
            self.tables.floor >= self.flushed.floor(),
            "the tables in use hold what was flushed"
        );
        if let Some(frozen) = self.frozen.take() {
            assert!(
                Some(frozen.watermark) <= self.flushed.floor(),
                "a frozen memtable is dropped only once the tables hold it"
            );
            self.store.retire(Retired::Memtable(frozen.memtable));
        }
    }
}
