//! The bell of a core: the only thing that its thread sleeps on.

use flume::{Receiver, Sender, TrySendError};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Wakes a sleeping thread; costs one load while it is awake.
///
/// The sleeper arms the bell, then looks for work once more, then waits. Whoever has work leaves it
/// first and rings second. All four steps are sequentially consistent, so at least one side sees the
/// other: the ring, or the work. Looking before arming would lose the work left in between.
pub(crate) struct Bell {
    sender: Sender<()>,
    receiver: Receiver<()>,
    armed: AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = flume::bounded(1);
        Self { sender, receiver, armed: AtomicBool::new(false) }
    }

    /// Announces sleep. If the sleeper finds work after all, one needless ring follows at most.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Waits for a ring, `left` at most. May return without one.
    pub(crate) fn wait(&self, left: Option<Duration>) {
        match left {
            // It cannot disconnect, as both ends stand here.
            None => drop(self.receiver.recv()),
            Some(left) => drop(self.receiver.recv_timeout(left)),
        }
        self.armed.store(false, Ordering::SeqCst);
    }

    /// Wakes the sleeper if it sleeps or is about to. Never blocks.
    pub(crate) fn ring(&self) {
        if self.armed.load(Ordering::SeqCst) && self.armed.swap(false, Ordering::SeqCst) {
            // Full is a ring that is there already, which will do.
            let rung = self.sender.try_send(());
            assert!(
                !matches!(rung, Err(TrySendError::Disconnected(()))),
                "both ends of the bell stand here"
            );
        }
    }
}
