//! A flush on its way to disk.

use crate::{
    changes::{Changes, Dead},
    rebuild::lock,
    rebuilt::Adoption,
    vector_dir::{Flush, VectorDir},
};
use nodedb_engine::{DurableLog, EngineError, Flushed, Frozen, Persisted};
use nodedb_types::Lsn;
use roaring::RoaringBitmap;
use std::sync::{Arc, Mutex};

/// The changes of some records on their way to disk, and rebuilt segments that are taken in.
#[derive(Clone, Debug)]
pub struct FrozenVectors {
    dir: Arc<Mutex<VectorDir>>,
    parts: Arc<Parts>,
}

/// What is frozen.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) dir: Arc<Mutex<VectorDir>>,
    pub(crate) number: u64,
    pub(crate) changes: Changes,
    pub(crate) dead: Dead,
    pub(crate) adoptions: Vec<Adoption>,
    /// Rows that live in runs after it.
    pub(crate) live: u64,
    pub(crate) watermark: Lsn,
}

/// Flushed changes.
#[derive(Debug)]
pub struct PersistedVectors {
    flushed: Flushed,
    /// What was taken in, with the dead rows of the new segments at the freeze.
    pub(crate) adopted: Vec<(Adoption, RoaringBitmap)>,
}

impl FrozenVectors {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { dir: Arc::clone(&parts.dir), parts: Arc::new(parts) }
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.parts.changes
    }

    /// Whether it takes a rebuilt segment in.
    pub(crate) fn adopts(&self) -> bool {
        !self.parts.adoptions.is_empty()
    }
}

impl Frozen for FrozenVectors {
    type Persisted = PersistedVectors;

    fn watermark(&self) -> Lsn {
        self.parts.watermark
    }

    fn persist(self, log: &dyn DurableLog) -> Result<PersistedVectors, EngineError> {
        let parts = &*self.parts;
        let flush = Flush {
            number: parts.number,
            changes: &parts.changes,
            dead: &parts.dead,
            adoptions: &parts.adoptions,
            watermark: parts.watermark,
            live: parts.live,
        };
        let flushed = lock(&self.dir)?.flush(&flush, log)?;
        // Here rather than on the core, which has only to add what has died since.
        let adopted = parts.adoptions.iter().map(|adoption| (adoption.clone(), adoption.dead()));
        Ok(PersistedVectors { flushed, adopted: adopted.collect() })
    }
}

impl Persisted for PersistedVectors {
    fn flushed(&self) -> Flushed {
        self.flushed
    }
}
