//! Writes with an idempotency key, and retries that are answered as their first run was.

use crate::{
    Attempt, DataError, GroupWritten, Outcome, Write, Written,
    core::Core,
    group::{GroupPart, GroupVisit, Place, PreparedPart},
    once::Once,
    release::Until,
    remembered::{Known, Remembered},
    task::Caller,
    turn::write::is_weak,
};
use nodedb_engine::Redo;
use nodedb_types::{Durability, Lsn, LsnRange, Stamp, VshardId};

/// What a group finds at a vshard.
pub(super) enum Stop {
    /// The redo of its part.
    First(Vec<Redo>),
    /// A retry: what its first run has done here.
    Again(Known),
    /// It is only to be answered again, and was never done.
    Never,
}

impl Core {
    /// A single write, unless it was done before: then what it came to.
    pub(crate) fn write_once(&mut self, caller: Caller, write: Write, once: &Once) {
        let durability = write.durability;
        let id = caller.vshard;
        let now_ms = self.shared.wal.commit_time_ms();
        let Some(vshard) = self.vshards.get_mut(&id) else {
            return self.fail_unknown(caller);
        };
        let judged = match vshard.judge(caller.tenant, once, now_ms, &self.options) {
            Ok(None) if once.key.attempt == Attempt::Again => {
                return caller.reply.send(Ok(Outcome::NeverDone));
            }
            Ok(None) => self.write_first(&caller, write, once, now_ms),
            Ok(Some(known)) => {
                known.writes().map(|writes| (known.at, writes)).map_err(|e| vshard.damaged(&e))
            }
            Err(error) => Err(error),
        };
        let (at, writes) = match judged {
            Ok(judged) => judged,
            Err(error) => return self.fail(id, caller.reply, error),
        };
        assert!(writes.len() == 1, "a request with one write came to one");
        let stamp = writes.first().and_then(|(_, written)| written.stamp);
        let until = self.acknowledge_once(id, durability, at.lsn, stamp.is_some());
        self.acknowledge(caller.reply, Outcome::Written(Written { stamp }), until);
    }

    fn write_first(
        &mut self,
        caller: &Caller,
        write: Write,
        once: &Once,
        now_ms: u64,
    ) -> Result<(Stamp, Vec<(Place, Written)>), DataError> {
        let (durability, class) = (write.durability, write.change.class());
        let (vshard, vshards) = (caller.vshard, self.shared.vshards);
        self.admit(vshard, class, write.adds_vectors())?;
        let Some(vshard) = self.vshards.get_mut(&vshard) else {
            return Err(DataError::NoSuchVshard { vshard, vshards });
        };
        let mut redos = vshard.prepare_alone(caller.tenant, write)?;
        let records = remembered_number(redos.len() as u64);
        // Its own record is the last of them.
        let record = records.checked_sub(1);
        let remembered = Remembered { records, writes: vec![(Place::new(0), record)] };
        let bounds = (now_ms, &*self.options);
        let memory = vshard.remember(caller.tenant, once, &remembered, bounds)?;
        redos.push(memory);
        let at = self.log_and_apply(caller, &redos, (durability, class))?;
        let stamp = record.map(|_| Stamp { lsn: at.lsn.previous().unwrap_or(at.lsn), ..at });
        Ok((at, vec![(Place::new(0), Written { stamp })]))
    }

    /// When a write or its retry is answered: by the level that this very request asks for. That the key to
    /// be deleted was not there is shown only once nothing can take it back.
    fn acknowledge_once(
        &mut self,
        id: VshardId,
        durability: Durability,
        lsn: Lsn,
        changed: bool,
    ) -> Until {
        let until =
            if changed { Until::acknowledged(durability, lsn) } else { Until::Durable(lsn) };
        if is_weak(durability) {
            self.note_weak(id, lsn);
        }
        // The first run may have asked the log for less.
        match until {
            Until::Durable(lsn) => self.asks.sync(lsn),
            Until::Written(_) | Until::Now => self.asks.want(lsn, durability),
        }
        until
    }

