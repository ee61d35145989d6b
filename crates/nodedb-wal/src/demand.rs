//! What was asked of the log and may not be done yet.

use crate::commit::Goal;
use nodedb_types::Lsn;
use std::time::Duration;

/// Wishes of all callers together. Part of the stage, changed under its lock. A wish reaches no further
/// than what is appended; what is done already is no wish any more, and is told from it by position.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    /// Up to here somebody wants the records written, and durable.
    pub(crate) write: Option<Lsn>,
    pub(crate) sync: Option<Lsn>,
    /// When a `Periodic` append must be synced.
    pub(crate) due: Option<Duration>,
    /// Whether somebody waits to be written and for no more.
    pub(crate) flushes: bool,
}

impl Demand {
    /// Somebody waits for records up to this one.
    pub(crate) fn wait(&mut self, goal: Goal, up_to: Option<Lsn>) {
        match goal {
            Goal::Written => {
                self.flushes = true;
                self.write = self.write.max(up_to);
            }
            Goal::Durable => self.sync = self.sync.max(up_to),
        }
    }

    /// A sync is due at that time of the clock, or before.
    pub(crate) fn due_at(&mut self, due: Duration) {
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// The time has come: everything up to here is to be synced.
    pub(crate) fn come_due(&mut self, up_to: Option<Lsn>) {
        self.due = None;
        self.sync = self.sync.max(up_to);
    }
}
