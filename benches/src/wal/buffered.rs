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

/// Records between two looks at the clock.
const STRIDE: u64 = 1_000;

/// A store that takes records as fast as it can.
pub(super) struct Buffered {
    who: &'static str,
    env: Env,
    store: Box<dyn Store>,
    /// Most that one turn may store.
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

    /// Until the time is over, or the turn's share of the segment is full.
    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let mut writer = self.store.writer()?;
        let begin = self.env.clock.now();
        let mut records = 0;
        while records < self.records && self.env.clock.now() < begin + time {
            for _ in 0..STRIDE {
                writer.append()?;
            }
            records += STRIDE;
        }
        writer.flush()?;
        let elapsed = self.env.clock.now().saturating_sub(begin);
        self.acknowledged += records;
        self.store.settle()?;
        Ok(Sample { value: real(records) / elapsed.as_secs_f64(), notes: vec![] })
    }

    /// Checks that every record that was acknowledged is really there.
    fn verify(self: Box<Self>) -> Result<()> {
        verify(self.who, self.store, self.acknowledged)
    }
}
