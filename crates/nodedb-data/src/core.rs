//! The loop of one core.

use crate::{
    Answer, DataError, DataOptions, Outcome,
    asks::Asks,
    maintenance::Maintenance,
    release::{Parked, ReleaseQueue, Until},
    shared::Shared,
    task::{self, Task, TaskEnvelope},
    turn::{CountRun, Failures, Graphs, Merges, Refusals, Searching, Sweep},
    vshard::Vshard,
};
use nodedb_bridge::{Inbox, Received, Reply};
use nodedb_engine::Pressure;
use nodedb_types::{CoreId, Lsn, VshardId};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// One thread and the vshards that only it touches. Nothing here is shared, so nothing is locked; it
/// never waits for a disk, only for its inbox.
pub(crate) struct Core {
    pub(crate) id: CoreId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: Arc<DataOptions>,
    pub(crate) inbox: Inbox<Task, Answer>,
    pub(crate) release: Arc<ReleaseQueue>,
    /// What this turn wants of the log.
    pub(crate) asks: Asks,
    pub(crate) maintenance: Maintenance,
    pub(crate) vshards: BTreeMap<VshardId, Vshard>,
    /// Vshards that wait for a group.
    pub(crate) paused: BTreeSet<VshardId>,
    /// Vshards that have changed in this turn.
    pub(crate) touched: BTreeSet<VshardId>,
    /// Merges that the turn has not begun yet.
    pub(crate) merges: Merges,
    pub(crate) counts: VecDeque<CountRun>,
    pub(crate) searches: VecDeque<Searching>,
    pub(crate) sweep: Sweep,
    /// What all vshards take, as of the last turn that touched each.
    pub(crate) memory: usize,
    /// What their live CRDT documents take of it.
    pub(crate) crdt_bytes: usize,
    /// Memory of the vectors of all vshards that are not sealed, as of the same turns. Beside `memory`:
    /// it stands in the way of writes that add vectors, and of no others.
    pub(crate) unsealed: usize,
    /// While half of the memory is taken.
    pub(crate) pressure: Option<Pressure>,
    pub(crate) graphs: Graphs,
    pub(crate) failures: Failures,
    pub(crate) refusals: Refusals,
    pub(crate) closing: bool,
    /// Whether the live documents were dropped that a poisoned log may lose.
    pub(crate) forgotten: bool,
    #[cfg(test)]
    pub(crate) panics_after_append: bool,
}

impl Core {
    /// Serves until the bridge closes. A panic ends only this core: its vshards fail with a typed
    /// error until then, what they had proven stays, and no caller is left waiting.
    pub(crate) fn live(mut self) {
        // Nothing of a core that panicked is looked at again but what `bury` answers.
        let served = catch_unwind(AssertUnwindSafe(|| self.serve()));
        if served.is_err() {
            tracing::error!(core_id = %self.id, "a core panicked");
            self.bury();
        }
        self.maintenance.stop();
    }

    fn serve(&mut self) {
        loop {
            assert!(self.merges.is_empty(), "a core sleeps only over what it has done");
            assert!(self.asks.is_empty(), "a core sleeps only over what it has asked the log for");
            let until = self.next_moment();
            if self.closing {
                // Nothing more can come but wakes; a bound, in case there is nothing to wait for.
                let bound = self.now().saturating_add(Duration::from_secs(1));
                self.inbox.wait_for_wake(until.unwrap_or(bound));
            } else {
                match self.inbox.receive(until) {
                    Received::Request(envelope) => self.take_turn(envelope),
                    Received::Wake | Received::TimedOut => {}
                    Received::Closed => self.closing = true,
                }
            }
            self.end_turn();
            if self.closing && self.is_idle() {
                return;
            }
        }
    }

    fn take_turn(&mut self, first: TaskEnvelope) {
        self.dispatch(first);
        for _ in 1..self.options.turn_requests_max {
            let Some(envelope) = self.inbox.try_receive() else {
                break;
            };
            self.dispatch(envelope);
        }
        self.finish_merges();
    }

    /// Serves a request, or leaves it with its vshard if that is paused. A group that goes on to
    /// another vshard of this core does so here.
    pub(crate) fn dispatch(&mut self, envelope: TaskEnvelope) {
        // Before the request, whose caller may have heard of the poison already.
        self.forget_undurable();
        let mut next = Some(envelope);
        while let Some(mut envelope) = next.take() {
            if envelope.is_due(self.now()) {
                self.refuse(envelope, DataError::TimedOut);
                continue;
            }
            let vshard = envelope.vshard;
            if let Some(pause) = self.vshards.get_mut(&vshard).and_then(|v| v.pause.as_mut()) {
                match pause.queue.push(envelope) {
                    Ok(()) => continue,
                    Err(refused) => envelope = refused,
                }
                self.refuse(envelope, DataError::PausedFull { vshard });
                continue;
            }
            next = self.serve_one(envelope);
        }
    }

