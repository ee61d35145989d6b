//! The bell of a core: the only thing that its thread sleeps on.

use crate::sync::{
    Mutex, Thread,
    atomic::{AtomicBool, Ordering},
    current, park, park_timeout,
};
use std::{sync::PoisonError, time::Duration};

/// Wakes a sleeping thread; costs one load while it is awake.
///
/// The sleeper arms the bell, then looks for work once more, then waits. Whoever has work leaves it
/// first and rings second. All four steps are sequentially consistent, so at least one side sees the
/// other: the ring, or the work. Looking before arming would lose the work left in between.
pub(crate) struct Bell {
    armed: AtomicBool,
    /// Who armed it last. Locked only by who is about to sleep, and by the one who wakes it.
    sleeper: Mutex<Option<Thread>>,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { armed: AtomicBool::new(false), sleeper: Mutex::new(None) }
    }

    /// Announces sleep. If the sleeper finds work after all, one needless ring follows at most.
    pub(crate) fn arm(&self) {
        let this = current();
        let mut sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner);
        if sleeper.as_ref().is_none_or(|sleeper| sleeper.id() != this.id()) {
            *sleeper = Some(this);
        }
        drop(sleeper);
        // Behind the name: who sees it armed finds whom to wake.
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Waits for a ring, `left` at most. May return without one.
    pub(crate) fn wait(&self, left: Option<Duration>) {
        // A ring since arming has cleared it. Its token may be gone, as other code may park this
        // thread too; so the flag decides, not the token.
        if self.armed.load(Ordering::SeqCst) {
            match left {
                None => park(),
                Some(left) => park_timeout(left),
            }
        }
        self.armed.store(false, Ordering::SeqCst);
    }

    /// Wakes the sleeper if it sleeps or is about to, after `before` was called. Never blocks.
    pub(crate) fn ring(&self, before: impl FnOnce()) {
        if !self.armed.load(Ordering::SeqCst) {
            return;
        }
        before();
        if self.armed.swap(false, Ordering::SeqCst) {
            // Unlocked before the wake, since the sleeper's next step may be to arm again.
            let sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(sleeper) = sleeper {
                sleeper.unpark();
            }
        }
    }
}
