//! What all requests of a bridge have in common.

use crate::tenant_counts::TenantCounts;
use nodedb_env::Clock;
use std::{sync::Arc, time::Duration};

/// Reached from both ends of a request through its slot, so that sending takes one reference to it. Not on
/// the cache line of the count of those references, which senders write for every request.
#[repr(align(64))]
pub(crate) struct Exchange {
    clock: Arc<dyn Clock>,
    pub(crate) tenants: TenantCounts,
}

impl Exchange {
    pub(crate) fn new(clock: Arc<dyn Clock>, tenant_in_flight: u32) -> Self {
        Self { clock, tenants: TenantCounts::new(tenant_in_flight) }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }
}
