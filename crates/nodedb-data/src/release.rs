//! Answers that wait for the log.

use crate::{Answer, DataError, Outcome, published::Published};
use nodedb_bridge::Reply;
use nodedb_types::{Durability, Lsn};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What an answer waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    /// Nothing.
    Now,
    /// The record survives a killed process.
    Written(Lsn),
    /// The record survives a power cut.
    Durable(Lsn),
}

impl Until {
    /// When a write that ends with this record is acknowledged.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of a level that this version does not know, the strictest is never wrong"
    )]
    pub(crate) const fn acknowledged(durability: Durability, lsn: Lsn) -> Self {
        match durability {
            Durability::Periodic { .. } => Self::Now,
            Durability::Buffered => Self::Written(lsn),
            _ => Self::Durable(lsn),
        }
    }

    /// When everything up to a position may be shown.
    pub(crate) fn durable(position: Option<Lsn>) -> Self {
        position.map_or(Self::Now, Self::Durable)
    }
}

/// What is lost with an answer that cannot be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stakes {
    /// Nothing: it was a read or a refusal.
    Read,
    /// A logged write, whose outcome is then unknown.
    Write,
}

/// An answer that is ready but for the log.
pub(crate) struct Parked {
    pub(crate) reply: Reply<Answer>,
    pub(crate) answer: Answer,
    pub(crate) stakes: Stakes,
    /// A catalog to be published before the answer: who made a collection finds it.
    pub(crate) publish: Option<Published>,
}

impl Parked {
    pub(crate) const fn read(reply: Reply<Answer>, answer: Answer) -> Self {
        Self { reply, answer, stakes: Stakes::Read, publish: None }
    }

    pub(crate) const fn write(reply: Reply<Answer>, outcome: Outcome) -> Self {
        Self { reply, answer: Ok(outcome), stakes: Stakes::Write, publish: None }
    }

    fn bytes(&self) -> usize {
        self.answer.as_ref().map_or(0, Outcome::bytes)
    }

    fn release(self) {
        if let Some(publish) = self.publish {
            publish.publish();
        }
        self.reply.send(self.answer);
    }

    fn fail(self, cause: &str) {
        let cause = cause.to_owned();
        self.reply.send(Err(match self.stakes {
            Stakes::Read => DataError::Poisoned { cause },
            Stakes::Write => DataError::OutcomeUnknown { cause },
        }));
    }
}

/// The parked answers of one core.
///
/// The core parks, the log's flusher releases on its own thread, so that a sync wakes the callers and
/// not the core. Answers are sent outside the mutex.
pub(crate) struct ReleaseQueue {
    state: Mutex<State>,
    limits: ParkedLimits,
    /// Whether `State::poison` is set, for a core that looks at every turn.
    poisoned: AtomicBool,
}

/// How much may wait for the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ParkedLimits {
    pub(crate) answers_max: usize,
    pub(crate) bytes_max: usize,
}

#[derive(Default)]
struct State {
    next: u64,
    /// What the parked answers take.
    bytes: usize,
    written: Option<Lsn>,
    durable: Option<Lsn>,
    poison: Option<Arc<str>>,
    on_written: BTreeMap<(Lsn, u64), Parked>,
    on_durable: BTreeMap<(Lsn, u64), Parked>,
}

impl State {
    fn answers(&self) -> usize {
        self.on_written.len() + self.on_durable.len()
    }
}

impl ReleaseQueue {
    pub(crate) fn new(limits: ParkedLimits) -> Self {
        Self { state: Mutex::default(), limits, poisoned: AtomicBool::new(false) }
    }

    /// Whether the answer of another write may be parked. Asked before it is logged: after that there is
    /// no refusing it.
    pub(crate) fn has_room(&self) -> bool {
        self.has_room_in(&self.state.lock())
    }

    /// Whether the answers of so many writes may be parked.
    pub(crate) fn has_room_for(&self, answers: usize) -> bool {
        let state = self.state.lock();
        self.has_room_in(&state) && answers <= self.limits.answers_max - state.answers()
    }

    fn has_room_in(&self, state: &State) -> bool {
        state.answers() < self.limits.answers_max && state.bytes < self.limits.bytes_max
    }

    /// What the parked answers take.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Sends the answer as soon as the log is there; at once if it is. An answer to a read that must wait
    /// while too many do is refused instead: nothing was done.
    pub(crate) fn park(&self, until: Until, parked: Parked) {
        let mut state = self.state.lock();
        let (lsn, reached) = match until {
            Until::Now => {
                drop(state);
                return parked.release();
            }
            Until::Written(lsn) => (lsn, state.written),
            Until::Durable(lsn) => (lsn, state.durable),
        };
        // Under the mutex under which the flusher advances: no release falls in between.
        if reached >= Some(lsn) {
            drop(state);
            return parked.release();
        }
        if let Some(cause) = state.poison.clone() {
            drop(state);
            return parked.fail(&cause);
        }
        if parked.stakes == Stakes::Read && !self.has_room_in(&state) {
            drop(state);
            return parked.reply.send(Err(DataError::ParkedFull));
        }
        let key = (lsn, state.next);
        state.next += 1;
        state.bytes = state.bytes.saturating_add(parked.bytes());
        let queue = match until {
            Until::Written(_) => &mut state.on_written,
            Until::Now | Until::Durable(_) => &mut state.on_durable,
        };
        queue.insert(key, parked);
    }

    /// Everything up to here survives a killed process.
    pub(crate) fn written(&self, lsn: Lsn) {
        let mut state = self.state.lock();
        state.written = state.written.max(Some(lsn));
        let ready = take_up_to(&mut state.on_written, lsn);
        state.free(&ready);
        drop(state);
        ready.into_values().for_each(Parked::release);
    }

    /// Everything up to here survives a power cut.
    pub(crate) fn durable(&self, lsn: Lsn) {
        let mut state = self.state.lock();
        state.durable = state.durable.max(Some(lsn));
        let ready = take_up_to(&mut state.on_durable, lsn);
        state.free(&ready);
        drop(state);
        ready.into_values().for_each(Parked::release);
        // What is durable is written, in whatever order the two are told.
        self.written(lsn);
    }

    /// Nothing becomes durable any more: fails what waits and what would wait.
    pub(crate) fn poison(&self, cause: &str) {
        let mut state = self.state.lock();
        state.poison = Some(cause.into());
        // Released here, acquired by the core: it then sees the log's last durable position.
        self.poisoned.store(true, Ordering::Release);
        let written = std::mem::take(&mut state.on_written);
        let durable = std::mem::take(&mut state.on_durable);
        state.bytes = 0;
        drop(state);
        for parked in written.into_values().chain(durable.into_values()) {
            parked.fail(cause);
        }
    }

    /// Whether the log is poisoned.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }
}

impl State {
    fn free(&mut self, released: &BTreeMap<(Lsn, u64), Parked>) {
        let bytes: usize = released.values().map(Parked::bytes).sum();
        assert!(bytes <= self.bytes, "what is released was parked");
        self.bytes -= bytes;
    }
}

/// Splits off all entries at or below a position.
fn take_up_to(queue: &mut BTreeMap<(Lsn, u64), Parked>, lsn: Lsn) -> BTreeMap<(Lsn, u64), Parked> {
    let rest = queue.split_off(&(lsn.next(), 0));
    std::mem::replace(queue, rest)
}

#[cfg(test)]
mod tests;
