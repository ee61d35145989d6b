//! Group commit: one thread leads and writes and syncs for all, the others follow.
//!
//! A caller that blocks leads itself if nobody does: no other thread must wake up first, which for one
//! writer is most of what a commit costs besides the sync. For everybody who does not block (futures, the
//! answers of cores, timers) the flusher leads. Whoever gives the lead back looks at what was asked for
//! meanwhile and hands on: to one of those who wait to commit, else to the flusher.
//!
//! Measurements that led here: `docs/decisions/0005-leader-and-followers.md`.

use crate::{
    PoisonCause, WaitError,
    committer::Committer,
    core::Core,
    flusher,
    stage::Stage,
    sync::{MutexGuard, atomic::Ordering, yield_now},
};
use nodedb_types::Lsn;
use std::{task::Waker, time::Duration};

/// How long a leader waits for those who were there last time.
const GATHER_MAX: Duration = Duration::from_micros(50);

/// The same where the clock stands still, as in a simulation.
const GATHER_TURNS_MAX: u32 = 1_000;

pub(crate) const EVERYBODY: u32 = u32::MAX >> 1;

/// What a caller waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Goal {
    /// Survives a killed process.
    Written,
    /// Survives a power cut.
    Durable,
}

/// What a caller does for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Writes and syncs itself, if nobody does.
    Commits,
    /// Leaves that to others, so that its deadline holds whatever the disk does.
    Waits,
}

/// One wait: for which record, for what, how, until when.
#[derive(Clone, Copy)]
struct Wait {
    lsn: Lsn,
    goal: Goal,
    part: Part,
    deadline: Duration,
}

impl Core {
    /// Waits for a record, or commits it.
    pub(crate) fn reach(
        &self,
        lsn: Lsn,
        goal: Goal,
        part: Part,
        deadline: Duration,
    ) -> Result<Lsn, WaitError> {
        if let Some(reached) = self.reached(lsn, goal) {
            return Ok(reached);
        }
        let mut stage = self.stage.lock();
        // A wait for a record that is not appended yet stands among the futures: whoever appends the
        // record finds it there, and asks for the sync.
        let ahead = (stage.appended() < Some(lsn)).then(|| (lsn, crate::future::next_id()));
        if let Some(key) = ahead {
            stage.wakers.insert(key, Waker::noop().clone());
        }
        let verdict = self.reach_from(stage, Wait { lsn, goal, part, deadline });
        if let Some(key) = ahead {
            self.stage.lock().wakers.remove(&key);
        }
        verdict
    }

