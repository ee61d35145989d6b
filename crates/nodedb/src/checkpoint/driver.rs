//! Carries out what the machine wants, and tells it what came of it.

use super::{
    Action, CheckpointOutcome, Event, Laggard, LastCheckpoint, Outcome, Stage, Trigger, Urgency,
    action::Refusal,
    caller::{Caller, CallerId},
    coordinator::Shared,
    drain::Stop,
    floor_board::{Behind, ProvenRedo},
    machine::Machine,
    round::RoundId,
    steps::{Done, Steps},
    streaks::ROUNDS_MAX,
};
use crate::{Error, log};
use nodedb_bridge::Priority;
use nodedb_control::Shutdown;
use nodedb_data::{Op, Outcome as Answer};
use nodedb_engine::RecordKind;
use nodedb_types::{Lsn, TenantId, VshardId};
use nodedb_wal::LogHealth;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time,
};

/// The answer to a caller.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What handles tell the driver.
#[derive(Debug)]
pub(super) enum Message {
    Request(Caller, Reply<(Trigger, CheckpointOutcome)>),
    Left(CallerId),
    Drain { deadline: Duration, reply: Reply<Stop> },
}

/// The task that owns the machine. It never waits for a disk itself.
#[derive(Debug)]
pub(crate) struct Driver {
    machine: Machine,
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Message>,
    /// Events that are due before anything else.
    events: VecDeque<Event>,
    steps: Steps,
    /// Reclaims and the answers that follow them.
    conclusions: JoinSet<()>,
    callers: BTreeMap<CallerId, Reply<(Trigger, CheckpointOutcome)>>,
    drains: Vec<Reply<Stop>>,
    /// Why vshards declined in the round under way.
    reasons: BTreeMap<VshardId, String>,
    failure: Option<Arc<Error>>,
    stopped: Option<Stop>,
    /// When the last round ended that the amount of log or of memory asked for.
    by_volume: Option<Duration>,
}

/// How often log and vshards are looked at. Reads memory only.
const SAMPLE: Duration = Duration::from_millis(500);
/// Rounds that the log asks for and that follow each other faster are warned of.
const HASTE: Duration = Duration::from_secs(30);

impl Driver {
    pub(super) fn new(
        machine: Machine,
        shared: Arc<Shared>,
        inbox: mpsc::Receiver<Message>,
    ) -> Self {
        Self {
            machine,
            shared,
            inbox,
            events: VecDeque::new(),
            steps: Steps::default(),
            conclusions: JoinSet::new(),
            callers: BTreeMap::new(),
            drains: Vec::new(),
            reasons: BTreeMap::new(),
            failure: None,
            stopped: None,
            by_volume: None,
        }
    }

    /// Serves until shutdown, of which the end of its owner is one.
    pub(crate) async fn run(mut self, mut shutdown: Shutdown) {
        let period = SAMPLE.min(self.shared.parts.schedule.interval);
        let mut samples = time::interval(period);
        samples.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let throttle = Arc::clone(&self.shared.parts.throttle);
        let mut ends = false;
        while !(ends && self.stopped.is_some()) {
            let sleeping = sleep_until(self.machine.wake_at(), self.now());
            tokio::select! {
                () = shutdown.requested(), if !ends => {
                    ends = true;
                    let deadline = self.now() + self.shared.parts.deadline;
                    self.events.push_back(Event::ShutDown { deadline });
                }
                Some(message) = self.inbox.recv() => self.take_message(message),
                Some(done) = self.steps.next() => self.take_done(done),
                Some(_ended) = self.conclusions.join_next() => {}
                () = sleeping => {
                    self.look_at_floors();
                    self.events.push_back(Event::Tick);
                }
                _ = samples.tick(), if self.stopped.is_none() => self.observe(),
                () = throttle.pressed.notified(), if self.stopped.is_none() => self.observe(),
            }
            self.process();
        }
        // The answers of the last round follow its reclaim, which ends with the disk at the latest.
        while self.conclusions.join_next().await.is_some() {}
    }

    fn now(&self) -> Duration {
        self.shared.parts.clock.now()
    }

    /// Feeds the machine until it has nothing more to say.
    fn process(&mut self) {
        while let Some(event) = self.events.pop_front() {
            for action in self.machine.step(event, self.now()) {
                self.carry_out(action);
            }
        }
        self.shared.parts.data.pace(self.machine.rate(self.now()));
        let reasons = self.degraded();
        let mut view = self.shared.view.lock();
        view.phase = self.machine.phase();
        view.reasons = reasons;
    }

