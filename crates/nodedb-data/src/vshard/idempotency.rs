//! Judging and remembering idempotency keys (protocol rule P5).

use super::Vshard;
use crate::{
    DataError, DataOptions, ISSUED_AHEAD_MS_MAX,
    once::Once,
    remembered::{Known, Remembered},
};
use bytes::Bytes;
use nodedb_document::RememberedKeys;
use nodedb_engine::{EngineError, EngineKind, Idempotency, Redo};
use nodedb_types::{DecodeError, TenantId};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Most keys that one record pushes out. More than one, so that a smaller limit is reached in time.
const EVICTED_MAX: usize = 64;
/// Tenants whose keys a vshard keeps in order in memory; of others they are read again when one writes.
const TENANTS_MAX: usize = 64;

/// The keys of the tenants that wrote last, by age: what is pushed out next.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    tenants: BTreeMap<TenantId, Window>,
    uses: u64,
}

#[derive(Debug)]
struct Window {
    keys: BTreeSet<(u64, Bytes)>,
    horizon: u64,
    last_use: u64,
}

/// How long and how many keys are remembered.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Keys issued at or before it are too old.
    cutoff: u64,
    keys_max: usize,
}

impl Bounds {
    fn new(options: &DataOptions, now_ms: u64) -> Self {
        let age = milliseconds(options.idempotency_age);
        Self { cutoff: now_ms.saturating_sub(age), keys_max: options.idempotency_keys_max }
    }
}

impl Window {
    fn new(remembered: RememberedKeys) -> Self {
        let RememberedKeys { keys, horizon } = remembered;
        Self { keys: keys.into_iter().collect(), horizon, last_use: 0 }
    }

    /// The oldest keys that make room for one more, and the horizon then. Only keys that are stored go:
    /// the new one is found by its retry even if it is the oldest.
    fn evict(&self, bounds: Bounds) -> (Vec<Bytes>, u64) {
        let over = (self.keys.len() + 1).saturating_sub(bounds.keys_max);
        let mut horizon = self.horizon;
        let mut evicted = Vec::new();
        for (issued, key) in self.keys.iter().take(EVICTED_MAX) {
            if evicted.len() >= over && *issued > bounds.cutoff {
                break;
            }
            horizon = horizon.max(*issued);
            evicted.push(key.clone());
        }
        (evicted, horizon)
    }

    fn applied(&mut self, redo: &Idempotency) {
        for key in &redo.evicted {
            let oldest = self.keys.pop_first().map(|(_, key)| key);
            assert!(oldest.as_ref() == Some(key), "the oldest keys are pushed out, in order");
        }
        self.keys.insert((redo.issued, redo.key.clone()));
        self.horizon = self.horizon.max(redo.horizon);
    }
}

impl Windows {
    /// Takes note of a key that was logged and applied.
    pub(super) fn applied(&mut self, tenant: TenantId, redo: &Idempotency) {
        if let Some(window) = self.tenants.get_mut(&tenant) {
            window.applied(redo);
        }
    }

    fn make_room(&mut self) {
        while self.tenants.len() >= TENANTS_MAX {
            let oldest = self.tenants.iter().min_by_key(|(_, window)| window.last_use);
            let Some(tenant) = oldest.map(|(tenant, _)| *tenant) else { return };
            self.tenants.remove(&tenant);
        }
    }
}

impl Vshard {
    /// What a key's first run came to; `None` if this is the first run. Must come before anything else is
    /// checked: a retry would conflict with what its own first run has done.
    pub(crate) fn judge(
        &mut self,
        tenant: TenantId,
        once: &Once,
        now_ms: u64,
        options: &DataOptions,
    ) -> Result<Option<Known>, DataError> {
        let found = self.engines.documents.idempotency(tenant, &once.key.key);
        if let Some(found) = found.map_err(DataError::document(self.id))? {
            // Not its issue time: who names a write without a time sends another one with each retry.
            if found.digest != once.digest {
                return Err(DataError::IdempotencyConflict);
            }
            let remembered = Remembered::decode(&found.outcome);
            let remembered = remembered.map_err(|error| self.damaged(&error))?;
            return Ok(Some(Known { at: found.stamp, remembered }));
        }
        let bounds = Bounds::new(options, now_ms);
        let horizon = self.window(tenant)?.horizon.max(bounds.cutoff);
        let issued_ms = once.key.issued_ms;
        if issued_ms <= horizon {
            return Err(DataError::IdempotencyExpired { issued_ms, horizon_ms: horizon });
        }
        if issued_ms > now_ms.saturating_add(ISSUED_AHEAD_MS_MAX) {
            let reason = "an idempotency key is issued at most 5 minutes ahead of the clock";
            return Err(DataError::InvalidRequest { reason });
        }
        Ok(None)
    }

    /// The redo that remembers a key: the last record of this vshard's part.
    pub(crate) fn remember(
        &mut self,
        tenant: TenantId,
        once: &Once,
        remembered: &Remembered,
        (now_ms, options): (u64, &DataOptions),
    ) -> Result<Redo, DataError> {
        let (evicted, horizon) = self.window(tenant)?.evict(Bounds::new(options, now_ms));
        Ok(Redo::Idempotency(Idempotency {
            key: once.key.key.clone(),
            issued: once.key.issued_ms,
            digest: once.digest,
            outcome: remembered.encode(),
            evicted,
            horizon,
        }))
    }

    fn window(&mut self, tenant: TenantId) -> Result<&Window, DataError> {
        self.once.uses += 1;
        let uses = self.once.uses;
        let window = if let Some(window) = self.once.tenants.remove(&tenant) {
            window
        } else {
            let keys = self.engines.documents.idempotency_keys(tenant);
            self.once.make_room();
            Window::new(keys.map_err(DataError::document(self.id))?)
        };
        let window = self.once.tenants.entry(tenant).or_insert(window);
        window.last_use = uses;
        Ok(window)
    }

    /// A remembered outcome that cannot be read.
    pub(crate) fn damaged(&self, error: &DecodeError) -> DataError {
        let path = self.dir.join(EngineKind::Documents.name());
        DataError::engine(self.id)(EngineError::corrupt(path, error.to_string()))
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
