//! The engine contract.

use crate::{EngineError, EngineKind, Flushed, Redo};
use nodedb_types::{Lsn, Stamp, TenantId};
use std::fmt::Debug;

/// What an engine holds that its files do not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dirty {
    /// The first record of it: recovery needs the log from here.
    pub oldest: Lsn,
    /// About how much memory it takes.
    pub bytes: usize,
}

/// One engine of one vshard, owned by one core.
///
/// `apply` runs on the core and cannot fail: whatever can was tried before the record was logged.
/// [`Engine::freeze`] is O(1) on the core, [`Frozen::persist`] runs on the maintenance thread, and
/// [`Engine::install`] ends the flush on the core in one turn.
pub trait Engine: Debug {
    /// The frozen part, handed to the maintenance thread.
    type Frozen: Frozen;

    /// Which engine it is.
    const KIND: EngineKind;

    /// Applies a logged change. Changes at or below the own floor are skipped; applying a later one
    /// again changes nothing.
    fn apply(&mut self, at: Stamp, tenant: TenantId, redo: &Redo);

    /// The proof of what its files hold.
    fn flushed(&self) -> Flushed;

    /// What its files do not hold yet, frozen or not; `None` of an idle engine.
    fn dirty(&self) -> Option<Dirty>;

    /// Sets aside everything applied so far under the watermark, which is at or above every applied
    /// record. `None` if nothing is dirty. After a failed flush it hands out the same frozen part
    /// again, with its own watermark; the caller keeps at most one flush of an engine under way.
    fn freeze(&mut self, watermark: Lsn) -> Option<Self::Frozen>;

    /// Takes the flushed files over and drops the frozen part, in one turn.
    fn install(&mut self, persisted: <Self::Frozen as Frozen>::Persisted);
}

/// The frozen part of an engine.
pub trait Frozen: Debug + Send + 'static {
    /// What a successful flush hands back to the engine.
    type Persisted: Persisted;

    /// The floor that the flush will prove.
    fn watermark(&self) -> Lsn;

    /// Writes the files, syncs them, waits until the log holds the watermark durably, and switches.
    ///
    /// # Errors
    /// [`EngineError`]; the engine's old files are then still what a reopen finds.
    fn persist(self, log: &dyn DurableLog) -> Result<Self::Persisted, EngineError>;
}

/// A finished flush.
pub trait Persisted: Debug + Send + 'static {
    /// The proof.
    fn flushed(&self) -> Flushed;
}

/// The log cannot make a position durable any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotDurable;

/// What engines need of the log: WAL before data.
pub trait DurableLog: Debug + Send + Sync {
    /// The durable position now.
    fn durable(&self) -> Option<Lsn>;

    /// The commit clock, in milliseconds since 1970, by which expiry is judged (protocol rule P7). Never
    /// goes back. A log without a clock stands at the beginning of time, where nothing expires.
    fn commit_ms(&self) -> u64 {
        0
    }

    /// Asks for a sync and waits until the position is durable.
    ///
    /// # Errors
    /// [`NotDurable`] if the log is poisoned, closed, or too slow for its own deadline.
    fn wait_durable(&self, lsn: Lsn) -> Result<(), NotDurable>;
}
