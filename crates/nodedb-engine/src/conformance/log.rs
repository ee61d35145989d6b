//! A log that makes durable what is asked for, or refuses.

use crate::{DurableLog, NotDurable};
use nodedb_types::Lsn;
use parking_lot::Mutex;
use std::fmt;

type BeforeDurable = Box<dyn Fn(Lsn) + Send>;

/// A log without contents: what is waited for becomes durable.
#[derive(Default)]
pub struct TestLog {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    durable: Option<Lsn>,
    refuses: bool,
    before: Option<BeforeDurable>,
}

impl TestLog {
    /// A log that has nothing durable.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log that cannot make anything durable.
    pub fn refusing() -> Self {
        let log = Self::new();
        log.state.lock().refuses = true;
        log
    }

    /// A log that calls `before` with a position before it makes it durable.
    pub fn observed(before: impl Fn(Lsn) + Send + 'static) -> Self {
        let log = Self::new();
        log.state.lock().before = Some(Box::new(before));
        log
    }
}

impl DurableLog for TestLog {
    fn durable(&self) -> Option<Lsn> {
        self.state.lock().durable
    }

    fn wait_durable(&self, lsn: Lsn) -> Result<(), NotDurable> {
        let mut state = self.state.lock();
        if state.refuses {
            return Err(NotDurable);
        }
        if let Some(before) = &state.before {
            before(lsn);
        }
        state.durable = state.durable.max(Some(lsn));
        Ok(())
    }
}

impl fmt::Debug for TestLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestLog").field("durable", &self.durable()).finish_non_exhaustive()
    }
}
