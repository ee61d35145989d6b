//! The checkpointer as the rest of the database sees it.

use super::{
    ArchiveGate, CheckpointOutcome, CheckpointReport, CheckpointStatus, Life, Replay, ReplayWork,
    Schedule, Trigger, Urgency,
    caller::{Caller, CallerId},
    drain::Stop,
    driver::{Driver, Message},
    floor_board::{EngineFloors, FloorBoard, Report, VshardMissing},
    machine::{Machine, Start},
    reclaimer::Reclaimer,
    schedule::Gauge,
    view::View,
};
use crate::{
    Error,
    log::LogHandle,
    throttle::{LogBounds, Throttle},
};
use nodedb_data::{DataHandle, VshardFloors};
use nodedb_engine::{EngineKind, Floor};
use nodedb_env::Clock;
use nodedb_types::Lsn;
use nodedb_wal::LogHealth;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// What a checkpointer is made of.
#[derive(Debug)]
pub(crate) struct CheckpointerParts {
    pub(crate) log: LogHandle,
    pub(crate) data: DataHandle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) vshards: u16,
    pub(crate) cores: u16,
    /// This open: reports of an earlier one count for nothing.
    pub(crate) life: Life,
    pub(crate) archive: ArchiveGate,
    /// Longest time that one checkpoint waits for all vshards together.
    pub(crate) deadline: Duration,
    pub(crate) schedule: Schedule,
    pub(crate) replay: Replay,
    /// What is told how large the log is.
    pub(crate) throttle: Arc<Throttle>,
}

/// A handle of the checkpointer of a database, whose driver runs as a task.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    mailbox: mpsc::Sender<Message>,
    pub(super) shared: Arc<Shared>,
    next_caller: AtomicU64,
}

/// What handle and driver share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) parts: CheckpointerParts,
    pub(super) reclaimer: Reclaimer,
    pub(super) replay: Mutex<Replay>,
    pub(super) view: Mutex<View>,
}

/// Messages on their way to the driver; more wait for it.
const MAILBOX: usize = 64;

impl Checkpointer {
    /// The handle and the driver that is to be spawned. `last` is the record that CONTROL names.
    ///
    /// # Errors
    /// [`VshardMissing`] if a vshard has no floors: without them nothing could be deleted safely.
    pub(crate) fn new(
        parts: CheckpointerParts,
        last: Option<Lsn>,
    ) -> Result<(Self, Driver), VshardMissing> {
        let floors: Vec<_> =
            parts.data.floors().iter().map(|known| report(known, parts.life)).collect();
        let board = FloorBoard::new(parts.vshards, &floors)?;
        let machine = Machine::new(Start {
            limit: parts.deadline,
            schedule: parts.schedule,
            board,
            redo: parts.log.wal().control().redo,
            recorded: last,
            now: parts.clock.now(),
        });
        let reclaimer = Reclaimer::new(parts.log.clone(), parts.archive.clone());
        let view = View { phase: machine.phase(), last: None, reasons: Vec::new() };
        let replay = Mutex::new(parts.replay.clone());
        let shared = Arc::new(Shared { parts, reclaimer, replay, view: Mutex::new(view) });
        let (mailbox, inbox) = mpsc::channel(MAILBOX);
        let driver = Driver::new(machine, Arc::clone(&shared), inbox);
        Ok((Self { mailbox, shared, next_caller: AtomicU64::new(0) }, driver))
    }

    pub(crate) fn reclaimer(&self) -> &Reclaimer {
        &self.shared.reclaimer
    }

    /// A checkpoint of everything that is in the log now: joins a round that covers it, else waits for
    /// exactly one more.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] names the step that failed; [`Error::Closed`] after a shutdown.
    ///
    /// # Cancel safety
    /// A dropped caller leaves; the round goes on, and what it has recorded stands.
    pub(crate) async fn checkpoint(&self, urgency: Urgency) -> Result<CheckpointReport, Error> {
        let before = self.shared.reclaimer.segments();
        let id = CallerId::new(self.next_caller.fetch_add(1, Ordering::Relaxed));
        let wants = self.shared.parts.log.wal().appended();
        let (reply, answer) = oneshot::channel();
        let caller = Caller { id, urgency, wants };
        let message = Message::Request(caller, reply);
        self.mailbox.send(message).await.map_err(|_gone| Error::Closed)?;
        let _leaves = Leaves { mailbox: &self.mailbox, id };
        let (trigger, outcome) = answer.await.unwrap_or(Err(Error::Closed))?;
        Ok(self.report(trigger, outcome, before))
    }

    fn report(
        &self,
        trigger: Trigger,
        outcome: CheckpointOutcome,
        before: u64,
    ) -> CheckpointReport {
        let control = self.shared.parts.log.wal().control();
        CheckpointReport {
            outcome,
            trigger,
            checkpoint_lsn: control.checkpoint_record,
            redo_lsn: control.redo,
            archived_lsn: self.shared.reclaimer.archive().archived(),
            reclaimed_segments: self.shared.reclaimer.segments().saturating_sub(before),
            held_by: self.shared.reclaimer.held_by(),
        }
    }

