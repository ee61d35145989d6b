//! The checkpointer as a pure state machine: events in, actions out, no I/O and no clock.
//!
//! `Idle -> Fencing -> Flushing -> Recording -> Switching -> Idle`, with a pause after a round that did
//! not get through, and one final round at shutdown. Whoever carries out its actions may be late, may
//! repeat himself or stay silent: floors are facts, merged by maximum, and an answer to another round is
//! no answer to this one.

use super::{
    Action, Event, Gauge, Outcome, Schedule, Stage, Trigger, Urgency,
    action::Refusal,
    backoff::Backoff,
    caller::{CALLERS_MAX, Caller, CallerId},
    drain::{Drain, Stop},
    floor_board::{FloorBoard, ProvenRedo},
    pace::Pace,
    round::{Round, RoundId, Step},
    streaks::Streaks,
};
use nodedb_types::Lsn;
use std::time::Duration;

/// The coordinator of checkpoints. At most one round is under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Machine {
    /// Longest time that fence and flushes of one round take together.
    limit: Duration,
    schedule: Schedule,
    board: FloorBoard,
    /// As both slots of CONTROL hold it.
    redo: Lsn,
    /// The record that CONTROL names.
    recorded: Option<Lsn>,
    phase: Phase,
    /// Who waits for the round after this one.
    queue: Vec<Caller>,
    next_round: RoundId,
    last_start: Duration,
    backoff: Backoff,
    streaks: Streaks,
    /// Rounds in a row that failed.
    failures: u32,
    drain: Option<Drain>,
    /// How log and vshards were when they were last looked at.
    gauge: Gauge,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Phase {
    Idle,
    Backoff { until: Duration },
    Running(Round),
    Stopped(Stop),
}

/// What a machine starts with.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) limit: Duration,
    pub(crate) schedule: Schedule,
    pub(crate) board: FloorBoard,
    pub(crate) redo: Lsn,
    pub(crate) recorded: Option<Lsn>,
    pub(crate) now: Duration,
}

impl Machine {
    pub(crate) fn new(start: Start) -> Self {
        let Start { limit, schedule, board, redo, recorded, now } = start;
        Self {
            limit,
            schedule,
            board,
            redo,
            recorded,
            phase: Phase::Idle,
            queue: Vec::new(),
            next_round: RoundId::FIRST,
            last_start: now,
            backoff: Backoff::default(),
            streaks: Streaks::default(),
            failures: 0,
            drain: None,
            gauge: Gauge::default(),
        }
    }

