//! Closed lists of engines and of record kinds.

/// Every engine of a vshard. Checkpoints, recovery and base images match it exhaustively.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EngineKind {
    /// Documents, bytes and CRDT documents, which share one store.
    Documents,
    /// Vector indexes.
    Vectors,
    /// The vshard's copy of the catalog.
    Catalog,
}

impl EngineKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Documents, Self::Vectors, Self::Catalog];

    /// Its name, also of its directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Vectors => "vectors",
            Self::Catalog => "catalog",
        }
    }

    /// Its number on disk.
    pub const fn code(self) -> u8 {
        match self {
            Self::Documents => 1,
            Self::Vectors => 2,
            Self::Catalog => 3,
        }
    }

    /// The engine of a number on disk.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// What a log record is. The numbers are on disk for ever; bit 15 (skippable) is not used yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecordKind {
    /// A document or bytes written.
    Put,
    /// A key removed.
    Delete,
    /// A CRDT update merged.
    CrdtMerge,
    /// Rows of a CRDT document replaced by one with the same history.
    CrdtSnapshot,
    /// A change of the catalog.
    Catalog,
    /// An idempotency key and what its writes came to.
    Idempotency,
    /// Entries of an index that is being built.
    IndexRows,
    /// A checkpoint: housekeeping, never counted as change.
    Checkpoint,
    /// A named restore point: housekeeping.
    RestorePoint,
}

impl RecordKind {
    const ALL: [Self; 9] = [
        Self::Put,
        Self::Delete,
        Self::CrdtMerge,
        Self::CrdtSnapshot,
        Self::Catalog,
        Self::Idempotency,
        Self::IndexRows,
        Self::Checkpoint,
        Self::RestorePoint,
    ];

    /// Its number in record headers.
    pub const fn code(self) -> u16 {
        match self {
            Self::Put => 1,
            Self::Delete => 2,
            Self::CrdtMerge => 3,
            Self::CrdtSnapshot => 4,
            Self::Catalog => 5,
            Self::Idempotency => 6,
            Self::IndexRows => 7,
            Self::Checkpoint => 0x100,
            Self::RestorePoint => 0x101,
        }
    }

    /// Its name, as tools show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Delete => "delete",
            Self::CrdtMerge => "crdt-merge",
            Self::CrdtSnapshot => "crdt-snapshot",
            Self::Catalog => "catalog",
            Self::Idempotency => "idempotency",
            Self::IndexRows => "index-rows",
            Self::Checkpoint => "checkpoint",
            Self::RestorePoint => "restore-point",
        }
    }

    /// The kind of a number in a record header.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether it changes no engine, so that it never counts as dirt, change or age.
    pub const fn is_housekeeping(self) -> bool {
        matches!(self, Self::Checkpoint | Self::RestorePoint)
    }
}
