//! Following a position of the log, without asking for anything.

mod past;
mod watchers;

pub use past::Past;
pub(crate) use watchers::Watchers;

use crate::{ReadLimit, WaitError, Wal, core::Core};
use nodedb_types::Lsn;
use std::{sync::Arc, time::Duration};

/// Follows how far the log is durable, or written. One notification per change, however many records
/// it covers; a position that was passed meanwhile is never told.
///
/// A watch is passive: it asks for no sync, so one of [`ReadLimit::Durable`] stands still while others
/// append only as `Buffered`. It does not keep the log open; it ends with the log.
#[derive(Clone, Debug)]
pub struct Watch {
    core: Arc<Core>,
    limit: ReadLimit,
}

impl Wal {
    /// Follows what survives a power cut.
    pub fn subscribe_durable(&self) -> Watch {
        Watch::new(Arc::clone(self.core()), ReadLimit::Durable)
    }

    /// Follows what survives a killed process.
    pub fn subscribe_written(&self) -> Watch {
        Watch::new(Arc::clone(self.core()), ReadLimit::Written)
    }
}

impl Watch {
    pub(crate) const fn new(core: Arc<Core>, limit: ReadLimit) -> Self {
        Self { core, limit }
    }

    /// The last record at the limit, now. Never blocks.
    pub fn position(&self) -> Option<Lsn> {
        self.limit.position(&self.core)
    }

    /// Waits until the position is past `seen` and answers it; `None` is before the first record.
    /// Returns at once if it is already. Blocks; `deadline` is a value of the clock's `now`.
    ///
    /// # Errors
    /// [`WaitError::Timeout`]: nothing changed, ask again. [`WaitError::Poisoned`] or
    /// [`WaitError::Closed`] when the log has ended and what it published was answered.
    pub fn wait_past(&self, seen: Option<Lsn>, deadline: Duration) -> Result<Lsn, WaitError> {
        let left = || deadline.saturating_sub(self.core.env.clock.now());
        match self.news(seen) {
            Some(news) => Ok(news),
            None => self.watchers().wait(|| self.news(seen), left),
        }
    }

    /// The same as a future, without a deadline. Needs no runtime; any number may wait at once.
    ///
    /// # Cancel safety
    /// Dropping it takes its waker back and changes nothing else.
    pub fn past(&self, seen: Option<Lsn>) -> Past {
        Past::new(self.clone(), seen)
    }

    /// The position, if it is past `seen`.
    fn news(&self, seen: Option<Lsn>) -> Option<Lsn> {
        self.position().filter(|position| Some(*position) > seen)
    }

    fn watchers(&self) -> &Watchers {
        match self.limit {
            ReadLimit::Durable => &self.core.durable_watchers,
            ReadLimit::Written => &self.core.written_watchers,
        }
    }
}
