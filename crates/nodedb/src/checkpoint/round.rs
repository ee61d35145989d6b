//! One round of a checkpoint: from its fence to its answer.

use super::{
    Trigger, Urgency, caller::Caller, floor_board::ProvenRedo, flushing::Flushing, pace::Pace,
};
use nodedb_types::Lsn;
use std::time::Duration;

/// Which round: an answer to an earlier one is no answer to this one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct RoundId(u64);

impl RoundId {
    pub(crate) const FIRST: Self = Self(1);

    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A round under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Round {
    pub(crate) id: RoundId,
    pub(crate) trigger: Trigger,
    pub(crate) urgency: Urgency,
    /// How its flushes are spread while it is lazy.
    pub(crate) pace: Pace,
    /// When fence and flushes must have ended: one absolute time for all vshards together.
    pub(crate) deadline: Duration,
    /// Who waits for it.
    pub(crate) callers: Vec<Caller>,
    pub(crate) step: Step,
}

/// Where a round is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Step {
    /// The log is being made durable; what is durable then is the barrier.
    Fencing,
    /// The vshards flush up to the barrier.
    Flushing(Flushing),
    /// The record is being logged and synced.
    Recording { barrier: Lsn, redo: ProvenRedo },
    /// Both slots of CONTROL are being written.
    Switching { barrier: Lsn, redo: ProvenRedo, record: Lsn },
}

impl Step {
    /// What happens in it, in words.
    pub(crate) const fn stage(&self) -> Stage {
        match self {
            Self::Fencing => Stage::Fencing,
            Self::Flushing(_) => Stage::Flushing,
            Self::Recording { .. } => Stage::Recording,
            Self::Switching { .. } => Stage::Switching,
        }
    }
}

impl Round {
    /// Whether a caller who wants everything up to a record is served by this round. Before the barrier is
    /// known he joins; [`Round::fenced`] sends away whom it does not cover.
    pub(crate) fn covers(&self, wants: Option<Lsn>) -> bool {
        match &self.step {
            Step::Fencing => true,
            Step::Flushing(flushing) => wants <= Some(flushing.barrier()),
            Step::Recording { barrier, .. } | Step::Switching { barrier, .. } => {
                wants <= Some(*barrier)
            }
        }
    }

    /// When the clock makes the next flush of a lazy round due.
    pub(crate) fn next_flush(&self) -> Option<Duration> {
        match &self.step {
            Step::Flushing(flushing) if self.urgency == Urgency::Lazy && flushing.has_unasked() => {
                Some(self.pace.due_at(flushing.begun(), flushing.of()))
            }
            Step::Fencing | Step::Flushing(_) | Step::Recording { .. } | Step::Switching { .. } => {
                None
            }
        }
    }

    /// Takes the callers whom a barrier does not cover.
    pub(crate) fn uncovered(&mut self, barrier: Option<Lsn>) -> Vec<Caller> {
        let (covered, others) = self.callers.drain(..).partition(|caller| caller.wants <= barrier);
        self.callers = covered;
        others
    }
}

/// The steps of a round that can fail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Stage {
    Fencing,
    Flushing,
    Recording,
    Switching,
}

impl Stage {
    /// What was being done, for messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fencing => "syncing the log",
            Self::Flushing => "flushing the vshards",
            Self::Recording => "recording",
            Self::Switching => "switching CONTROL",
        }
    }
}
