//! What the checkpointer shows of itself.

use super::{CheckpointOutcome, LogAge, Trigger};
use std::sync::Arc;

/// The state of the checkpointer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointStatus {
    /// What it is doing: `idle`, `fencing`, `flushing`, `recording`, `switching`, `backoff`, `draining`
    /// or `stopped`.
    pub phase: &'static str,
    /// How the log from the redo position on compares to `log_bytes_max`.
    pub log_age: LogAge,
    /// The last round, if there was one since the open.
    pub last: Option<LastCheckpoint>,
}

/// How the last round of checkpoints ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastCheckpoint {
    /// Why it began.
    pub trigger: Trigger,
    /// How it ended; a failure in words.
    pub outcome: Result<CheckpointOutcome, String>,
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
}

/// What driver and handles share.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) phase: &'static str,
    pub(super) last: Option<Arc<LastCheckpoint>>,
    /// Why the health is degraded, if it is.
    pub(super) reasons: Vec<String>,
}
