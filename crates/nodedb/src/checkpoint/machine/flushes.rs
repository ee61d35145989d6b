//! The flushes of a round: begun by its fence, spread by its pace, ended by proofs, refusals or its deadline.

use super::{Machine, Phase};
use crate::checkpoint::{
    Action, Outcome, Stage, Urgency,
    flushing::Flushing,
    round::{Round, RoundId, Step},
};
use nodedb_types::{Lsn, VshardId};
use std::time::Duration;

impl Machine {
    pub(super) fn fenced(
        &mut self,
        id: RoundId,
        barrier: Option<Lsn>,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let Some(round) = self.round_in(id, Stage::Fencing) else {
            return;
        };
        let uncovered = round.uncovered(barrier);
        self.queue.extend(uncovered);
        let Some(barrier) = barrier.filter(|barrier| !self.is_settled(*barrier)) else {
            return self.conclude(Outcome::Unchanged, now, actions);
        };
        let (idle, dirty) = self.board.by_floor(barrier);
        #[cfg(test)]
        self.board.note_asked();
        if let Some(round) = self.round_in(id, Stage::Fencing) {
            round.step = Step::Flushing(Flushing::new(barrier, &idle, &dirty));
        }
        self.ask(idle, now, actions);
        self.ask_due(now, actions);
    }

    /// Asks whoever should have begun by now. Nobody who is being asked holds up the others: one that is
    /// silent delays nothing but the end.
    pub(super) fn ask_due(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let gauge = self.gauge;
        let Phase::Running(Round { step: Step::Flushing(flushing), urgency, pace, .. }) =
            &mut self.phase
        else {
            return;
        };
        let of = flushing.of();
        let begun = if *urgency == Urgency::Lazy { pace.due(&gauge, now, of) } else { of };
        let due = flushing.take_due(begun);
        self.ask(due, now, actions);
    }

    /// Makes a lazy round one that hurries: everybody is asked at once, also those who were asked to take
    /// their time.
    pub(super) fn hurry(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let limit = now + self.limit;
        let Phase::Running(round) = &mut self.phase else {
            return;
        };
        if round.urgency == Urgency::Immediate {
            return;
        }
        round.urgency = Urgency::Immediate;
        round.deadline = round.deadline.min(limit);
        if let Step::Flushing(flushing) = &mut round.step {
            let all = flushing.take_all();
            self.ask(all, now, actions);
        }
    }

    fn ask(&self, vshards: Vec<VshardId>, now: Duration, actions: &mut Vec<Action>) {
        let Phase::Running(round) = &self.phase else {
            return;
        };
        let Step::Flushing(flushing) = &round.step else {
            return;
        };
        let (round, barrier) = (round, flushing.barrier());
        let Round { id, urgency, .. } = *round;
        // A flush that takes its time has its share of the whole for it.
        let slot = match urgency {
            Urgency::Lazy => round.pace.slot(flushing.of()),
            Urgency::Immediate => Duration::ZERO,
        };
        let deadline = round.deadline.min(now + slot + self.limit);
        let flush = |vshard| Action::Flush { round: id, vshard, barrier, deadline, urgency };
        actions.extend(vshards.into_iter().map(flush));
    }

    /// Bytes per second that flushes and merges may write now; `None` for as fast as they can.
    pub(crate) fn rate(&self, now: Duration) -> Option<u64> {
        let Phase::Running(round) = &self.phase else {
            return None;
        };
        let Step::Flushing(flushing) = &round.step else {
            return None;
        };
        let share = (flushing.left(), flushing.of());
        (round.urgency == Urgency::Lazy).then(|| round.pace.rate(&self.gauge, now, share))
    }

    /// Whether the barrier is the last record itself and everything below it is flushed: the log has
    /// nothing else, so nobody need be asked.
    fn is_settled(&self, barrier: Lsn) -> bool {
        self.recorded == Some(barrier) && self.redo == barrier
    }

    pub(super) fn declined(
        &mut self,
        id: RoundId,
        vshard: VshardId,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        #[cfg(test)]
        self.board.note_declined(vshard);
        if let Some(Round { step: Step::Flushing(flushing), .. }) =
            self.round_in(id, Stage::Flushing)
        {
            flushing.end(vshard);
            self.decide_if_complete(now, actions);
        }
    }

    /// A report may be what the round waits for.
    pub(super) fn settle(&mut self, vshard: VshardId, now: Duration, actions: &mut Vec<Action>) {
        let Phase::Running(Round { step: Step::Flushing(flushing), .. }) = &mut self.phase else {
            return;
        };
        if self.board.reaches(vshard, flushing.barrier()) {
            #[cfg(test)]
            self.board.note_answered(vshard);
            flushing.end(vshard);
            self.decide_if_complete(now, actions);
        }
    }

    fn decide_if_complete(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if let Phase::Running(Round { step: Step::Flushing(flushing), .. }) = &self.phase
            && flushing.is_complete()
        {
            self.decide(now, actions);
        }
    }

    /// The end of the flushes: all have answered, or the deadline is here. Who has not counts at its
    /// last proof.
    pub(super) fn decide(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let Phase::Running(round) = &mut self.phase else {
            return;
        };
        let Step::Flushing(flushing) = &round.step else {
            return;
        };
        let barrier = flushing.barrier();
        let redo = self.board.proven_redo(barrier);
        let changed = self.board.is_changed(self.redo, Some(barrier));
        // Nothing is recorded that would not move recovery's start: a round that repeats for a stuck
        // engine must not fill the log.
        if changed && redo.lsn() > self.redo {
            let record = self.board.record(barrier, redo);
            round.step = Step::Recording { barrier, redo };
            actions.push(Action::Record { round: round.id, record });
            return;
        }
        let outcome = self.judge(barrier, Outcome::Unchanged, now);
        self.conclude(outcome, now, actions);
    }

    /// The outcome for a barrier: blocked if anybody is behind it, else as given.
    pub(super) fn judge(&mut self, barrier: Lsn, otherwise: Outcome, now: Duration) -> Outcome {
        let behind = self.board.behind(barrier);
        self.streaks.note(&behind, now);
        let Some(by) = behind.first().copied() else {
            return otherwise;
        };
        let since = self.streaks.since(by).unwrap_or(now);
        Outcome::Blocked { by, since, behind }
    }
}
