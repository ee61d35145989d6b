//! The catalog of one vshard as an engine with its own floor.

use crate::{
    Catalog, Dirty, DurableLog, Engine, EngineError, EngineKind, Flushed, Frozen, Manifest,
    ManifestDir, Persisted, Redo,
};
use nodedb_env::Files;
use nodedb_types::{Lsn, Stamp, TenantId};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};

/// The catalog of one vshard. The whole catalog is small, so each flush writes it whole, inside the
/// manifest.
#[derive(Debug)]
pub struct CatalogEngine {
    catalog: Catalog,
    flushed: Flushed,
    dirty_since: Option<Lsn>,
    frozen: Option<FrozenCatalog>,
    dir: Arc<Mutex<ManifestDir>>,
}

/// A copy of the catalog on its way to disk.
#[derive(Clone, Debug)]
pub struct FrozenCatalog {
    dir: Arc<Mutex<ManifestDir>>,
    bytes: Arc<[u8]>,
    oldest: Lsn,
    watermark: Lsn,
}

/// A flushed catalog.
#[derive(Debug)]
pub struct PersistedCatalog {
    flushed: Flushed,
}

impl CatalogEngine {
    /// Makes an empty catalog in a new directory.
    ///
    /// # Errors
    /// As [`ManifestDir::create`].
    pub fn create(files: Arc<dyn Files>, dir: &Path) -> Result<Self, EngineError> {
        let (dir, flushed) = ManifestDir::create(files, dir, EngineKind::Catalog)?;
        Ok(Self::new(Catalog::default(), flushed, dir))
    }

    /// Loads the catalog as of its floor; the log above it is replayed by the caller.
    ///
    /// # Errors
    /// As [`ManifestDir::open`].
    pub fn load(files: Arc<dyn Files>, path: &Path) -> Result<Self, EngineError> {
        let (dir, flushed) = ManifestDir::open(files, path, EngineKind::Catalog)?;
        let extra = &dir.manifest().extra;
        let catalog = match dir.manifest().floor {
            None => Catalog::default(),
            Some(_) => Catalog::decode(extra)
                .map_err(|error| EngineError::corrupt(path, error.to_string()))?,
        };
        Ok(Self::new(catalog, flushed, dir))
    }

    fn new(catalog: Catalog, flushed: Flushed, dir: ManifestDir) -> Self {
        let dir = Arc::new(Mutex::new(dir));
        Self { catalog, flushed, dirty_since: None, frozen: None, dir }
    }

    /// The catalog as of the last applied record.
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

impl Engine for CatalogEngine {
    type Frozen = FrozenCatalog;

    const KIND: EngineKind = EngineKind::Catalog;

    fn apply(&mut self, at: Stamp, _tenant: TenantId, redo: &Redo) {
        let Redo::Catalog(change) = redo else { return };
        if Some(at.lsn) <= self.flushed.floor() {
            return;
        }
        self.catalog.apply(at.lsn, change);
        self.dirty_since.get_or_insert(at.lsn);
    }

    fn flushed(&self) -> Flushed {
        self.flushed
    }

    fn dirty(&self) -> Option<Dirty> {
        let frozen = self.frozen.as_ref().map(|frozen| frozen.oldest);
        let oldest = frozen.or(self.dirty_since)?;
        // A rough size: what matters is that a dirty catalog is never free.
        Some(Dirty { oldest, bytes: 1024 })
    }

    fn freeze(&mut self, watermark: Lsn) -> Option<FrozenCatalog> {
        if self.frozen.is_none() {
            let oldest = self.dirty_since.take()?;
            assert!(oldest <= watermark, "the watermark covers what was applied");
            let bytes = self.catalog.encode().into();
            let dir = Arc::clone(&self.dir);
            self.frozen = Some(FrozenCatalog { dir, bytes, oldest, watermark });
        }
        self.frozen.clone()
    }

    fn install(&mut self, persisted: PersistedCatalog) {
        assert!(persisted.flushed.floor() >= self.flushed.floor(), "floors never fall");
        self.flushed = persisted.flushed;
        self.frozen = None;
    }
}

impl FrozenCatalog {
    /// How many bytes its flush writes, about.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl Frozen for FrozenCatalog {
    type Persisted = PersistedCatalog;

    fn watermark(&self) -> Lsn {
        self.watermark
    }

    fn persist(self, log: &dyn DurableLog) -> Result<PersistedCatalog, EngineError> {
        let mut dir =
            self.dir.lock().or(Err(EngineError::FlushPanicked { engine: EngineKind::Catalog }))?;
        let next =
            Manifest { floor: Some(self.watermark), files: Vec::new(), extra: self.bytes.to_vec() };
        Ok(PersistedCatalog { flushed: dir.switch(next, log)? })
    }
}

impl Persisted for PersistedCatalog {
    fn flushed(&self) -> Flushed {
        self.flushed
    }
}