    /// Ends the rounds with a final one, within a time. Afterwards nobody is served.
    ///
    /// # Errors
    /// The failure of the final round; what it could not do costs recovery time, not data.
    pub(crate) async fn drain(&self, within: Duration) -> Result<Stop, Error> {
        let deadline = self.shared.parts.clock.now() + within;
        let (reply, answer) = oneshot::channel();
        let message = Message::Drain { deadline, reply };
        self.mailbox.send(message).await.map_err(|_gone| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    pub(crate) fn status(&self) -> CheckpointStatus {
        let gauge = self.shared.gauge();
        let view = self.shared.view.lock().clone();
        CheckpointStatus {
            phase: view.phase,
            log_age: self.shared.parts.schedule.age(&gauge),
            last: view.last.map(|last| last.as_ref().clone()),
        }
    }

    /// How long recovery would take now.
    pub(crate) fn recovery_time(&self) -> Duration {
        self.shared.gauge().recovery
    }

    /// Why the health is degraded, if checkpoints are a reason.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.shared.view.lock().reasons.clone()
    }
}

impl Shared {
    /// How log and vshards are now. Reads memory only.
    pub(super) fn gauge(&self) -> Gauge {
        let wal = self.parts.log.wal();
        let redo = wal.control().redo;
        let segments = wal.segments();
        let kept = segments.iter().filter(|segment| segment.last_lsn >= Some(redo));
        let by_segments = kept.map(|segment| segment.bytes).sum();
        let floors = self.parts.data.floors();
        let dirty = || floors.iter().filter_map(|known| known.dirty);
        let all = records(redo, wal.durable());
        // At most its share of all that came since its oldest dirty record, and as many as fit in memory: the
        // catalog's engine alone may have lacked a record for long.
        let lacking: u64 =
            dirty().map(|dirty| records(dirty.oldest.max(redo), wal.durable())).sum();
        let replay = self.replay.lock();
        let log_bytes = replay.bytes(redo, wal.log_offset(), by_segments);
        let dirty_bytes: u64 = dirty().map(|dirty| dirty.bytes as u64).sum();
        let lacking = lacking / (floors.len() as u64).max(1);
        let all =
            ReplayWork { bytes: log_bytes, records: all, applied: 0, cores: self.parts.cores };
        let work = ReplayWork { applied: all.dirty_records(dirty_bytes).min(lacking), ..all };
        Gauge {
            log_bytes,
            recovery: replay.estimate(work),
            dirty_bytes,
            is_space_low: wal.health() == LogHealth::SpaceLow,
        }
    }

    /// Tells writers where the log begins.
    pub(super) fn tell_throttle(&self, gauge: &Gauge) {
        let wal = self.parts.log.wal();
        let end = wal.log_offset();
        let archived = self.reclaimer.archive().archived();
        let redo = wal.control().redo;
        let gate = match self.reclaimer.archive() {
            ArchiveGate::Open => None,
            ArchiveGate::Required(_) => Some(("archive".to_owned(), Lsn::after(archived))),
        };
        let pins = wal.holds().into_iter().map(|hold| (hold.name, hold.lsn));
        let holds = [("redo".to_owned(), redo)].into_iter().chain(gate).chain(pins);
        let holds: Vec<_> = holds.collect();
        let lowest = holds.iter().map(|(_, lsn)| *lsn).min();
        let lowest = holds.iter().filter(|(_, lsn)| Some(*lsn) == lowest);
        let names: Vec<_> = lowest.map(|(name, _)| name.as_str()).collect();
        self.parts.throttle.note(LogBounds {
            redo: end.saturating_sub(gauge.log_bytes),
            oldest: end.saturating_sub(wal.wal_bytes()),
            holder: names.join(" and "),
        });
    }

    /// What the data plane's board says of a vshard.
    pub(super) fn report(&self, known: &VshardFloors) -> Report {
        report(known, self.parts.life)
    }
}

/// Records from one to another, both counted.
pub(crate) fn records(from: Lsn, to: Option<Lsn>) -> u64 {
    Lsn::encode(to).saturating_add(1).saturating_sub(from.get())
}

fn report(known: &VshardFloors, life: Life) -> Report {
    let of = |engine: EngineKind| {
        let found = known.floors.iter().find(|(kind, _)| *kind == engine);
        // An engine that nobody reports has proved nothing, and holds the whole log.
        found.map_or_else(Floor::default, |(_, floor)| *floor)
    };
    Report {
        vshard: known.vshard,
        life,
        floors: EngineFloors::new(of),
        dirty: known.dirty.map(|dirty| dirty.oldest),
    }
}

/// Tells the driver that a caller waits no longer, also if he was dropped.
struct Leaves<'a> {
    mailbox: &'a mpsc::Sender<Message>,
    id: CallerId,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        // A full mailbox only keeps his place until the round ends.
        drop(self.mailbox.try_send(Message::Left(self.id)));
    }
}
