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
    /// The same for what the pass in flight writes or finds written, until it decides whether it syncs. Kept
    /// apart from what is appended meanwhile: that is not due because this was, or one append that comes due
    /// under load would have every pass after it synced.
    in_flight_due: Option<Duration>,
    /// The last turn in which somebody waits to be written and for no more.
    pub(crate) flush_turn: Option<usize>,
}

impl Demand {
    /// Somebody waits for records up to this one.
    pub(crate) fn wait(&mut self, goal: Goal, up_to: Option<Lsn>) {
        match goal {
            Goal::Written => self.write = self.write.max(up_to),
            Goal::Durable => self.sync = self.sync.max(up_to),
        }
    }

    /// A sync is due at that time of the clock, or before.
    pub(crate) fn due_at(&mut self, due: Duration) {
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// A pass over everything staged begins.
    pub(crate) const fn begin_pass(&mut self) {
        self.in_flight_due = self.due.take();
    }

    /// The pass has written, and syncs or not.
    pub(crate) fn decide(&mut self, sync: bool) {
        if let Some(due) = self.in_flight_due.take().filter(|_| !sync) {
            self.due_at(due);
        }
    }

    /// Whether anything is due, also of the pass in flight.
    pub(crate) fn is_due(&self, now: impl Fn() -> Duration) -> bool {
        [self.due, self.in_flight_due].into_iter().flatten().any(|due| due <= now())
    }

    /// The time has come: everything up to here is to be synced.
    pub(crate) fn come_due(&mut self, up_to: Option<Lsn>) {
        self.due = None;
        self.sync = self.sync.max(up_to);
    }
}
