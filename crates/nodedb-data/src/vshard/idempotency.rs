//! Judging and remembering idempotency keys (protocol rule P5).

use super::Vshard;
use crate::{
    DataError, DataOptions, ISSUED_AHEAD_MS_MAX,
    once::Once,
    remembered::{Known, Remembered},
};
use nodedb_document::RememberedKeys;
use nodedb_engine::{EngineError, EngineKind, Idempotency, IssuedKey, Redo};
use nodedb_types::{DecodeError, TenantId};
use std::time::Duration;

/// Most keys that one record pushes out. More than one, so that a smaller limit is reached in time.
const EVICTED_MAX: usize = 64;
/// How long and how many keys are remembered.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Keys issued at or before it are too old.
    cutoff: u64,
    keys_max: u64,
}

impl Bounds {
    fn new(options: &DataOptions, now_ms: u64) -> Self {
        let age = milliseconds(options.idempotency_age);
        Self { cutoff: now_ms.saturating_sub(age), keys_max: options.idempotency_keys_max as u64 }
    }
}

impl Vshard {
    /// What a key's first run came to; `None` if this is the first run. Must come before anything else is
    /// checked: a retry would conflict with what its own first run has done.
    pub(crate) fn judge(
        &self,
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
        let horizon = self.remembered_keys(tenant)?.horizon.issued.max(bounds.cutoff);
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
        &self,
        tenant: TenantId,
        once: &Once,
        remembered: &Remembered,
        (now_ms, options): (u64, &DataOptions),
    ) -> Result<Redo, DataError> {
        let RememberedKeys { kept, mut horizon } = self.remembered_keys(tenant)?;
        let evicted = self.evicted(tenant, (kept, &horizon), Bounds::new(options, now_ms))?;
        // A summary that were less than the keys there are would be damage that no reader sees.
        let kept = (kept + 1).saturating_sub(evicted.len() as u64);
        if let Some(last) = evicted.last() {
            assert!(*last > horizon, "keys are pushed out in their order");
            horizon = last.clone();
        }
        Ok(Redo::Idempotency(Idempotency {
            key: once.key.key.clone(),
            issued: once.key.issued_ms,
            digest: once.digest,
            outcome: remembered.encode(),
            evicted,
            horizon,
            kept,
        }))
    }

    /// The oldest keys that make room for one more. Only keys that are stored go: the new one is found by
    /// its retry even if it is the oldest.
    fn evicted(
        &self,
        tenant: TenantId,
        (kept, horizon): (u64, &IssuedKey),
        bounds: Bounds,
    ) -> Result<Vec<IssuedKey>, DataError> {
        let documents = &self.engines.documents;
        let oldest = documents.oldest_idempotency_keys(tenant, horizon, EVICTED_MAX);
        let mut oldest = oldest.map_err(DataError::document(self.id))?;
        let over = (kept + 1).saturating_sub(bounds.keys_max);
        let mut number = 0;
        oldest.retain(|key| {
            number += 1;
            number <= over || key.issued <= bounds.cutoff
        });
        Ok(oldest)
    }

    fn remembered_keys(&self, tenant: TenantId) -> Result<RememberedKeys, DataError> {
        let keys = self.engines.documents.idempotency_keys(tenant);
        keys.map_err(DataError::document(self.id))
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
