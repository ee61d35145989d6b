//! One vshard as its core holds it.

mod build;
mod crdt;
mod expire;
mod fields;
mod idempotency;
mod index_count;
mod read;
mod replay;
mod search;
mod select;
mod statistics;
mod write;

pub(crate) use crdt::Merge;
pub(crate) use index_count::IndexCount;
pub(crate) use read::Count;
pub(crate) use replay::{LoadedVshards, Replay, load_all};
pub(crate) use search::SearchRun;

use crate::{
    DataError, DataOptions, VshardStatus, engines::Engines, flushes::Flushes, pause::Pause,
    release::Until, weak::WeakWrites,
};
use nodedb_crdt::{CrdtCache, CrdtKey, CrdtLimits, Quarantine};
use nodedb_document::{ExpiryPlace, Place};
use nodedb_engine::{CatalogChange, Collection, EngineKind, Pressure, Redo};
use nodedb_types::{CollectionId, IndexId, Lsn, Stamp, TenantId, VshardId};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// One vshard: its engines and what is only in memory. Owned by one core.
#[derive(Debug)]
pub(crate) struct Vshard {
    pub(crate) id: VshardId,
    pub(crate) dir: PathBuf,
    pub(crate) engines: Engines,
    pub(crate) crdt: CrdtCache,
    crdt_limits: CrdtLimits,
    /// CRDT updates that made the library fail.
    quarantine: Quarantine,
    /// Field indexes that became complete since it was opened, and by which record: an older snapshot
    /// does not see all of their entries.
    ready: BTreeMap<IndexId, Lsn>,
    /// The last record of its own that it has applied, or the highest floor of its files.
    pub(crate) applied: Option<Lsn>,
    /// The last record acknowledged, or about to be, below `Sync` (protocol rule P6).
    weak: WeakWrites,
    /// The group that it waits for.
    pub(crate) pause: Option<Pause>,
    pub(crate) flushes: Flushes,
    /// While so much waits to be flushed that writers will soon wait for it.
    pub(crate) pressure: Option<Pressure>,
    /// What it took when its core last looked.
    pub(crate) memory: usize,
    /// What its live CRDT documents took of it.
    pub(crate) crdt_bytes: usize,
    /// What its vectors took that are not sealed, at the same moment.
    pub(crate) unsealed: usize,
    /// Where the sweeper goes on: before it nothing is on the list of times. `None` if nothing is to
    /// expire.
    expires: Option<ExpiryPlace>,
    statistics: statistics::KnownStatistics,
}

impl Vshard {
    pub(crate) fn new(
        id: VshardId,
        dir: PathBuf,
        mut engines: Engines,
        options: &DataOptions,
    ) -> Self {
        engines.vectors.set_options(options.vector_options());
        let floors = EngineKind::ALL.map(|kind| engines.flushed(kind).floor());
        let applied = floors.into_iter().max().flatten();
        Self {
            id,
            dir,
            engines,
            crdt: CrdtCache::new(options.crdt_documents_max, options.crdt_bytes_max),
            crdt_limits: options.crdt_limits,
            quarantine: Quarantine::default(),
            ready: BTreeMap::new(),
            applied,
            weak: WeakWrites::default(),
            pause: None,
            flushes: Flushes::default(),
            pressure: None,
            memory: 0,
            crdt_bytes: 0,
            unsealed: 0,
            // Not known before the first look.
            expires: Some(ExpiryPlace::first()),
            statistics: statistics::KnownStatistics::new(applied),
        }
    }

    /// A tenant's collection, as of what is applied here. Another tenant's does not exist.
    fn collection(&self, tenant: TenantId, id: CollectionId) -> Result<&Collection, DataError> {
        let found = self.engines.catalog.catalog().get(id);
        found
            .filter(|collection| collection.tenant == tenant)
            .ok_or(DataError::NoSuchCollection { collection: id })
    }

    /// Applies a logged change. Cannot fail: what can was tried before it was logged.
    pub(crate) fn apply(&mut self, at: Stamp, tenant: TenantId, redo: &Redo) {
        assert!(
            self.applied < Some(at.lsn),
            "records of a vshard are applied in the order of the log"
        );
        self.engines.apply(at, tenant, redo);
        self.applied = Some(at.lsn);
        if let Some(collection) = redo.collection() {
            self.statistics.note(collection, at.lsn);
        }
        match redo {
            Redo::Delete { collection, key, crdt: Some(_), .. } => {
                let key = key.clone();
                self.forget_document(&CrdtKey { tenant, collection: *collection, key });
            }
            Redo::Catalog(CatalogChange::DropCollection { id, .. }) => {
                self.statistics.forget(*id);
                self.crdt.evict_collection(*id);
            }
            Redo::Put { collection, key, expires: Some(time), .. } => {
                self.note_expiry(*time, &Place { tenant, collection: *collection, key });
            }
            Redo::Catalog(CatalogChange::CreateIndex { index, .. }) => {
                self.ready.insert(index.id(), at.lsn);
            }
            Redo::Catalog(CatalogChange::IndexReady { index, .. }) => {
                self.ready.insert(*index, at.lsn);
            }
            Redo::Catalog(CatalogChange::DropIndex { index, .. }) => {
                self.ready.remove(index);
            }
            Redo::Put { expires: None, .. }
            | Redo::Delete { crdt: None, .. }
            | Redo::CrdtMerge { .. }
            | Redo::CrdtSnapshot { .. }
            | Redo::IndexRows { .. }
            | Redo::Idempotency(_)
            | Redo::Catalog(_) => {}
        }
    }

    /// Notes that a record is acknowledged before it is durable.
    pub(crate) fn note_weak(&mut self, lsn: Lsn, durable: Option<Lsn>, now: Duration) {
        self.weak.note(lsn, durable, now);
    }

    /// When everything that is applied here may be shown.
    pub(crate) fn all_durable(&self) -> Until {
        Until::durable(self.applied)
    }

    /// How it is, beside what the board knows.
    pub(crate) fn status(&self, floors: crate::VshardFloors) -> VshardStatus {
        VshardStatus {
            floors,
            applied: self.applied,
            crdt_documents: self.crdt.len(),
            crdt_bytes: self.crdt.estimated_bytes(),
            unsealed_bytes: self.unsealed_bytes(),
            quarantine: self.quarantine.list(),
        }
    }
}
