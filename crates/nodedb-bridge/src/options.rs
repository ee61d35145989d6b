//! The limits of a bridge.

use crate::RequestIds;

/// Limits of a bridge, fixed at its creation.
#[derive(Clone, Debug)]
pub struct BridgeOptions {
    /// Most requests waiting per core and priority. Default 4096; at least 1.
    pub capacity: usize,
    /// Most foreground requests in a row while a background one waits. Default 32; at least 1.
    pub foreground_run: u32,
    /// Where request ids come from. The default is an allocator of its own; bridges that share a
    /// process share one by passing clones of it.
    pub ids: RequestIds,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self { capacity: 4096, foreground_run: 32, ids: RequestIds::new() }
    }
}
