//! Counts and statistics, which go on over many turns.

use crate::{
    DataError, Outcome,
    core::Core,
    release::Until,
    task::Caller,
    vshard::{Count, IndexCount, Vshard},
};
use nodedb_document::Tally;
use std::time::Duration;

/// A count under way.
#[derive(Debug)]
pub(crate) struct CountRun {
    pub(super) caller: Caller,
    work: CountWork,
}

/// What is counted.
#[derive(Debug)]
pub(crate) enum CountWork {
    /// The rows that a filter matches.
    Rows(Count),
    /// How much a collection holds.
    Statistics(Tally),
    /// One slice of how much a collection holds.
    Tally(Tally),
    /// How much its indexes hold.
    Indexes(IndexCount),
}

/// Counts of a core that may be under way.
const COUNTS_MAX: usize = 1024;

impl CountWork {
    /// Counts one slice. Answers the result once it is complete.
    fn go_on(
        &mut self,
        vshard: &mut Vshard,
        until: Duration,
    ) -> Result<Option<(Outcome, Until)>, DataError> {
        match self {
            Self::Rows(count) => {
                let done = vshard.count(count, until)?;
                let until = Until::Durable(count.snapshot);
                Ok(done.then_some((Outcome::Count(count.rows), until)))
            }
            Self::Statistics(tally) => {
                let tallied = vshard.tally(tally, until)?;
                let until = Until::Durable(tally.snapshot());
                Ok(tallied.map(|tallied| (Outcome::Statistics(tallied.statistics), until)))
            }
            Self::Tally(tally) => {
                let tallied = vshard.tally(tally, until)?;
                let until = Until::Durable(tally.snapshot());
                let outcome = tallied.map_or_else(
                    || Outcome::Tally(Box::new(tally.clone())),
                    |tallied| Outcome::Statistics(tallied.statistics),
                );
                Ok(Some((outcome, until)))
            }
            Self::Indexes(count) => {
                let counted = vshard.count_indexes(count)?;
                // Vectors know no snapshots.
                let until = vshard.all_durable();
                Ok(counted.map(|counted| (Outcome::IndexStatistics(counted), until)))
            }
        }
    }
}

impl Core {
    pub(crate) fn begin_count(&mut self, caller: Caller, work: CountWork) {
        if self.counts.len() >= COUNTS_MAX {
            let error = DataError::InboxFull { core: self.id };
            return caller.reply.send(Err(error));
        }
        self.counts.push_back(CountRun { caller, work });
    }

    /// Counts one slice of the count that has waited longest.
    pub(crate) fn count_on(&mut self) {
        let Some(CountRun { caller, mut work }) = self.counts.pop_front() else {
            return;
        };
        if caller.reply.is_cancelled() {
            return;
        }
        if caller.is_due(self.now()) {
            return caller.reply.send(Err(DataError::TimedOut));
        }
        let until = self.slice_end();
        let Some(vshard) = self.vshards.get_mut(&caller.vshard) else {
            return self.fail_unknown(caller);
        };
        match work.go_on(vshard, until) {
            Ok(None) => self.counts.push_back(CountRun { caller, work }),
            Ok(Some((outcome, until))) => self.answer(caller.reply, Ok(outcome), until),
            Err(error) => self.fail(caller.vshard, caller.reply, error),
        }
    }
}