    fn take_message(&mut self, message: Message) {
        match message {
            Message::Request(caller, reply) => {
                self.callers.insert(caller.id, reply);
                self.events.push_back(Event::Requested(caller));
            }
            Message::Left(id) => {
                self.callers.remove(&id);
                self.events.push_back(Event::Left(id));
            }
            Message::Drain { deadline, reply } => {
                if let Some(stop) = self.stopped {
                    drop(reply.send(self.stop_answer(stop)));
                } else {
                    self.drains.push(reply);
                    self.events.push_back(Event::ShutDown { deadline });
                }
            }
        }
    }

    fn take_done(&mut self, done: Done) {
        match done {
            Done::Event(event) => {
                if matches!(event, Event::Fenced { .. }) {
                    // Who has nothing to flush is told apart by what is known now.
                    self.look_at_floors();
                }
                self.events.push_back(event);
            }
            Done::Declined { round, vshard, reason } => self.decline(round, vshard, reason),
            Done::Failed { round, stage, error } => {
                tracing::error!(error = error.in_full(), stage = stage.name(), "checkpoint failed");
                self.failure = Some(Arc::new(error));
                let poisoned = self.is_poisoned();
                let failed = Event::Failed { round, stage };
                self.events.push_back(if poisoned { Event::Poisoned } else { failed });
            }
        }
    }

    fn decline(&mut self, round: RoundId, vshard: VshardId, reason: String) {
        self.reasons.insert(vshard, reason);
        self.events.push_back(Event::Declined { round, vshard });
    }

    /// Late proofs count too: the board has them, whoever they were for.
    fn look_at_floors(&mut self) {
        let floors = self.shared.parts.data.floors();
        let reports = floors.iter().map(|known| Event::Reported(self.shared.report(known)));
        self.events.extend(reports);
    }

    fn observe(&mut self) {
        self.look_at_floors();
        let gauge = self.shared.gauge();
        self.shared.tell_throttle(&gauge);
        let event = if self.is_poisoned() { Event::Poisoned } else { Event::Observed(gauge) };
        self.events.push_back(event);
    }

