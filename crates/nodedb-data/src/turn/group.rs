//! Groups: visiting, logging, applying, resuming.

use crate::{
    DataError, Outcome,
    core::Core,
    group::{Finish, GroupState, GroupVisit, PendingPart, Verdict, WholeOrNothing},
    pause::{Pause, PausedLimits, PausedQueue},
    published::Published,
    release::{Parked, Stakes, Until},
    task::{Caller, Task, TaskEnvelope, seal},
    turn::{once::Stop, write::is_weak},
};
use nodedb_engine::Redo;
use nodedb_types::{CoreId, Durability, ErrorKind, Lsn, LsnRange, Stamp, VshardId};
use nodedb_wal::Record;
use std::{collections::VecDeque, sync::Arc};

impl Core {
    /// A group's stop at a vshard, which is not paused. Answers the envelope if the next stop is on
    /// this core too.
    pub(crate) fn visit(
        &mut self,
        caller: Caller,
        mut visit: Box<GroupVisit>,
    ) -> Option<TaskEnvelope> {
        if caller.reply.is_cancelled() {
            // Nobody waits, so nothing is begun that can still be left.
            self.give_up(&visit.state, DataError::TimedOut);
            return None;
        }
        let redos = match self.stop_at(&caller, &mut visit) {
            Ok(Stop::First(redos)) => redos,
            Ok(Stop::Again(known)) => {
                self.visit_again(caller.vshard, &mut visit, known);
                return match visit.vshard() {
                    None => {
                        self.answer_again(caller, &visit);
                        None
                    }
                    Some(next) => self.pass_on(caller, visit, next),
                };
            }
            Ok(Stop::Never) => {
                // Its first stop: a key that one vshard remembers and another does not has expired.
                caller.reply.send(Ok(Outcome::NeverDone));
                return None;
            }
            Err(error) => {
                let error = self.give_up(&visit.state, error);
                self.fail(caller.vshard, caller.reply, error);
                return None;
            }
        };
        assert!(visit.known.is_empty(), "a visit is a first run or a retry everywhere");
        let mine = PendingPart {
            state: Arc::clone(&visit.state),
            tenant: caller.tenant,
            before: visit.records() - redos.len() as u64,
            redos,
        };
        match visit.vshard() {
            None => {
                self.commit(caller, &visit, &mine);
                None
            }
            Some(next) => self.pause_and_pass_on(caller, visit, mine, next),
        }
    }

    fn pause_and_pass_on(
        &mut self,
        caller: Caller,
        visit: Box<GroupVisit>,
        part: PendingPart,
        next: VshardId,
    ) -> Option<TaskEnvelope> {
        if let Err(error) = visit.state.join(self.id) {
            caller.reply.send(Err(error));
            return None;
        }
        if let Some(vshard) = self.vshards.get_mut(&caller.vshard) {
            vshard.pause = Some(Pause {
                part,
                durability: visit.durability,
                deadline: caller.deadline,
                queue: PausedQueue::new(PausedLimits {
                    requests_max: self.options.paused_requests_max,
                    bytes_max: self.options.paused_bytes_max,
                }),
            });
            self.paused.insert(caller.vshard);
        }
        self.pass_on(caller, visit, next)
    }

    /// Sends a visit to its next stop. Answers the envelope if that is on this core too.
    fn pass_on(
        &mut self,
        mut caller: Caller,
        visit: Box<GroupVisit>,
        next: VshardId,
    ) -> Option<TaskEnvelope> {
        caller.vshard = next;
        let core = next.core(self.shared.cores);
        let envelope = seal(caller, Task::Visit(visit));
        if core == self.id {
            return Some(envelope);
        }
        if let Err(refused) = self.shared.bridge.forward(core, envelope) {
            let error = if refused.kind() == ErrorKind::Busy {
                DataError::InboxFull { core }
            } else {
                DataError::Closed
            };
            self.refuse(refused.into_envelope(), error);
        }
        None
    }

    /// The last stop: logs the whole group, all or nothing, and applies the own part.
    fn commit(&mut self, caller: Caller, visit: &GroupVisit, part: &PendingPart) {
        if let Err(error) = visit.state.begin_commit() {
            return caller.reply.send(Err(error));
        }
        // From here on nothing but the log can stop it, and others act on what it says.
        let whole = WholeOrNothing;
        let records: Vec<_> = visit
            .payloads()
            .map(|(vshard, kind, payload)| Record { tenant: caller.tenant, vshard, kind, payload })
            .collect();
        let range = if records.is_empty() {
            Ok(None)
        } else {
            self.append(&records, visit.durability, visit.class).map(Some)
        };
        let range = match range {
            Ok(range) => range,
            Err(error) => {
                self.wake(visit.state.end_commit(None, Err(error.clone())));
                drop(whole);
                return self.fail(caller.vshard, caller.reply, error);
            }
        };
        let (id, first) = (caller.vshard, range.map(LsnRange::start));
        let finish = self.finish(caller, visit, range);
        let waiting = visit.state.end_commit(first, Ok(finish));
        self.apply_part(id, part, first, visit.durability);
        self.wake(waiting);
        drop(whole);
    }

