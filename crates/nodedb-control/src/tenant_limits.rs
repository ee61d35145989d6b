//! What one tenant may take.

use nodedb_types::limits;

/// What each tenant may take of a database that others use too. The limits are the same for all of them
/// and hold while the database is open; nothing of them is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TenantLimits {
    /// Requests under way on all cores together; above it `Busy`. Default 16,384, which a database of one
    /// tenant needs to keep its cores busy. At least 1.
    pub in_flight: u32,
    /// Collections. Default 10,000, which is the limit of the whole database too.
    pub collections: usize,
    /// Bytes of keys and stored values, of CRDT documents those of their snapshots and updates; indexes and
    /// remembered idempotency keys come on top. Default: as many as there is room for. A write that would
    /// exceed it is refused before anything is logged, with kind `NoSpace`; deletes never are.
    ///
    /// What a tenant takes is counted in the background before its first write after an open, and again when
    /// the last count and all that was written since reach the limit. Until then its writes meet `Busy`,
    /// which blocking calls repeat by themselves.
    pub bytes: Option<u64>,
}

impl Default for TenantLimits {
    fn default() -> Self {
        Self { in_flight: 16_384, collections: limits::COLLECTIONS_MAX, bytes: None }
    }
}