    fn is_poisoned(&self) -> bool {
        self.shared.parts.log.wal().health() == LogHealth::Poisoned
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Fence { round, deadline } => self.fence(round, deadline),
            Action::Flush { round, vshard, barrier, deadline, urgency } => {
                self.flush((round, vshard), barrier, deadline, urgency);
            }
            Action::Record { round, record } => self.record(round, record.encode()),
            Action::Switch { round, redo, record } => self.switch(round, redo, record),
            Action::Conclude { trigger, callers, outcome } => {
                self.conclude(trigger, &callers, outcome);
            }
            Action::Refuse { caller, reason } => self.refuse(caller, reason),
            Action::Stop(stop) => {
                self.stopped = Some(stop);
                for drain in std::mem::take(&mut self.drains) {
                    drop(drain.send(self.stop_answer(stop)));
                }
            }
        }
    }

    fn fence(&mut self, round: RoundId, deadline: Duration) {
        self.reasons.clear();
        self.failure = None;
        let shared = Arc::clone(&self.shared);
        let log = self.shared.parts.log.clone();
        let synced = async move {
            // Before the sync: a mark a little below the barrier estimates too much, never too little.
            let offset = log.wal().log_offset();
            let call = log.blocking(Stage::Fencing.name(), move |wal| Ok(wal.sync(deadline)?));
            let barrier = call.await?;
            if let Some(barrier) = barrier {
                shared.replay.lock().note(barrier, offset);
            }
            Ok(Event::Fenced { round, barrier })
        };
        self.steps.begin(round, Stage::Fencing, synced);
    }

    fn flush(
        &mut self,
        (round, vshard): (RoundId, VshardId),
        barrier: Lsn,
        deadline: Duration,
        urgency: Urgency,
    ) {
        let (priority, hurries) = match urgency {
            Urgency::Lazy => (Priority::Background, false),
            Urgency::Immediate => (Priority::Foreground, true),
        };
        let op = Op::Flush { barrier, hurries };
        let sent = self.shared.parts.data.send(TenantId::SYSTEM, vshard, op, deadline, priority);
        let ticket = match sent {
            Ok(ticket) => ticket,
            Err(error) => return self.decline(round, vshard, error.to_string()),
        };
        let shared = Arc::clone(&self.shared);
        let left = deadline.saturating_sub(self.now());
        self.steps.begin_flush(round, vshard, async move {
            match time::timeout(left, ticket).await {
                Ok(Ok(Ok(Answer::Flushed(known)))) => Ok(Event::Reported(shared.report(&known))),
                Ok(Ok(Ok(_))) => Err("answered something else".to_owned()),
                Ok(Ok(Err(error))) => Err(error.to_string()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_elapsed) => Err(SILENT.to_owned()),
            }
        });
    }

    /// The record and its sync. Recovery reads the floors through CONTROL only, so a record that CONTROL
    /// does not name yet changes nothing; and CONTROL never names one that could be lost.
    fn record(&mut self, round: RoundId, payload: Vec<u8>) {
        let deadline = self.now() + self.shared.parts.deadline;
        let log = self.shared.parts.log.clone();
        let recorded = async move {
            let record = log.blocking(Stage::Recording.name(), move |wal| {
                let record = log::append_housekeeping(wal, RecordKind::Checkpoint, &payload)?;
                wal.wait_durable(record, deadline)?;
                Ok(record)
            });
            Ok(Event::Recorded { round, record: record.await? })
        };
        self.steps.begin(round, Stage::Recording, recorded);
    }

    fn switch(&mut self, round: RoundId, redo: ProvenRedo, record: Lsn) {
        let log = self.shared.parts.log.clone();
        let archived = self.shared.reclaimer.archive().archived();
        let switched = async move {
            let call = log.blocking(Stage::Switching.name(), move |wal| {
                Ok(wal.record_checkpoint(redo.lsn(), record, archived)?)
            });
            call.await?;
            Ok(Event::Switched { round })
        };
        self.steps.begin(round, Stage::Switching, switched);
    }

    /// Rounds that the log asks for again and again cost more than they are worth.
    fn warn_of_haste(&mut self, trigger: Trigger) {
        if !matches!(trigger, Trigger::LogBytes | Trigger::RecoveryTime | Trigger::DirtyBytes) {
            return;
        }
        let now = self.now();
        let last = self.by_volume.replace(now);
        if let Some(pause) = last.map(|last| now.saturating_sub(last)).filter(|one| *one < HASTE) {
            let seconds = pause.as_secs();
            let trigger = trigger.name();
            tracing::warn!(seconds, trigger, "checkpoints follow each other fast: raise the limit");
        }
    }

    fn conclude(&mut self, trigger: Trigger, callers: &[CallerId], outcome: Outcome) {
        self.warn_of_haste(trigger);
        let outcome = self.public(outcome);
        let unix_ms = self.shared.parts.clock.unix_ms();
        let in_words = outcome.as_ref().map_err(|error| error.in_full()).cloned();
        let last = LastCheckpoint { trigger, outcome: in_words, unix_ms };
        self.shared.view.lock().last = Some(Arc::new(last));
        let replies: Vec<_> = callers.iter().filter_map(|id| self.callers.remove(id)).collect();
        let shared = Arc::clone(&self.shared);
        self.conclusions.spawn(async move {
            let outcome = match outcome {
                Ok(outcome) => {
                    let reclaimed = shared.reclaimer.reclaim().await.map(|()| outcome);
                    reclaimed.map_err(Arc::new)
                }
                Err(error) => Err(error),
            };
            log_outcome(trigger, &outcome);
            for reply in replies {
                let answer = outcome.clone().map(|outcome| (trigger, outcome));
                drop(reply.send(answer.map_err(unshared)));
            }
        });
    }

    fn refuse(&mut self, caller: CallerId, reason: Refusal) {
        let error = match (reason, self.is_poisoned()) {
            (Refusal::Stopped, true) => self.poison(),
            (Refusal::Stopped, false) => Error::Closed,
            (Refusal::Busy, _) => Error::CheckpointBusy,
        };
        if let Some(reply) = self.callers.remove(&caller) {
            drop(reply.send(Err(error)));
        }
    }

    fn stop_answer(&self, stop: Stop) -> Result<Stop, Error> {
        match (stop, &self.failure) {
            (Stop::Poisoned, _) => Err(self.poison()),
            (Stop::Drained, Some(failure)) => Err(unshared(Arc::clone(failure))),
            // A round that did not end in time costs recovery time, not data.
            (Stop::Drained, None) | (Stop::Overdue, _) => Ok(stop),
        }
    }

    /// Why the log is poisoned.
    fn poison(&self) -> Error {
        let wal = self.shared.parts.log.wal();
        let next = Lsn::after(wal.appended());
        let error = wal.wait_durable(next, self.now()).err();
        error.map_or_else(|| Error::internal("the log is poisoned"), Error::from)
    }

    fn public(&self, outcome: Outcome) -> Result<CheckpointOutcome, Arc<Error>> {
        match outcome {
            Outcome::Advanced { redo } => Ok(CheckpointOutcome::Advanced { redo }),
            Outcome::Unchanged => Ok(CheckpointOutcome::Unchanged),
            Outcome::Blocked { by: Behind { vshard, engine, lsn }, since, behind } => {
                let since_unix_ms = self.unix_ms(since);
                let behind = self.laggards(&behind);
                Ok(CheckpointOutcome::Blocked { vshard, engine, lsn, since_unix_ms, behind })
            }
            Outcome::Failed { stage } => Err(self.failure.clone().unwrap_or_else(|| {
                let stage = stage.name();
                let poisoned = self.is_poisoned();
                let source = if poisoned { self.poison() } else { Error::Timeout };
                Arc::new(Error::Checkpoint { stage, source: Arc::new(source) })
            })),
        }
    }

    /// One entry for each vshard: its lowest engine.
    fn laggards(&self, behind: &[Behind]) -> Vec<Laggard> {
        let mut laggards: Vec<Laggard> = Vec::new();
        for Behind { vshard, engine, lsn } in behind {
            if laggards.iter().all(|known| known.vshard != *vshard) {
                let reason = self.reasons.get(vshard).map_or(SILENT, String::as_str).to_owned();
                laggards.push(Laggard { vshard: *vshard, engine: *engine, lsn: *lsn, reason });
            }
        }
        laggards
    }

    /// A time of the machine on the wall clock.
    fn unix_ms(&self, at: Duration) -> u64 {
        let ago = self.now().saturating_sub(at).as_millis();
        let clock = &self.shared.parts.clock;
        clock.unix_ms().saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX))
    }

    fn degraded(&self) -> Vec<String> {
        let stuck = self.machine.streaks().stuck().map(|(vshard, engine, streak)| {
            let engine = engine.name();
            format!(
                "vshard {vshard}: {engine} held back {} checkpoints in a row since {} ms",
                streak.rounds,
                self.unix_ms(streak.since)
            )
        });
        let mut reasons: Vec<_> = stuck.collect();
        let failures = self.machine.failures();
        if failures >= ROUNDS_MAX {
            let last = self.shared.view.lock().last.clone();
            let why = last.and_then(|last| last.outcome.clone().err()).unwrap_or_default();
            reasons.push(format!("{failures} checkpoints in a row failed: {why}"));
        }
        reasons
    }
}

