//! Taking a place in the log.

use crate::{
    AppendClass, AppendError, Record, Wanted, commit::Goal, core::Core, stage::Stage,
    sync::MutexGuard,
};
use crc32c::crc32c;
use nodedb_types::{Durability, Lsn, LsnRange};
use std::time::Duration;

/// Groups up to this size take a place without allocating memory.
const FEW: usize = 16;

impl Core {
    /// Places a group and asks for what its durability promises.
    pub(crate) fn append(
        &self,
        records: &[Record<'_>],
        durability: Durability,
        class: AppendClass,
    ) -> Result<LsnRange, AppendError> {
        let (stage, range) = self.place(records, class)?;
        let last = range.end().previous().unwrap_or(Lsn::FIRST);
        let mut wanted = Wanted::default();
        wanted.add(last, durability, || self.env.clock.now());
        self.request_under(stage, wanted);
        Ok(range)
    }

    /// Asks for everything that is wanted of staged records, at once.
    pub(crate) fn request(&self, wanted: Wanted) {
        self.request_under(self.stage.lock(), wanted);
    }

    fn request_under(&self, mut stage: MutexGuard<'_, Stage>, wanted: Wanted) {
        if let Some(due) = wanted.durable_by {
            stage.demand.due_at(due);
        }
        let appended = stage.appended();
        stage.demand.wait(Goal::Written, wanted.written.min(appended));
        stage.demand.wait(Goal::Durable, wanted.durable.min(appended));
        self.ask_flusher(stage);
    }

    /// Places a group and asks for nothing.
    pub(crate) fn stage(
        &self,
        records: &[Record<'_>],
        class: AppendClass,
    ) -> Result<LsnRange, AppendError> {
        let (stage, range) = self.place(records, class)?;
        if !stage.wakers.is_empty() {
            // Somebody may have waited for this very record, since before it was there.
            self.ask_flusher(stage);
        }
        Ok(range)
    }

    fn place(
        &self,
        records: &[Record<'_>],
        class: AppendClass,
    ) -> Result<(MutexGuard<'_, Stage>, LsnRange), AppendError> {
        assert!(!records.is_empty(), "an atomic group has at least one record");
        // Outside the lock: it is the only part of an append that takes time.
        let mut few = [0; FEW];
        let many: Vec<u32>;
        let crcs = if let Some(few) = few.get_mut(..records.len()) {
            for (crc, record) in few.iter_mut().zip(records) {
                *crc = crc32c(record.payload);
            }
            &*few
        } else {
            many = records.iter().map(|record| crc32c(record.payload)).collect();
            &many
        };
        let mut stage = self.stage.lock();
        let range = stage.append(records, crcs, class)?;
        let awaited = stage.last_awaited(range.end());
        stage.demand.wait(Goal::Durable, awaited);
        Ok((stage, range))
    }

    /// Has the flusher do what was asked for, unless somebody leads: who gives the lead back looks.
    fn ask_flusher(&self, stage: MutexGuard<'_, Stage>) {
        let idle = stage.lead.is_some() && self.has_work(&stage);
        let arm = stage.demand.due.is_some_and(|due| due < stage.flusher_until);
        drop(stage);
        if idle || arm {
            self.work.notify_one();
        }
    }

    /// Asks for the records up to this one to be synced.
    pub(crate) fn request_sync(&self, up_to: Lsn) {
        self.request(Wanted { durable: Some(up_to), ..Wanted::default() });
    }

    /// Waits until a group of so many bytes would be taken.
    pub(crate) fn wait_room(
        &self,
        bytes: usize,
        class: AppendClass,
        deadline: Duration,
    ) -> Result<(), AppendError> {
        let mut stage = self.stage.lock();
        loop {
            let full = match stage.admit(bytes, class) {
                Err(full @ (AppendError::Backpressure | AppendError::NoSpace)) => full,
                verdict => return verdict,
            };
            // What fills the buffer may be staged only, with nobody who asks for it to be written.
            stage.demand.write = stage.appended();
            if stage.lead.is_some() && self.has_work(&stage) {
                self.work.notify_one();
            }
            let left = deadline.saturating_sub(self.env.clock.now());
            if self.room.wait_for(&mut stage, left).timed_out() {
                return stage.admit(bytes, class).map_err(|_still| full);
            }
        }
    }
}
