//! All engines of one vshard.

use nodedb_document::{
    DocumentEngine, FrozenDocuments, PersistedDocuments, Ports, TableMaintenance, TableSnapshot,
};
use nodedb_engine::{
    CatalogEngine, Dirty, DurableLog, Engine, EngineError, EngineKind, Flushed, Frozen,
    FrozenCatalog, Persisted, PersistedCatalog, Redo,
};
use nodedb_types::{Lsn, Stamp, TenantId};
use nodedb_vector::{FrozenVectors, PersistedVectors, VectorEngine};
use std::{path::Path, sync::Arc};

/// All engines of one vshard.
///
/// Every function that names an engine matches [`EngineKind`] exhaustively: an engine that is added
/// there does not compile before it is made, loaded, flushed and counted.
#[derive(Debug)]
pub(crate) struct Engines {
    pub(crate) documents: DocumentEngine,
    pub(crate) vectors: VectorEngine,
    pub(crate) catalog: CatalogEngine,
}

/// The frozen part of some engine.
#[derive(Clone, Debug)]
pub(crate) enum FrozenEngine {
    Documents(FrozenDocuments),
    Vectors(FrozenVectors),
    Catalog(FrozenCatalog),
}

/// A finished flush of some engine.
#[derive(Debug)]
pub(crate) enum PersistedEngine {
    Documents(PersistedDocuments),
    Vectors(PersistedVectors),
    Catalog(PersistedCatalog),
}

impl Engines {
    /// Makes all engines in a vshard's directory.
    pub(crate) fn create(ports: &Ports, dir: &Path) -> Result<(), EngineError> {
        for kind in EngineKind::ALL {
            let dir = dir.join(kind.name());
            let files = || Arc::clone(&ports.files);
            match kind {
                EngineKind::Documents => drop(DocumentEngine::create(ports, &dir)?),
                EngineKind::Vectors => drop(VectorEngine::create(files(), &dir)?),
                EngineKind::Catalog => drop(CatalogEngine::create(files(), &dir)?),
            }
        }
        Ok(())
    }

    /// Loads all engines as of their own floors.
    pub(crate) fn load(ports: &Ports, dir: &Path) -> Result<Self, EngineError> {
        let path = |kind: EngineKind| dir.join(kind.name());
        let files = || Arc::clone(&ports.files);
        let mut vectors = VectorEngine::load(files(), &path(EngineKind::Vectors))?;
        vectors.set_budget(Arc::clone(&ports.budget));
        Ok(Self {
            documents: DocumentEngine::load(ports, &path(EngineKind::Documents))?,
            vectors,
            catalog: CatalogEngine::load(files(), &path(EngineKind::Catalog))?,
        })
    }

    /// Applies a logged change to all of them; each takes what concerns it.
    pub(crate) fn apply(&mut self, at: Stamp, tenant: TenantId, redo: &Redo) {
        for kind in EngineKind::ALL {
            self.apply_to(kind, at, tenant, redo);
        }
    }

    /// Applies a logged change to one of them, for replay.
    pub(crate) fn apply_to(&mut self, kind: EngineKind, at: Stamp, tenant: TenantId, redo: &Redo) {
        match kind {
            EngineKind::Documents => self.documents.apply(at, tenant, redo),
            EngineKind::Vectors => self.vectors.apply(at, tenant, redo),
            EngineKind::Catalog => self.catalog.apply(at, tenant, redo),
        }
    }

    /// What an engine's files prove.
    pub(crate) fn flushed(&self, kind: EngineKind) -> Flushed {
        match kind {
            EngineKind::Documents => self.documents.flushed(),
            EngineKind::Vectors => self.vectors.flushed(),
            EngineKind::Catalog => self.catalog.flushed(),
        }
    }

    /// What an engine's files do not hold.
    pub(crate) fn dirty_of(&self, kind: EngineKind) -> Option<Dirty> {
        match kind {
            EngineKind::Documents => self.documents.dirty(),
            EngineKind::Vectors => self.vectors.dirty(),
            EngineKind::Catalog => self.catalog.dirty(),
        }
    }

    /// What the files of all engines together do not hold.
    pub(crate) fn dirty(&self) -> Option<Dirty> {
        EngineKind::ALL.into_iter().filter_map(|kind| self.dirty_of(kind)).reduce(|one, other| {
            Dirty {
                oldest: one.oldest.min(other.oldest),
                bytes: one.bytes.saturating_add(other.bytes),
            }
        })
    }

    /// Sets an engine's unflushed part aside.
    pub(crate) fn freeze(&mut self, kind: EngineKind, watermark: Lsn) -> Option<FrozenEngine> {
        match kind {
            EngineKind::Documents => self.documents.freeze(watermark).map(FrozenEngine::Documents),
            EngineKind::Vectors => self.vectors.freeze(watermark).map(FrozenEngine::Vectors),
            EngineKind::Catalog => self.catalog.freeze(watermark).map(FrozenEngine::Catalog),
        }
    }

    /// Ends a flush.
    pub(crate) fn install(&mut self, persisted: PersistedEngine) {
        match persisted {
            PersistedEngine::Documents(persisted) => self.documents.install(persisted),
            PersistedEngine::Vectors(persisted) => self.vectors.install(persisted),
            PersistedEngine::Catalog(persisted) => self.catalog.install(persisted),
        }
    }

    /// Whether an engine has something to flush beside what is dirty.
    pub(crate) fn wants_flush(&self, kind: EngineKind) -> bool {
        match kind {
            EngineKind::Vectors => self.vectors.wants_flush(),
            EngineKind::Documents | EngineKind::Catalog => false,
        }
    }

    /// The handle for merging the document tables on the maintenance thread.
    pub(crate) fn table_maintenance(&self) -> TableMaintenance {
        self.documents.maintenance()
    }

    /// Reads from merged tables from now on.
    pub(crate) fn install_tables(&mut self, tables: TableSnapshot) {
        self.documents.install_tables(tables);
    }
}

impl FrozenEngine {
    /// Which engine it is of.
    pub(crate) const fn kind(&self) -> EngineKind {
        match self {
            Self::Documents(_) => EngineKind::Documents,
            Self::Vectors(_) => EngineKind::Vectors,
            Self::Catalog(_) => EngineKind::Catalog,
        }
    }

    /// The floor that its flush will prove.
    pub(crate) fn watermark(&self) -> Lsn {
        match self {
            Self::Documents(frozen) => frozen.watermark(),
            Self::Vectors(frozen) => frozen.watermark(),
            Self::Catalog(frozen) => frozen.watermark(),
        }
    }

    /// Bytes that its flush writes without asking the budget of I/O by itself.
    pub(crate) fn unmetered_bytes(&self) -> usize {
        match self {
            Self::Documents(_) | Self::Vectors(_) => 0,
            Self::Catalog(frozen) => frozen.bytes(),
        }
    }

    /// Writes the files and switches to them.
    pub(crate) fn persist(self, log: &dyn DurableLog) -> Result<PersistedEngine, EngineError> {
        match self {
            Self::Documents(frozen) => frozen.persist(log).map(PersistedEngine::Documents),
            Self::Vectors(frozen) => frozen.persist(log).map(PersistedEngine::Vectors),
            Self::Catalog(frozen) => frozen.persist(log).map(PersistedEngine::Catalog),
        }
    }
}

impl PersistedEngine {
    /// The proof.
    pub(crate) fn flushed(&self) -> Flushed {
        match self {
            Self::Documents(persisted) => persisted.flushed(),
            Self::Vectors(persisted) => persisted.flushed(),
            Self::Catalog(persisted) => persisted.flushed(),
        }
    }
}
