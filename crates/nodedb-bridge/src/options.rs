//! The limits of a bridge.

use crate::RequestIds;
use std::time::Duration;

/// Limits of a bridge, fixed at its creation.
#[derive(Clone, Debug)]
pub struct BridgeOptions {
    /// Most requests waiting per core and priority. Default 4096; at least 1.
    pub capacity: usize,
    /// Most bytes that the requests may hold that wait per core and priority, as their senders say
    /// ([`Request::bytes`](crate::Request::bytes)). A single request that holds more is taken while no other
    /// with bytes waits. Default 64 MiB; at least 1.
    pub capacity_bytes: usize,
    /// Most foreground requests in a row while a background one waits. Default 32; at least 1.
    pub foreground_run: u32,
    /// Most requests that one tenant may have under way on all cores together, from sending until
    /// the core has answered or dropped them; above it
    /// [`SendError::TenantBusy`](crate::SendError::TenantBusy). Default 16,384: a tenant can fill the
    /// queues of two cores, which a database of one tenant needs to; less keeps room for others.
    /// At least 1.
    ///
    /// [`TenantId::SYSTEM`](nodedb_types::TenantId::SYSTEM) has no such limit: it is the housekeeping
    /// that answers what tenants wait for, its requests are few and bounded by
    /// [`capacity`](Self::capacity), and a refusal would turn load into a stop.
    pub tenant_in_flight: u32,
    /// How long a core may stay away from its inbox while requests wait or one is under way, before it
    /// counts as [`CoreHealth::Stuck`](crate::CoreHealth::Stuck). Default 5 s; above 0.
    pub stuck_after: Duration,
    /// Where request ids come from. The default is an allocator of its own; bridges that share a
    /// process share one by passing clones of it.
    pub ids: RequestIds,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            capacity: 4096,
            capacity_bytes: 64 << 20,
            foreground_run: 32,
            tenant_in_flight: 16_384,
            stuck_after: Duration::from_secs(5),
            ids: RequestIds::new(),
        }
    }
}
