//! Counts, which go on over many turns.

use crate::{DataError, Outcome, core::Core, release::Until, task::Caller, vshard::Count};

/// A count under way.
#[derive(Debug)]
pub(crate) struct CountRun {
    pub(super) caller: Caller,
    count: Count,
}

/// Counts of a core that may be under way.
const COUNTS_MAX: usize = 1024;

impl Core {
    pub(crate) fn begin_count(&mut self, caller: Caller, count: Count) {
        if self.counts.len() >= COUNTS_MAX {
            let error = DataError::InboxFull { core: self.id };
            return caller.reply.send(Err(error));
        }
        self.counts.push_back(CountRun { caller, count });
    }

    /// Counts one slice of the count that has waited longest.
    pub(crate) fn count_on(&mut self) {
        let Some(CountRun { caller, mut count }) = self.counts.pop_front() else {
            return;
        };
        if caller.reply.is_cancelled() {
            return;
        }
        if caller.is_due(self.now()) {
            return caller.reply.send(Err(DataError::TimedOut));
        }
        let Some(vshard) = self.vshards.get(&caller.vshard) else {
            return self.fail_unknown(caller);
        };
        match vshard.count(&mut count) {
            Ok(false) => self.counts.push_back(CountRun { caller, count }),
            Ok(true) => {
                let until = Until::Durable(count.snapshot);
                self.answer(caller.reply, Ok(Outcome::Count(count.rows)), until);
            }
            Err(error) => self.fail(caller.vshard, caller.reply, error),
        }
    }
}
