//! How far an engine of a vshard was in a base image.

use nodedb_types::{Lsn, Name, VshardId};

/// The two floors of one engine in one vshard (P2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BaseFloor {
    /// Which vshard.
    pub vshard: VshardId,
    /// Which engine.
    pub engine: Name,
    /// What its files were proven to hold. Files that hold less are older than this base.
    pub proven: Option<Lsn>,
    /// From where it needs the log: the proven floor, or the barrier that it reported while idle.
    pub effective: Option<Lsn>,
}
