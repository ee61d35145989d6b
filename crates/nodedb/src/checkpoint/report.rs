//! What a checkpoint is asked for and what it answers.

use super::{Trigger, Urgency};
use nodedb_engine::EngineKind;
use nodedb_types::{Lsn, VshardId};

/// What a checkpoint should do besides moving the redo position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CheckpointRequest {
    /// Return only when the archive holds everything up to the checkpoint.
    pub wait_archive: bool,
    /// Also complete a base image in the archive; implies waiting for it.
    pub base: bool,
    /// How much it hurries. Default [`Urgency::Immediate`].
    pub urgency: Urgency,
}

/// How a checkpoint ended. A failure is an error, never one of these.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CheckpointOutcome {
    /// All engines have flushed everything up to the barrier, and recovery begins behind it.
    Advanced {
        /// The first record that recovery needs.
        redo: Lsn,
    },
    /// Nothing has changed since the last one.
    Unchanged,
    /// Some engines did not prove the barrier in time; they count at their last proof.
    Blocked {
        /// The vshard that holds the log, by the lowest floor.
        vshard: VshardId,
        /// Its engine.
        engine: EngineKind,
        /// Up to where that does not need the log.
        lsn: Option<Lsn>,
        /// Since when it has been behind in every checkpoint, in milliseconds since 1970.
        since_unix_ms: u64,
        /// One entry for every vshard that is behind, the lowest first.
        behind: Vec<Laggard>,
    },
}

/// A vshard that did not prove the barrier of a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Laggard {
    /// Which.
    pub vshard: VshardId,
    /// Its engine with the lowest floor.
    pub engine: EngineKind,
    /// Up to where that does not need the log.
    pub lsn: Option<Lsn>,
    /// Why, in words.
    pub reason: String,
}

impl CheckpointOutcome {
    /// Its name in answers.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Advanced { .. } => "advanced",
            Self::Unchanged => "unchanged",
            Self::Blocked { .. } => "blocked",
        }
    }
}

/// What a checkpoint did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointReport {
    /// How it ended.
    pub outcome: CheckpointOutcome,
    /// Why its round began; a caller may have joined one that ran already.
    pub trigger: Trigger,
    /// The last checkpoint record of the log.
    pub checkpoint_lsn: Option<Lsn>,
    /// The first record that recovery needs.
    pub redo_lsn: Lsn,
    /// Everything up to here is in the archive.
    pub archived_lsn: Option<Lsn>,
    /// Log segments that were given back meanwhile.
    pub reclaimed_segments: u64,
    /// What keeps the oldest log segment, by name.
    pub held_by: Vec<String>,
}
