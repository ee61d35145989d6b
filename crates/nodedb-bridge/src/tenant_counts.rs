//! How many requests of each tenant are under way.

use crate::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering},
};
use nodedb_types::TenantId;
use std::{collections::BTreeMap, sync::PoisonError};

const SHARDS: usize = 256;

/// Exact counts up to one limit, cheap for the tenants that are there first.
///
/// Each shard has one word that the first tenant to come by owns for good, so that counting it takes no
/// lock, and a map for the others, whose entries go at zero: its size is bounded by requests under way,
/// not by tenants ever seen. A tenant is counted in one of the two places and never moves, since a word
/// that has an owner keeps it.
pub(crate) struct TenantCounts {
    limit: u32,
    shards: Box<[Shard]>,
}

/// On a cache line of its own, so that tenants do not slow each other down.
#[repr(align(64))]
struct Shard {
    /// The number of the tenant that owns `first`, or [`NOBODY`].
    owner: AtomicU64,
    first: AtomicU32,
    others: Mutex<BTreeMap<TenantId, u32>>,
}

/// The system's number, which is never counted.
const NOBODY: u64 = TenantId::SYSTEM.get();

impl TenantCounts {
    pub(crate) fn new(limit: u32) -> Self {
        let shard = || Shard {
            owner: AtomicU64::new(NOBODY),
            first: AtomicU32::new(0),
            others: Mutex::new(BTreeMap::new()),
        };
        Self { limit, shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// Most that a tenant may have under way.
    pub(crate) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Counts one more, or answers `false` if the tenant is at its limit. The system has none.
    pub(crate) fn enter(&self, tenant: TenantId) -> bool {
        if tenant == TenantId::SYSTEM {
            return true;
        }
        let shard = self.shard(tenant);
        let more = |count: u32| (count < self.limit).then(|| count + 1);
        if shard.is_owned_by(tenant) {
            // Relaxed, here and below: the addition is atomic, and a count publishes nothing else.
            return shard.first.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        }
        let mut others = shard.others();
        let count = others.get(&tenant).copied().unwrap_or(0);
        let counted = more(count);
        if let Some(count) = counted {
            others.insert(tenant, count);
        }
        counted.is_some()
    }

    /// Counts one less. Once for each [`enter`](Self::enter) that answered `true`.
    pub(crate) fn leave(&self, tenant: TenantId) {
        if tenant == TenantId::SYSTEM {
            return;
        }
        let shard = self.shard(tenant);
        if shard.is_owned_by(tenant) {
            let before = shard.first.fetch_sub(1, Ordering::Relaxed);
            assert!(before > 0, "who leaves has entered");
            return;
        }
        let mut others = shard.others();
        let count = others.remove(&tenant).unwrap_or(0);
        assert!(count > 0, "who leaves has entered");
        if count > 1 {
            others.insert(tenant, count - 1);
        }
    }

    /// How many are under way.
    pub(crate) fn in_flight(&self, tenant: TenantId) -> u32 {
        let shard = self.shard(tenant);
        if tenant != TenantId::SYSTEM && shard.is_owned_by(tenant) {
            return shard.first.load(Ordering::Relaxed);
        }
        shard.others().get(&tenant).copied().unwrap_or(0)
    }

    fn shard(&self, tenant: TenantId) -> &Shard {
        // The upper byte of a product mixes all bytes of the number: ids that ascend spread.
        let mixed = tenant.get().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.shards[usize::from(mixed.to_be_bytes()[0])]
    }
}

impl Shard {
    /// Whether the tenant is counted in the word; it becomes the owner if there is none.
    fn is_owned_by(&self, tenant: TenantId) -> bool {
        let tenant = tenant.get();
        match self.owner.load(Ordering::Relaxed) {
            NOBODY => {
                let claimed = self.owner.compare_exchange(
                    NOBODY,
                    tenant,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                claimed.map_or_else(|owner| owner == tenant, |_| true)
            }
            owner => owner == tenant,
        }
    }

    fn others(&self) -> MutexGuard<'_, BTreeMap<TenantId, u32>> {
        // No foreign code runs under it, so a panic leaves it whole.
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
