//! What can go wrong with a CRDT document.

use nodedb_types::ErrorKind;

/// Failure of a CRDT document.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrdtError {
    /// An update is larger than any value.
    #[error("the update has {bytes} bytes, {limit} are the limit: send it in parts")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// An update has more operations than one import may take. The document is unchanged.
    #[error("the update has {ops} operations, {limit} are the limit: send it in parts")]
    TooManyOps {
        /// How many it has.
        ops: u64,
        /// The limit.
        limit: u64,
    },
    /// The document would take more room than it may. It is unchanged.
    #[error("the document would take {bytes} bytes, {limit} are the limit: begin another one")]
    DocumentTooLarge {
        /// What its rows would take.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The document would nest deeper than JSON may. It is unchanged.
    #[error("the document would nest deeper than {limit} levels: keep it flatter")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// An update made loro fail before and was kept aside. The document is unchanged.
    #[error("update {digest:032x} made the document fail before: it is not tried again")]
    Quarantined {
        /// XXH3-128 of the update.
        digest: u128,
    },
    /// An update is damaged or none at all. The document is unchanged.
    #[error("the update cannot be imported: {message}; export it again")]
    InvalidUpdate {
        /// How it shows.
        message: String,
    },
    /// An update builds on changes that the document does not have. The document is unchanged.
    #[error("the update builds on changes that are missing here ({missing}): merge them first")]
    MissingDependencies {
        /// Ranges `peer: from..to` of operations, ascending, separated by commas.
        missing: String,
    },
    /// A version is no version vector.
    #[error("`{version}` is no version: give the one of an earlier export")]
    InvalidVersion {
        /// What was given, in hexadecimal, cut to 80 digits.
        version: String,
    },
    /// An edit was refused. The document is unchanged.
    #[error("the edit was refused: {message}")]
    InvalidEdit {
        /// Why.
        message: String,
    },
    /// Stored rows of the document are damaged or do not belong together.
    #[error("the stored {part} of the document is damaged: {message}; restore from the archive")]
    Corrupt {
        /// Such as "row 3", by its slot.
        part: String,
        /// How it shows.
        message: String,
    },
    /// The library failed in the middle of its work, now or in an earlier call. The document in memory
    /// is not used any more; what is stored is as it was.
    #[error("the document failed while {action} ({message}): load it again")]
    Panicked {
        /// What was tried, such as "importing".
        action: &'static str,
        /// What the library said, cut to 200 characters.
        message: String,
    },
}

impl CrdtError {
    pub(crate) fn invalid(message: &str) -> Self {
        Self::InvalidUpdate { message: message.to_owned() }
    }

    /// How a caller reacts to it.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. }
            | Self::TooManyOps { .. }
            | Self::DocumentTooLarge { .. }
            | Self::TooDeep { .. }
            | Self::Quarantined { .. }
            | Self::InvalidUpdate { .. }
            | Self::InvalidVersion { .. }
            | Self::InvalidEdit { .. } => ErrorKind::InvalidInput,
            Self::MissingDependencies { .. } => ErrorKind::Conflict,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Panicked { .. } => ErrorKind::Internal,
        }
    }
}
