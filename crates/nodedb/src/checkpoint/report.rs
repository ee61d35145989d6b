//! What a checkpoint is asked for and what it answers.

use nodedb_types::Lsn;

/// What a checkpoint should do besides moving the redo position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CheckpointRequest {
    /// Return only when the archive holds everything up to the checkpoint.
    pub wait_archive: bool,
    /// Also complete a base image in the archive; implies waiting for it.
    pub base: bool,
}

/// How a checkpoint ended. A failure is an error, never one of these.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CheckpointOutcome {
    /// The redo position moved up to the barrier or above.
    Advanced,
    /// Nothing has changed since the last one.
    Unchanged,
    /// Some engines did not prove the barrier in time; they count at their last proof.
    Blocked {
        /// Which, and why where known.
        by: Vec<String>,
    },
}

impl CheckpointOutcome {
    /// Its name in answers.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Advanced => "advanced",
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
    /// The last checkpoint record of the log.
    pub checkpoint_lsn: Option<Lsn>,
    /// The first record that recovery needs.
    pub redo_lsn: Lsn,
    /// Everything up to here is in the archive.
    pub archived_lsn: Option<Lsn>,
    /// Log segments that were given back.
    pub reclaimed_segments: u64,
    /// What keeps the oldest log segment, by name.
    pub held_by: Vec<String>,
}