    /// Judges and checks a group's part at one vshard.
    pub(super) fn stop_at(
        &mut self,
        caller: &Caller,
        visit: &mut GroupVisit,
    ) -> Result<Stop, DataError> {
        let (id, vshards) = (caller.vshard, self.shared.vshards);
        let now_ms = self.shared.wal.commit_time_ms();
        // A retry needs no room: what it finds counts only for a first run.
        let admitted = self.admit(id, visit.class, visit.adds_vectors(id));
        let Some(vshard) = self.vshards.get_mut(&id) else {
            return Err(DataError::NoSuchVshard { vshard: id, vshards });
        };
        let known = match &visit.once {
            Some(once) => vshard.judge(caller.tenant, once, now_ms, &self.options)?,
            None => None,
        };
        visit.check_remembered(known.as_ref())?;
        if let Some(known) = known {
            visit.take_part(id);
            return Ok(Stop::Again(known));
        }
        if visit.once.as_ref().is_some_and(|once| once.key.attempt == Attempt::Again) {
            return Ok(Stop::Never);
        }
        admitted?;
        let part: GroupPart = visit.take_part(id);
        let (mut redos, mut prepared) = vshard.prepare_part(caller.tenant, part)?;
        if let Some(once) = &visit.once {
            let remembered = prepared.remembered();
            let bounds = (now_ms, &*self.options);
            let memory = vshard.remember(caller.tenant, once, &remembered, bounds)?;
            prepared.payloads.push((memory.kind().code(), memory.encode()));
            redos.push(memory);
        }
        visit.prepared.push(prepared);
        visit.seen = visit.seen.max(vshard.applied);
        Ok(Stop::First(redos))
    }

    /// A stop of a retry: nothing is to be logged, so the vshard is not paused.
    pub(super) fn visit_again(&mut self, id: VshardId, visit: &mut GroupVisit, known: Known) {
        assert!(visit.prepared.is_empty(), "a visit is a first run or a retry everywhere");
        if is_weak(visit.durability) {
            self.note_weak(id, known.at.lsn);
        }
        visit.known.push(known);
    }

    /// Answers the retry of a group at its last stop.
    pub(super) fn answer_again(&mut self, caller: Caller, visit: &GroupVisit) {
        let id = caller.vshard;
        let damaged = |error| match self.vshards.get(&id) {
            Some(vshard) => vshard.damaged(&error),
            None => DataError::CoreDied { core: self.id },
        };
        let (lsns, writes) = match visit.outcome_again() {
            Ok(outcome) => outcome,
            Err(error) => {
                let error = damaged(error);
                return self.fail(id, caller.reply, error);
            }
        };
        let changed = writes.iter().any(|write| write.stamp.is_some());
        let last = lsns.last().unwrap_or(lsns.start());
        let until = self.acknowledge_once(id, visit.durability, last, changed);
        let outcome = Outcome::GroupWritten(GroupWritten { lsns: Some(lsns), writes });
        self.acknowledge(caller.reply, outcome, until);
    }
}

impl PreparedPart {
    /// What a key is to remember of this part, before its own record is added.
    fn remembered(&self) -> Remembered {
        let number = remembered_number;
        let writes = self.writes.iter();
        Remembered {
            records: number(self.payloads.len() as u64),
            writes: writes.map(|(place, record)| (*place, record.map(number))).collect(),
        }
    }
}

#[expect(clippy::expect_used, reason = "a batch has 10,000 operations at most")]
fn remembered_number(value: u64) -> u32 {
    u32::try_from(value).expect("limits are below 2^32")
}

impl GroupVisit {
    /// Refuses a group that some of its vshards remember and others do not. All of them have learnt it, since
    /// the log holds all of a group or nothing, so those that do not have pushed it out; that the retry gives
    /// an issue time above their horizon, as one without a time of its own does, makes it no first run.
    fn check_remembered(&self, known: Option<&Known>) -> Result<(), DataError> {
        let half = match known {
            Some(_) => !self.prepared.is_empty(),
            None => !self.known.is_empty(),
        };
        match &self.once {
            Some(once) if half => {
                let issued_ms = once.key.issued_ms;
                Err(DataError::IdempotencyExpired { issued_ms, horizon_ms: issued_ms })
            }
            _ => Ok(()),
        }
    }

    /// What the first run came to, from what all vshards remember of it.
    ///
    /// # Errors
    /// The rows of some vshard are damaged.
    fn outcome_again(&self) -> Result<(LsnRange, Vec<Written>), nodedb_types::DecodeError> {
        let mut writes = vec![Written { stamp: None }; self.writes];
        let mut all: Option<LsnRange> = None;
        for known in &self.known {
            let records = known.records()?;
            for (place, written) in known.writes()? {
                if let Some(write) = writes.get_mut(place.get()) {
                    *write = written;
                }
            }
            let start = match all {
                Some(before) => {
                    assert!(before.end() == records.start(), "parts of a group follow each other");
                    before.start()
                }
                None => records.start(),
            };
            all = Some(LsnRange::new(start, records.end()));
        }
        Ok((all.unwrap_or(LsnRange::starting_at(Lsn::FIRST, 0)), writes))
    }
}
