//! What a core leaves behind when it panics.

use crate::{DataError, core::Core, group::GroupState};
use nodedb_bridge::Received;

impl Core {
    /// Answers everything that waits, and everything that still comes, with a typed failure. What the
    /// vshards had proven stays on the board. A group that waits for one of them is given up; one that
    /// is being logged, or is, ends the process, since its part here can no more be applied (protocol
    /// rule P4).
    pub(crate) fn bury(&mut self) {
        // What the turn had logged before it panicked; its callers wait.
        self.asks.ask();
        let died = DataError::CoreDied { core: self.id };
        for (id, mut vshard) in std::mem::take(&mut self.vshards) {
            self.shared.board.set_failure(id, Some(died.to_string()));
            for reply in vshard.flushes.take_waiters() {
                reply.send(Err(died.clone()));
            }
            let Some(pause) = vshard.pause.take() else {
                continue;
            };
            self.leave(&pause.part.state, &died);
            for envelope in pause.queue.into_waiting() {
                self.refuse(envelope, died.clone());
            }
        }
        self.paused.clear();
        for caller in self.merges.take_callers() {
            caller.reply.send(Err(died.clone()));
        }
        for count in self.counts.drain(..) {
            count.caller.reply.send(Err(died.clone()));
        }
        for search in self.searches.drain(..) {
            search.caller.reply.send(Err(died.clone()));
        }
        loop {
            match self.inbox.receive(None) {
                Received::Request(envelope) => self.refuse(envelope, died.clone()),
                Received::Wake | Received::TimedOut => {}
                Received::Closed => return,
            }
        }
    }

    fn leave(&self, state: &GroupState, died: &DataError) {
        match state.abort(died.clone()) {
            Ok(waiting) => self.wake(waiting),
            Err(Some(_given_up)) => {}
            Err(None) => {
                tracing::error!(core_id = %self.id, "a core died within a committed group");
                std::process::abort();
            }
        }
    }
}
