//! The allocator of request ids.

use nodedb_types::RequestId;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Hands out request ids, each once: 1, 2, 3 ... Clones share one sequence.
#[derive(Clone, Debug)]
pub struct RequestIds(Arc<AtomicU64>);

impl RequestIds {
    /// A new sequence.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1)))
    }

    /// The next id.
    pub fn next_id(&self) -> RequestId {
        // Uniqueness needs only that the addition is atomic; an id orders nothing.
        RequestId::new(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}
