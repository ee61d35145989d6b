//! One thread whose records need not survive a power cut.

use super::{
    race::verify,
    store::{Store, Subject, Workload},
};
use crate::{Contender, Effort, Sample, real};
use anyhow::Result;
use nodedb_env::Env;
use std::{path::Path, time::Duration};

/// Bytes of a record in the log, header included.
const RECORD_BYTES: u64 = 288;
/// What all turns together may write: they stay within one segment of 1 GiB, since the end of a segment
/// syncs it, and would be measured as well.
const BUDGET_BYTES: u64 = 960 << 20;

/// A store that takes a fixed number of records in each turn, as fast as it can.
pub(super) struct Buffered {
    who: &'static str,
    env: Env,
    store: Box<dyn Store>,
    records: u64,
    acknowledged: u64,
}

impl Buffered {
    /// Creates the store and warms it up.
    pub(super) fn prepare(subject: &dyn Subject, dir: &Path, effort: Effort) -> Result<Self> {
        let store = subject.create(dir, Workload::Buffered)?;
        store.settle()?;
        let turns = effort.rounds as u64 + 1;
        let records = BUDGET_BYTES / RECORD_BYTES / turns;
        let (who, env) = (subject.who(), Env::real());
        let mut buffered = Self { who, env, store, records, acknowledged: 0 };
        buffered.turn(effort.time)?;
        Ok(buffered)
    }
}

impl Contender for Buffered {
    fn who(&self) -> &'static str {
        self.who
    }

    /// The number of records is fixed, whatever the time: they must fit into the segment.
    fn turn(&mut self, _: Duration) -> Result<Sample> {
        let mut writer = self.store.writer()?;
        let begin = self.env.clock.now();
        for _ in 0..self.records {
            writer.append()?;
        }
        writer.flush()?;
        let elapsed = self.env.clock.now().saturating_sub(begin);
        self.acknowledged += self.records;
        self.store.settle()?;
        Ok(Sample { value: real(self.records) / elapsed.as_secs_f64(), notes: vec![] })
    }

    /// Checks that every record that was acknowledged is really there.
    fn verify(self: Box<Self>) -> Result<()> {
        verify(self.who, self.store, self.acknowledged)
    }
}