    fn finish(&self, caller: Caller, visit: &GroupVisit, range: Option<LsnRange>) -> Finish {
        let outcome = visit.outcome(self.shared.wal.epoch(), range);
        let (until, stakes) = match range.and_then(LsnRange::last) {
            // Only its idempotency key was logged: nothing was there to be deleted, as below.
            Some(last) if visit.changes_nothing() => (self.soon_durable(Some(last)), Stakes::Write),
            Some(last) => (Until::acknowledged(visit.durability, last), Stakes::Write),
            // Nothing was there to be deleted, which is only as true as what was applied.
            None => (self.soon_durable(visit.seen), Stakes::Read),
        };
        Finish {
            until,
            parked: Parked { reply: caller.reply, answer: Ok(outcome), stakes, publish: None },
        }
    }

    /// When a position may be shown, having asked for its sync: the parts of the group park its answer
    /// without knowing whether anybody else asks.
    fn soon_durable(&self, seen: Option<Lsn>) -> Until {
        if let Some(seen) = seen {
            self.asks.sync(seen);
        }
        Until::durable(seen)
    }

    /// Applies a vshard's part of a committed group.
    fn apply_part(
        &mut self,
        id: VshardId,
        part: &PendingPart,
        first: Option<Lsn>,
        durability: Durability,
    ) {
        let whole = WholeOrNothing;
        let epoch = self.shared.wal.epoch();
        let mut last = None;
        let mut catalog_changed = false;
        if let (Some(first), Some(vshard)) = (first, self.vshards.get_mut(&id)) {
            for (offset, redo) in (part.before..).zip(&part.redos) {
                let lsn = first.advance(offset);
                vshard.apply(Stamp { epoch, lsn }, part.tenant, redo);
                catalog_changed |= matches!(redo, Redo::Catalog(_));
                last = Some(lsn);
            }
        }
        if let Some(last) = last {
            if is_weak(durability) {
                self.note_weak(id, last);
            }
            if catalog_changed {
                self.publish_with(id, &part.state, last);
            }
            self.touched.insert(id);
        }
        part.state.applied(&self.release);
        drop(whole);
    }

    /// Has the new catalog published with the answer of the group that changed it. All copies are
    /// alike; the first vshard's is the one that is shown.
    fn publish_with(&self, id: VshardId, state: &GroupState, lsn: Lsn) {
        if let (0, Some(vshard)) = (id.get(), self.vshards.get(&id)) {
            state.publish(Published {
                to: Arc::clone(&self.shared.catalog),
                lsn,
                catalog: Arc::new(vshard.engines.catalog.catalog().clone()),
            });
        }
    }

    /// Gives a group up, unless somebody else has; the vshards that wait for it go on. Answers why it
    /// ended.
    pub(crate) fn give_up(&self, state: &GroupState, error: DataError) -> DataError {
        match state.abort(error.clone()) {
            Ok(waiting) => {
                self.wake(waiting);
                error
            }
            Err(earlier) => earlier.unwrap_or(error),
        }
    }

    /// Wakes cores whose vshards wait. The wake takes no room in an inbox, so it also reaches a core
    /// whose inbox is full of requests for the very vshard that waits.
    pub(super) fn wake(&self, cores: impl IntoIterator<Item = CoreId>) {
        for core in cores {
            self.shared.bridge.wake(core);
        }
    }

    /// Gives up groups whose deadline has passed and requests that waited too long.
    pub(crate) fn expire(&mut self) {
        if self.paused.is_empty() {
            return;
        }
        let now = self.now();
        for id in &self.paused {
            let Some(pause) = self.vshards.get_mut(id).and_then(|v| v.pause.as_mut()) else {
                continue;
            };
            let due = pause.queue.take_due(now);
            let state = (now >= pause.deadline).then(|| Arc::clone(&pause.part.state));
            for envelope in due {
                self.refuse(envelope, DataError::TimedOut);
            }
            if let Some(state) = state {
                self.give_up(&state, DataError::TimedOut);
            }
        }
    }

    /// Resumes vshards whose group has ended, and serves what waited for them, in order.
    pub(crate) fn resume_ended(&mut self) {
        for id in self.paused.clone() {
            let vshard = self.vshards.get_mut(&id);
            let ended = |pause: &mut Pause| pause.part.state.verdict().is_some();
            let Some(pause) = vshard.and_then(|vshard| vshard.pause.take_if(ended)) else {
                continue;
            };
            self.paused.remove(&id);
            let Pause { part, durability, queue, .. } = pause;
            if let Some(Verdict::Committed(first)) = part.state.verdict() {
                self.apply_part(id, &part, first, durability);
            }
            self.touched.insert(id);
            self.serve_waiting(queue.into_waiting());
        }
    }

    /// Another group among them may pause the vshard again; then the rest waits again.
    fn serve_waiting(&mut self, waiting: VecDeque<TaskEnvelope>) {
        for envelope in waiting {
            if envelope.reply.is_cancelled() && matches!(envelope.op, Task::Op(_)) {
                continue;
            }
            self.dispatch(envelope);
        }
        self.finish_merges();
    }
}
