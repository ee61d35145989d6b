//! Why a request is turned away.

use nodedb_types::{ErrorKind, NameError, TenantId};

/// Input that is refused before anything is logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// A key is empty or too long.
    #[error("a key has {bytes} bytes: give 1 to {limit}")]
    Key {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A value is too long.
    #[error("the value of key `{key}` has {bytes} bytes, {limit} are the limit here")]
    Value {
        /// Whose.
        key: String,
        /// Its length.
        bytes: usize,
        /// The limit, which smaller log segments lower.
        limit: usize,
    },
    /// A batch has no or too many operations.
    #[error("a batch has {operations} operations: give 1 to {limit}")]
    BatchOperations {
        /// How many.
        operations: usize,
        /// The limit.
        limit: usize,
    },
    /// A batch is too long.
    #[error(
        "a batch has {bytes} bytes of keys, values and vectors, {limit} are the limit here: split it"
    )]
    BatchBytes {
        /// Its length.
        bytes: usize,
        /// The limit, which smaller log segments lower.
        limit: usize,
    },
    /// The same key twice in a batch.
    #[error(
        "a batch names key `{key}` of one collection twice: which write should win is not defined"
    )]
    BatchKeyTwice {
        /// Which.
        key: String,
    },
    /// A collection would have a wrong number of partitions.
    #[error("{partitions} partitions were asked for: give 1 to {vshards}, the number of vshards")]
    Partitions {
        /// What was asked for.
        partitions: u16,
        /// The number of vshards.
        vshards: u16,
    },
    /// A tenant has as many collections as it may.
    #[error("the tenant has {limit} collections, which is its limit: drop one first")]
    TenantCollections {
        /// The limit.
        limit: usize,
    },
    /// A tenant has as many bytes as it may.
    #[error(
        "tenant {tenant} has {used} of its {limit} bytes, and {bytes} more do not fit: delete documents \
         or drop a collection first, or open the database with a higher limit"
    )]
    TenantFull {
        /// Which.
        tenant: TenantId,
        /// Bytes of its keys and values, at most.
        used: u64,
        /// Bytes that the write would have added.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// It has to be counted first whether a tenant has room.
    #[error("the bytes of tenant {tenant} are being counted: send it again in a moment")]
    TenantUncounted {
        /// Which.
        tenant: TenantId,
    },
    /// Too many indexes.
    #[error("{indexes} indexes were asked for, {limit} are the limit")]
    Indexes {
        /// How many.
        indexes: usize,
        /// The limit.
        limit: usize,
    },
    /// An index with a wrong number of dimensions.
    #[error("an index over `{field}` has {dimensions} dimensions: give 1 to {limit}")]
    Dimensions {
        /// The field.
        field: String,
        /// What was asked for.
        dimensions: u32,
        /// The limit.
        limit: usize,
    },
    /// A field name that cannot be indexed, or twice.
    #[error("`{field}` cannot be indexed: {reason}")]
    Field {
        /// The field.
        field: String,
        /// Why not.
        reason: &'static str,
    },
    /// A search for no or too many neighbours.
    #[error("{k} neighbours were asked for: give 1 to {limit}")]
    Neighbours {
        /// How many.
        k: usize,
        /// The limit.
        limit: usize,
    },
    /// A search with no or too many candidates.
    #[error("{candidates} candidates were asked for: give 1 to {limit}")]
    Candidates {
        /// How many.
        candidates: usize,
        /// The limit.
        limit: usize,
    },
    /// A name outside the grammar.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl AdmissionError {
    /// How a caller reacts to it.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::TenantFull { .. } => ErrorKind::NoSpace,
            Self::TenantUncounted { .. } => ErrorKind::Busy,
            Self::Key { .. }
            | Self::Value { .. }
            | Self::BatchOperations { .. }
            | Self::BatchBytes { .. }
            | Self::BatchKeyTwice { .. }
            | Self::Partitions { .. }
            | Self::TenantCollections { .. }
            | Self::Indexes { .. }
            | Self::Dimensions { .. }
            | Self::Field { .. }
            | Self::Neighbours { .. }
            | Self::Candidates { .. }
            | Self::Name(_) => ErrorKind::InvalidInput,
        }
    }
}