    /// Takes in an event and says what is to be done. Events of rounds that are over change nothing but
    /// the floors.
    pub(crate) fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Phase::Stopped(_) = self.phase {
            if let Event::Requested(caller) = event {
                refuse(caller, Refusal::Stopped, &mut actions);
            }
            return actions;
        }
        match event {
            Event::Tick => {}
            Event::Observed(gauge) => self.observed(gauge, now, &mut actions),
            Event::Requested(caller) => self.requested(caller, now, &mut actions),
            Event::Left(caller) => self.left(caller),
            Event::Fenced { round, barrier } => self.fenced(round, barrier, now, &mut actions),
            Event::Reported(report) => {
                self.board.merge(report);
                self.settle(report.vshard, now, &mut actions);
            }
            Event::Declined { round, vshard } => self.declined(round, vshard, now, &mut actions),
            Event::Recorded { round, record } => self.recorded(round, record, &mut actions),
            Event::Switched { round } => self.switched(round, now, &mut actions),
            Event::Failed { round, stage } => self.failed(round, stage, now, &mut actions),
            Event::Poisoned => self.stop(Stop::Poisoned, &mut actions),
            Event::ShutDown { deadline } => self.shut_down(deadline, now, &mut actions),
        }
        self.pass_time(now, &mut actions);
        actions
    }

    /// When time alone changes something: a `Tick` is due then.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        let own = match &self.phase {
            Phase::Stopped(_) => return None,
            Phase::Backoff { until } => Some(*until),
            Phase::Running(round) if matches!(round.step, Step::Flushing(_)) => {
                Some(round.next_flush().map_or(round.deadline, |due| due.min(round.deadline)))
            }
            Phase::Idle | Phase::Running(_) => None,
        };
        let drain = self.drain.map(|drain| drain.deadline);
        own.into_iter().chain(drain).min()
    }

    /// What it is doing, in a word.
    pub(crate) const fn phase(&self) -> &'static str {
        match &self.phase {
            Phase::Stopped(_) => "stopped",
            _ if self.drain.is_some() => "draining",
            Phase::Idle => "idle",
            Phase::Backoff { .. } => "backoff",
            Phase::Running(round) => match round.step {
                Step::Fencing => "fencing",
                Step::Flushing(_) => "flushing",
                Step::Recording { .. } => "recording",
                Step::Switching { .. } => "switching",
            },
        }
    }

    pub(crate) const fn streaks(&self) -> &Streaks {
        &self.streaks
    }

    /// Rounds in a row that failed.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    fn observed(&mut self, gauge: Gauge, now: Duration, actions: &mut Vec<Action>) {
        self.gauge = gauge;
        if matches!(self.phase, Phase::Running(_)) {
            if self.schedule.urgency(&gauge) == Urgency::Immediate {
                self.hurry(now, actions);
            }
            return;
        }
        if self.phase != Phase::Idle || self.drain.is_some() {
            return;
        }
        let changed = self.board.is_changed(self.redo, None);
        let since_start = now.saturating_sub(self.last_start);
        if let Some((trigger, urgency)) = self.schedule.due(&gauge, changed, since_start) {
            self.start(trigger, urgency, now, actions);
        }
    }

    fn requested(&mut self, caller: Caller, now: Duration, actions: &mut Vec<Action>) {
        if self.drain.is_some() {
            return refuse(caller, Refusal::Stopped, actions);
        }
        if self.waiting() >= CALLERS_MAX {
            return refuse(caller, Refusal::Busy, actions);
        }
        // Also for one who waits for the next round: it begins when this one ends.
        if caller.urgency == Urgency::Immediate {
            self.hurry(now, actions);
        }
        match &mut self.phase {
            Phase::Running(round) if round.covers(caller.wants) => {
                round.callers.push(caller);
                return;
            }
            Phase::Idle | Phase::Backoff { .. } | Phase::Running(_) | Phase::Stopped(_) => {
                self.queue.push(caller);
            }
        }
        let waits = matches!(self.phase, Phase::Backoff { .. }) && caller.urgency == Urgency::Lazy;
        if !waits {
            self.start_queued(now, actions);
        }
    }

    fn waiting(&self) -> usize {
        let joined = if let Phase::Running(round) = &self.phase { round.callers.len() } else { 0 };
        joined + self.queue.len()
    }

    fn left(&mut self, id: CallerId) {
        self.queue.retain(|caller| caller.id != id);
        if let Phase::Running(round) = &mut self.phase {
            round.callers.retain(|caller| caller.id != id);
        }
    }

    /// Starts a round for all who wait for the next one, unless one runs.
    fn start_queued(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let urgency = self.queue.iter().map(|caller| caller.urgency).max();
        if let Some(urgency) = urgency
            && !matches!(self.phase, Phase::Running(_))
        {
            self.start(Trigger::Request, urgency, now, actions);
        }
    }

    fn start(
        &mut self,
        trigger: Trigger,
        urgency: Urgency,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        assert!(!matches!(self.phase, Phase::Running(_)), "one round at a time");
        let id = self.next_round;
        self.next_round = id.next();
        self.last_start = now;
        let pace = Pace::new(&self.schedule, self.gauge, now);
        let limit = now + self.limit;
        let limit = self.drain.map_or(limit, |drain| drain.flushes_until(now).min(limit));
        let spread = if urgency == Urgency::Lazy { pace.span() } else { Duration::ZERO };
        let (deadline, step) = (limit + spread, Step::Fencing);
        let callers = std::mem::take(&mut self.queue);
        self.phase = Phase::Running(Round { id, trigger, urgency, pace, deadline, callers, step });
        actions.push(Action::Fence { round: id, deadline: limit });
    }

    fn recorded(&mut self, id: RoundId, record: Lsn, actions: &mut Vec<Action>) {
        let Some(round) = self.round_in(id, Stage::Recording) else {
            return;
        };
        let Step::Recording { barrier, redo } = round.step else {
            return;
        };
        assert!(record > barrier, "the record follows what it tells of");
        round.step = Step::Switching { barrier, redo, record };
        actions.push(Action::Switch { round: id, redo, record });
    }

    fn switched(&mut self, id: RoundId, now: Duration, actions: &mut Vec<Action>) {
        let Some(round) = self.round_in(id, Stage::Switching) else {
            return;
        };
        let Step::Switching { barrier, redo, record } = round.step else {
            return;
        };
        self.hold(redo, record);
        let outcome = self.judge(barrier, Outcome::Advanced { redo: redo.lsn() }, now);
        self.conclude(outcome, now, actions);
    }

    /// Both slots of CONTROL hold it.
    fn hold(&mut self, redo: ProvenRedo, record: Lsn) {
        assert!(redo.lsn() > self.redo, "the redo position never falls");
        self.redo = redo.lsn();
        self.recorded = Some(record);
    }

    fn failed(&mut self, id: RoundId, stage: Stage, now: Duration, actions: &mut Vec<Action>) {
        if self.round_in(id, stage).is_some() {
            self.conclude(Outcome::Failed { stage }, now, actions);
        }
    }

    /// The round under way, if it is this one and in this stage: an answer that comes late or twice is
    /// none.
    fn round_in(&mut self, id: RoundId, stage: Stage) -> Option<&mut Round> {
        let Phase::Running(round) = &mut self.phase else {
            return None;
        };
        (round.id == id && round.step.stage() == stage).then_some(round)
    }

    fn conclude(&mut self, outcome: Outcome, now: Duration, actions: &mut Vec<Action>) {
        let Phase::Running(round) = std::mem::replace(&mut self.phase, Phase::Idle) else {
            return;
        };
        let failed = matches!(outcome, Outcome::Failed { .. });
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        let got_through = matches!(outcome, Outcome::Advanced { .. } | Outcome::Unchanged);
        answer(round, outcome, actions);
        if got_through {
            self.backoff.reset();
        } else {
            self.phase = Phase::Backoff { until: now + self.backoff.grow() };
        }
        self.go_on(now, actions);
    }

    /// What follows a round: the end of a shutdown, or whoever waits for the next one.
    fn go_on(&mut self, now: Duration, actions: &mut Vec<Action>) {
        match self.drain {
            Some(Drain { is_final: true, .. }) => self.stop(Stop::Drained, actions),
            Some(Drain { deadline, .. }) => {
                self.drain = Some(Drain { deadline, is_final: true });
                self.start(Trigger::Shutdown, Urgency::Immediate, now, actions);
            }
            None => {
                let waits = matches!(self.phase, Phase::Backoff { .. });
                let hurries = self.queue.iter().any(|caller| caller.urgency == Urgency::Immediate);
                if !waits || hurries {
                    self.start_queued(now, actions);
                }
            }
        }
    }

    /// A lazy round that has written nothing yet is given up for the final one, which asks for more;
    /// any other one is let end first.
    fn shut_down(&mut self, deadline: Duration, now: Duration, actions: &mut Vec<Action>) {
        if self.drain.is_some() {
            return;
        }
        self.drain = Some(Drain { deadline, is_final: false });
        if let Phase::Running(round) = &mut self.phase {
            let written = matches!(round.step, Step::Recording { .. } | Step::Switching { .. });
            if written || round.urgency == Urgency::Immediate {
                return;
            }
            self.queue.append(&mut round.callers);
            self.phase = Phase::Idle;
        }
        self.go_on(now, actions);
    }

    fn pass_time(&mut self, now: Duration, actions: &mut Vec<Action>) {
        match &self.phase {
            Phase::Running(round) if matches!(round.step, Step::Flushing(_)) => {
                if now >= round.deadline {
                    self.decide(now, actions);
                } else {
                    self.ask_due(now, actions);
                }
            }
            Phase::Backoff { until } if now >= *until => {
                self.phase = Phase::Idle;
                self.start_queued(now, actions);
            }
            Phase::Idle | Phase::Backoff { .. } | Phase::Running(_) | Phase::Stopped(_) => {}
        }
        if let Some(drain) = self.drain
            && now >= drain.deadline
            && !matches!(self.phase, Phase::Stopped(_))
        {
            self.stop(Stop::Overdue, actions);
        }
    }

    /// Nothing follows. Whoever waits is told, and nothing is reclaimed any more.
    fn stop(&mut self, stop: Stop, actions: &mut Vec<Action>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Stopped(stop));
        if let Phase::Running(round) = phase {
            let stage = round.step.stage();
            answer(round, Outcome::Failed { stage }, actions);
        }
        let queue = std::mem::take(&mut self.queue);
        for caller in queue {
            refuse(caller, Refusal::Stopped, actions);
        }
        actions.push(Action::Stop(stop));
    }
}

fn answer(round: Round, outcome: Outcome, actions: &mut Vec<Action>) {
    let callers = round.callers.into_iter().map(|caller| caller.id).collect();
    actions.push(Action::Conclude { trigger: round.trigger, callers, outcome });
}

fn refuse(caller: Caller, reason: Refusal, actions: &mut Vec<Action>) {
    actions.push(Action::Refuse { caller: caller.id, reason });
}

mod flushes;
#[cfg(test)]
mod tests;
