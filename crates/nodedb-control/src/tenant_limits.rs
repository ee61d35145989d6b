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
}

impl Default for TenantLimits {
    fn default() -> Self {
        Self { in_flight: 16_384, collections: limits::COLLECTIONS_MAX }
    }
}
