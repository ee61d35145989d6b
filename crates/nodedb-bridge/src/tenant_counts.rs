//! How many requests of each tenant are under way.

use crate::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
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

/// On cache lines of its own, so that tenants do not slow each other down.
struct Shard {
    first: First,
    /// Written by cores.
    left: Left,
    others: Mutex<BTreeMap<TenantId, u32>>,
}

/// What senders write of the tenant that came first.
#[repr(align(64))]
struct First {
    /// Its number, or [`NOBODY`].
    owner: AtomicU64,
    /// Requests that it has ever sent.
    entered: AtomicU64,
    /// What `left` was when a sender last looked: never more than it is. So senders look at the line
    /// that cores write only when a limit seems near, and neither waits for the other's line.
    known_left: AtomicU64,
}

/// Requests of the tenant that came first that have ever ended.
#[repr(align(64))]
struct Left(AtomicU64);

/// The system's number, which is never counted.
const NOBODY: u64 = TenantId::SYSTEM.get();

impl TenantCounts {
    pub(crate) fn new(limit: u32) -> Self {
        let shard = || Shard {
            first: First {
                owner: AtomicU64::new(NOBODY),
                entered: AtomicU64::new(0),
                known_left: AtomicU64::new(0),
            },
            left: Left(AtomicU64::new(0)),
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
        if shard.is_owned_by(tenant) {
            return shard.enter_first(u64::from(self.limit));
        }
        let mut others = shard.others();
        let count = others.get(&tenant).copied().unwrap_or(0);
        let below = count < self.limit;
        if below {
            others.insert(tenant, count + 1);
        }
        below
    }

    /// Counts one less. Once for each [`enter`](Self::enter) that answered `true`.
    pub(crate) fn leave(&self, tenant: TenantId) {
        if tenant == TenantId::SYSTEM {
            return;
        }
        let shard = self.shard(tenant);
        if shard.is_owned_by(tenant) {
            let before = shard.left.0.fetch_add(1, Ordering::Relaxed);
            assert!(before < u64::MAX, "who leaves has entered");
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
            return shard.first_in_flight();
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
    /// Relaxed, here and below: both words only grow, and neither publishes anything else. That an answer
    /// is seen behind its request's end is the business of the slot's lock.
    fn enter_first(&self, limit: u64) -> bool {
        let First { entered, known_left, .. } = &self.first;
        loop {
            let before = entered.load(Ordering::Relaxed);
            if before.saturating_sub(known_left.load(Ordering::Relaxed)) >= limit {
                let left = self.left.0.load(Ordering::Relaxed);
                known_left.store(left, Ordering::Relaxed);
                if before.saturating_sub(left) >= limit {
                    return false;
                }
            }
            // As long as nobody else enters, there can only be fewer under way than were seen.
            let claimed = entered.compare_exchange_weak(
                before,
                before + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if claimed.is_ok() {
                return true;
            }
        }
    }

    fn first_in_flight(&self) -> u32 {
        // In this order: what leaves in between makes the difference smaller than it ever was, never
        // larger.
        let entered = self.first.entered.load(Ordering::Acquire);
        let left = self.left.0.load(Ordering::Acquire);
        u32::try_from(entered.saturating_sub(left)).unwrap_or(u32::MAX)
    }

    /// Whether the tenant is counted in the word; it becomes the owner if there is none.
    fn is_owned_by(&self, tenant: TenantId) -> bool {
        let tenant = tenant.get();
        let owner = &self.first.owner;
        match owner.load(Ordering::Relaxed) {
            NOBODY => {
                let claimed =
                    owner.compare_exchange(NOBODY, tenant, Ordering::Relaxed, Ordering::Relaxed);
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