const SILENT: &str = "silent until the deadline";

async fn sleep_until(wake: Option<Duration>, now: Duration) {
    match wake {
        Some(wake) => time::sleep(wake.saturating_sub(now)).await,
        None => std::future::pending().await,
    }
}

/// The same failure for each of those who waited for it.
fn unshared(error: Arc<Error>) -> Error {
    Arc::try_unwrap(error).unwrap_or_else(|error| {
        if let Error::Checkpoint { stage, source } = error.as_ref() {
            Error::Checkpoint { stage, source: Arc::clone(source) }
        } else {
            Error::Checkpoint { stage: "running", source: error }
        }
    })
}

fn log_outcome(trigger: Trigger, outcome: &Result<CheckpointOutcome, Arc<Error>>) {
    let trigger = trigger.name();
    match outcome {
        Ok(outcome @ CheckpointOutcome::Blocked { vshard, engine, .. }) => {
            let (outcome, engine) = (outcome.name(), engine.name());
            tracing::warn!(outcome, trigger, vshard_id = %vshard, engine, "checkpoint");
        }
        Ok(outcome) => tracing::info!(outcome = outcome.name(), trigger, "checkpoint"),
        Err(error) => tracing::error!(error = error.in_full(), trigger, "checkpoint"),
    }
}
