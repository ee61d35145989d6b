//! What a checkpoint did, as answers show it.

use nodedb::{CheckpointReport, Lsn};
use serde::Serialize;

/// What a checkpoint did, as answers show it.
#[derive(Serialize, Debug)]
pub struct CheckpointAnswer {
    /// How it ended: `advanced`, `unchanged` or `blocked`.
    pub outcome: &'static str,
    /// The last checkpoint record of the log.
    pub checkpoint_lsn: Option<u64>,
    /// The first record that recovery needs.
    pub redo_lsn: u64,
    /// Everything up to here is in the archive.
    pub archived_lsn: Option<u64>,
    /// Log segments that were given back meanwhile.
    pub reclaimed_segments: u64,
    /// What keeps the oldest log segment, by name.
    pub held_by: Vec<String>,
}

impl From<CheckpointReport> for CheckpointAnswer {
    fn from(report: CheckpointReport) -> Self {
        Self {
            outcome: report.outcome.name(),
            checkpoint_lsn: report.checkpoint_lsn.map(Lsn::get),
            redo_lsn: report.redo_lsn.get(),
            archived_lsn: report.archived_lsn.map(Lsn::get),
            reclaimed_segments: report.reclaimed_segments,
            held_by: report.held_by,
        }
    }
}
