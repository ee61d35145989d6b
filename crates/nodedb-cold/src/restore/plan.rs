//! What a restore takes.

use crate::{
    base::BaseManifest, hash::ObjectHash, log_object::ExpectedIdentity, restore::RestoreTarget,
    store::ObjectKey,
};
use nodedb_types::{DatabaseId, Incarnation, Lsn, LsnRange};

/// A log object that a restore reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedObject {
    /// Where it stands.
    pub key: ObjectKey,
    /// The records of it that are history.
    pub range: LsnRange,
    /// Its length in bytes.
    pub bytes: u64,
    /// The log in it, uncompressed, in bytes.
    pub raw_bytes: u64,
    /// Commit time of its first batch, in milliseconds since 1970.
    pub min_commit_ms: u64,
    /// Commit time of its last batch, in milliseconds since 1970.
    pub max_commit_ms: u64,
    pub(crate) expected: ExpectedIdentity,
    pub(crate) previous: ObjectHash,
}

/// What a restore takes, and exactly where it arrives. Made by [`crate::ArchiveReader::plan`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestorePlan {
    /// Whose archive.
    pub database_id: DatabaseId,
    /// The history that is restored; the new database gets one of its own.
    pub incarnation: Incarnation,
    /// As asked for.
    pub target: RestoreTarget,
    /// The base image; `None` for the empty database that every log from record 1 begins with.
    pub base: Option<BaseManifest>,
    /// The log objects, dense and in order.
    pub objects: Vec<PlannedObject>,
    /// All that is to be read, in bytes.
    pub bytes: u64,
    /// The first record that is replayed.
    pub first_lsn: Lsn,
    /// The last record that is restored; `None` for an empty database.
    pub target_lsn: Option<Lsn>,
    /// Commit time of the last batch, in milliseconds since 1970; 0 for an empty database.
    pub target_ms: u64,
    /// What was found wrong and could be done without.
    pub warnings: Vec<String>,
}
