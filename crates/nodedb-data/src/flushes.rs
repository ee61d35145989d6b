//! The flushes of one vshard: which run, which failed, and who waits for them.

use crate::{Answer, DataError};
use nodedb_bridge::Reply;
use nodedb_engine::{EngineKind, Hurry};
use nodedb_types::Lsn;
use std::{collections::BTreeMap, collections::BTreeSet};

/// Callers that may wait for flushes of one vshard.
const WAITERS_MAX: usize = 64;

/// The flushes of one vshard.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    /// Engines whose frozen part is with the maintenance thread.
    running: BTreeSet<EngineKind>,
    /// Engines whose last flush failed; not tried again before somebody asks.
    failed: BTreeMap<EngineKind, DataError>,
    waiters: Vec<Waiter>,
    /// Whether the tables are being merged.
    pub(crate) compacting: bool,
}

#[derive(Debug)]
struct Waiter {
    barrier: Lsn,
    reply: Reply<Answer>,
    /// Nothing waits for the budget of I/O while somebody waits in a hurry for a flush.
    hurry: Option<Hurry>,
}

/// Somebody whose wait is over.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) barrier: Lsn,
    pub(crate) reply: Reply<Answer>,
    /// Why the barrier is not reached, if it is not.
    pub(crate) failure: Option<DataError>,
}

impl Flushes {
    /// Adds somebody who asks for a flush up to the barrier; what has failed is tried again. Gives the
    /// reply back if too many wait.
    pub(crate) fn ask(
        &mut self,
        barrier: Lsn,
        reply: Reply<Answer>,
        hurry: Option<Hurry>,
    ) -> Result<(), Reply<Answer>> {
        if self.waiters.len() >= WAITERS_MAX {
            return Err(reply);
        }
        self.failed.clear();
        self.waiters.push(Waiter { barrier, reply, hurry });
        Ok(())
    }

    /// Lets the flush of an engine be tried again if it has failed. Whether it had.
    pub(crate) fn retry(&mut self, kind: EngineKind) -> bool {
        self.failed.remove(&kind).is_some()
    }

    /// The highest barrier that somebody asks for.
    pub(crate) fn barrier(&self) -> Option<Lsn> {
        self.waiters.iter().map(|waiter| waiter.barrier).max()
    }

    /// Whether anybody waits in a hurry.
    pub(crate) fn hurries(&self) -> bool {
        self.waiters.iter().any(|waiter| waiter.hurry.is_some())
    }

    /// Whether a flush of the engine may begin: none runs, none has failed.
    pub(crate) fn may_begin(&self, kind: EngineKind) -> bool {
        !self.running.contains(&kind) && !self.failed.contains_key(&kind)
    }

    /// A flush has begun.
    pub(crate) fn begin(&mut self, kind: EngineKind) {
        let new = self.running.insert(kind);
        assert!(new, "an engine has at most one flush under way");
    }

    /// A flush has ended.
    pub(crate) fn end(&mut self, kind: EngineKind, result: Result<(), DataError>) {
        self.running.remove(&kind);
        if let Err(error) = result {
            self.failed.insert(kind, error);
        }
    }

    /// Whether a flush is under way.
    pub(crate) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Whether any engine has failed.
    pub(crate) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Takes those whose wait is over: `open` says which engines still hold something at or below a
    /// barrier.
    pub(crate) fn take_settled(&mut self, open: impl Fn(EngineKind, Lsn) -> bool) -> Vec<Settled> {
        let mut settled = Vec::new();
        for waiter in std::mem::take(&mut self.waiters) {
            let Waiter { barrier, reply, hurry } = waiter;
            let waits = |kind: &EngineKind| open(*kind, barrier);
            let open: Vec<_> = EngineKind::ALL.into_iter().filter(waits).collect();
            let failure = open.iter().find_map(|kind| self.failed.get(kind));
            match failure {
                None if !open.is_empty() => self.waiters.push(Waiter { barrier, reply, hurry }),
                failure => settled.push(Settled { barrier, reply, failure: failure.cloned() }),
            }
        }
        settled
    }

    /// Takes all who wait, for a core that ends.
    pub(crate) fn take_waiters(&mut self) -> Vec<Reply<Answer>> {
        let waiters = std::mem::take(&mut self.waiters);
        waiters.into_iter().map(|waiter| waiter.reply).collect()
    }

    /// Whether nothing runs and nobody waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiters.is_empty()
    }
}
