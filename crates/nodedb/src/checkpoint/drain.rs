//! The end of a checkpointer.

use std::time::Duration;

/// Why nothing follows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Stop {
    /// The final round has ended.
    Drained,
    /// It had not by its deadline.
    Overdue,
    /// The log is poisoned.
    Poisoned,
}

/// A shutdown under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Drain {
    pub(crate) deadline: Duration,
    /// Whether the round under way is the final one.
    pub(crate) is_final: bool,
}

impl Drain {
    /// When the flushes of a round that begins now must have ended: a quarter of what is left is for the
    /// record and CONTROL, or a slow vshard would cost the whole round.
    pub(crate) fn flushes_until(&self, now: Duration) -> Duration {
        now + self.deadline.saturating_sub(now) / 4 * 3
    }
}