    fn reach_from<'a>(
        &'a self,
        mut stage: MutexGuard<'a, Stage>,
        wait: Wait,
    ) -> Result<Lsn, WaitError> {
        let Wait { lsn, goal, part, deadline } = wait;
        let mut counted = None;
        loop {
            if let Some(verdict) = self.verdict(&stage, lsn, goal) {
                return verdict;
            }
            // Again after every pass: the record may have been appended only after the wait began.
            stage.want(goal, lsn);
            let turn = stage.turns.turn_of(lsn);
            if part == Part::Commits && stage.appended() >= Some(lsn) {
                if counted != Some(turn) {
                    counted = Some(turn);
                    stage.turns.arrive(turn);
                    self.arrived.store(stage.turns.arrived(), Ordering::Relaxed);
                }
                if let Some(committer) = stage.lead.take() {
                    self.lead(committer, stage);
                    stage = self.stage.lock();
                    continue;
                }
            } else if stage.lead.is_some() && self.has_work(&stage) {
                self.work.notify_one();
            }
            let left = deadline.saturating_sub(self.env.clock.now());
            if left.is_zero() {
                if let Some(turn) = counted {
                    stage.turns.leave(turn);
                }
                return Err(WaitError::Timeout);
            }
            let word = self.word(turn);
            let ticket = word.ticket();
            drop(stage);
            word.sleep(ticket, left);
            if let Some(reached) = self.reached(lsn, goal) {
                return Ok(reached);
            }
            stage = self.stage.lock();
        }
    }

    fn position(&self, goal: Goal) -> Option<Lsn> {
        match goal {
            Goal::Written => self.written(),
            Goal::Durable => self.durable(),
        }
    }

    fn reached(&self, lsn: Lsn, goal: Goal) -> Option<Lsn> {
        self.position(goal).filter(|position| *position >= lsn)
    }

    /// Whether a record is where it should be, or will never be; `None` if that is open.
    pub(crate) fn verdict(
        &self,
        stage: &Stage,
        lsn: Lsn,
        goal: Goal,
    ) -> Option<Result<Lsn, WaitError>> {
        if let Some(reached) = self.reached(lsn, goal) {
            return Some(Ok(reached));
        }
        if let Some(cause) = &stage.poison {
            return Some(Err(WaitError::Poisoned(cause.clone())));
        }
        if stage.closing && stage.appended() < Some(lsn) {
            return Some(Err(WaitError::Closed));
        }
        None
    }

    /// Whether something was asked for and is not done.
    pub(crate) fn has_work(&self, stage: &Stage) -> bool {
        stage.demand.write > self.written() || self.wants_sync(stage, stage.appended())
    }

    /// Whether records up to `last` must be synced now.
    fn wants_sync(&self, stage: &Stage, last: Option<Lsn>) -> bool {
        let durable = self.durable();
        last > durable
            && (stage.closing
                || stage.demand.sync > durable
                || stage.demand.is_due(|| self.env.clock.now()))
    }

    /// Whether the pass that has written up to `written` must sync; if so, wakes those in it who wait for
    /// no more than that.
    pub(crate) fn sync_is_due(&self, written: Option<Lsn>) -> bool {
        let mut stage = self.stage.lock();
        let sync = self.wants_sync(&stage, written);
        stage.demand.decide(sync);
        let pass = stage.turns.ended();
        let early = sync && stage.demand.flush_turn >= Some(pass);
        drop(stage);
        if early {
            self.word(pass).wake(EVERYBODY);
        }
        sync
    }

    /// Leads one pass. The caller looks under the lock again afterwards.
    fn lead(&self, mut committer: Box<Committer>, stage: MutexGuard<'_, Stage>) {
        let mut stage = self.gather(stage);
        if stage.poison.is_some() {
            // Met by another thread meanwhile: nothing is written any more, and nobody leads again.
            return;
        }
        stage.begin_pass(&mut committer.batches);
        self.arrived.store(0, Ordering::Relaxed);
        drop(stage);
        self.run_pass(committer, |core, committer| committer.pass(core));
    }

    /// Carries out the pass that has begun, and hands the lead on.
    pub(crate) fn run_pass(
        &self,
        mut committer: Box<Committer>,
        pass: impl FnOnce(&Self, &mut Committer) -> Result<(), crate::WalError>,
    ) {
        let alarm = Alarm { core: self, during: "commit" };
        let done = pass(self, &mut committer);
        drop(alarm);
        match done {
            Ok(()) => self.hand_on(committer),
            // The right to write ends here: who holds it is dropped.
            Err(error) => self.poison(&PoisonCause::from_failure(error)),
        }
    }

    /// Waits a moment for those who committed in the last pass, so that they share this one.
    fn gather<'a>(&'a self, mut stage: MutexGuard<'a, Stage>) -> MutexGuard<'a, Stage> {
        let Some(expected) = stage.turns.worth_gathering() else {
            return stage;
        };
        drop(stage);
        let start = self.env.clock.now();
        for _ in 0..GATHER_TURNS_MAX {
            if self.arrived.load(Ordering::Relaxed) >= expected
                || self.env.clock.now().saturating_sub(start) >= GATHER_MAX
            {
                break;
            }
            yield_now();
        }
        stage = self.stage.lock();
        stage.turns.gathered(expected);
        stage
    }

    /// Ends a pass: gives the lead to one who waits for it, and wakes whom the pass was for.
    fn hand_on(&self, committer: Box<Committer>) {
        let mut stage = self.stage.lock();
        let ended = stage.end_pass(committer);
        let to_committer = stage.turns.arrived() > 0;
        let to_flusher = !to_committer && self.has_work(&stage)
            || stage.closing
            || flusher::next_look(self, &stage) < stage.flusher_until;
        let ready = self.take_ready(&mut stage);
        drop(stage);
        // The next leader first: the disk is idle until it writes, the others have what they want.
        if to_committer {
            self.word(ended + 1).wake(1);
        }
        if to_flusher {
            self.work.notify_one();
        }
        self.word(ended).wake(EVERYBODY);
        self.room.notify_all();
        // Last: a waker may run anything on this thread, and nobody else should have to wait for that.
        ready.into_iter().for_each(Waker::wake);
        self.notify_watches();
    }

    /// The futures whose records are durable.
    fn take_ready(&self, stage: &mut Stage) -> Vec<Waker> {
        let Some(durable) = self.durable().filter(|_| !stage.wakers.is_empty()) else {
            return Vec::new();
        };
        let waiting = stage.wakers.split_off(&(durable.next(), 0));
        std::mem::replace(&mut stage.wakers, waiting).into_values().collect()
    }
}

/// Poisons the log if a thread that others wait for panics: they must not hang.
pub(crate) struct Alarm<'a> {
    pub(crate) core: &'a Core,
    /// What it was doing.
    pub(crate) during: &'static str,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = std::io::Error::other("the thread panicked");
            self.core.poison(&PoisonCause::new(self.during, &self.core.dir, error));
        }
    }
}