    fn serve_one(&mut self, envelope: TaskEnvelope) -> Option<TaskEnvelope> {
        if !task::is_merge(&envelope.op) {
            self.finish_merges();
        }
        let (caller, task) = task::open(envelope);
        match task {
            Task::Op(op) => self.serve_op(caller, *op),
            Task::Once(both) => {
                let (write, once) = *both;
                self.write_once(caller, write, &once);
            }
            Task::Visit(visit) => return self.visit(caller, visit),
            #[cfg(test)]
            Task::Panic => panic!("a core was asked to panic"),
            #[cfg(test)]
            Task::PanicAfterAppend => self.panics_after_append = true,
            #[cfg(test)]
            Task::Hold(barrier) => {
                // Once to say that it holds, once to be let go.
                barrier.wait();
                barrier.wait();
            }
        }
        None
    }

    /// What ends a turn: finished flushes, groups that have ended, deadlines, flushes that are due. Last of
    /// all the log is asked, once, for what the whole turn has logged and parked.
    fn end_turn(&mut self) {
        self.take_done();
        self.maintenance.relieve(self.now());
        self.expire();
        self.resume_ended();
        self.count_on();
        self.search_on();
        self.sweep();
        self.forget_undurable();
        self.retry_sealing();
        if !self.touched.is_empty() {
            self.plan_sweep();
        }
        let touched = std::mem::take(&mut self.touched);
        for vshard in &touched {
            self.drive_flushes(*vshard);
            self.weigh(*vshard);
        }
        if !touched.is_empty() {
            self.build_graph();
        }
        self.trim_documents();
        self.relieve_memory();
        self.asks.ask();
    }

    /// When the next turn must begin though nothing comes.
    fn next_moment(&self) -> Option<Duration> {
        if !self.counts.is_empty() || !self.searches.is_empty() {
            return Some(Duration::ZERO);
        }
        let paused = self.paused.iter();
        paused
            .filter_map(|id| self.vshards.get(id)?.pause.as_ref())
            .map(crate::pause::Pause::next_due)
            .chain(self.sweep.due().filter(|_| !self.closing))
            .chain(self.maintenance.next_look(self.now()))
            .min()
    }

    fn is_idle(&self) -> bool {
        self.paused.is_empty()
            && self.counts.is_empty()
            && self.searches.is_empty()
            && self.maintenance.has_no_images()
            && self.vshards.values().all(|vshard| vshard.flushes.is_idle())
    }

    pub(crate) fn now(&self) -> Duration {
        self.shared.env.clock.now()
    }

    /// Answers when the log is there; the turn asks for the sync if it is not.
    pub(crate) fn answer(&self, reply: Reply<Answer>, answer: Answer, until: Until) {
        if let Until::Durable(lsn) = until {
            self.asks.sync(lsn);
        }
        self.release.park(until, Parked::read(reply, answer));
    }

    /// Answers with a failure; if it follows from state that may be lost, only once that is durable.
    pub(crate) fn fail(&self, vshard: VshardId, reply: Reply<Answer>, error: DataError) {
        let state = self.vshards.get(&vshard).map(Vshard::all_durable);
        let until = match state {
            Some(until) if error.rests_on_state() => until,
            _ => Until::Now,
        };
        self.answer(reply, Err(error), until);
    }

    /// Refuses a request that was not begun. A group is given up with it.
    pub(crate) fn refuse(&self, envelope: TaskEnvelope, error: DataError) {
        let error = match &envelope.op {
            Task::Visit(visit) => self.give_up(&visit.state, error),
            Task::Op(_) | Task::Once(_) => error,
            #[cfg(test)]
            Task::Panic | Task::PanicAfterAppend | Task::Hold(_) => error,
        };
        envelope.reply.send(Err(error));
    }

    /// Parks the answer of a logged write.
    pub(crate) fn acknowledge(&self, reply: Reply<Answer>, outcome: Outcome, until: Until) {
        self.release.park(until, Parked::write(reply, outcome));
    }

    /// Notes a weak acknowledgement before it can be seen.
    pub(crate) fn note_weak(&mut self, vshard: VshardId, lsn: Lsn) {
        let (durable, now) = (self.shared.wal.durable(), self.now());
        self.shared.note_weak(self.id, lsn, (durable, now));
        if let Some(vshard) = self.vshards.get_mut(&vshard) {
            vshard.note_weak(lsn, durable, now);
        }
    }

    fn forget_undurable(&mut self) {
        if self.forgotten || !self.release.is_poisoned() {
            return;
        }
        self.forgotten = true;
        let durable = self.shared.wal.durable();
        for vshard in self.vshards.values_mut() {
            vshard.forget_undurable(durable);
        }
    }
}
