//! The sweeper: deletes documents whose time has come, a few per turn.
//!
//! Reads hide such documents at once; the logged delete is what frees their rows and the entries that
//! indexes hold of them.

use crate::{DataError, clock_watch::ClockWatch, core::Core, shared::Shared, vshard::Vshard};
use nodedb_document::Expiring;
use nodedb_types::{Durability, Stamp, VshardId};
use nodedb_wal::{AppendClass, Record};
use std::time::Duration;

/// Entries of the list of times that one turn looks at.
const SWEEP_ROWS_MAX: usize = 32;
/// How long the sweeper rests where there is no room for its deletes, or all that is due is paused.
const RETRY: Duration = Duration::from_secs(1);

/// What a core remembers of its sweeping.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// When the next slice is due; `None` while nothing is to expire.
    due: Option<Duration>,
    /// Not before this, whatever is due.
    pause: Duration,
    watch: ClockWatch,
    halted: bool,
    /// The vshard that was swept last; the next due one comes first, so that one that cannot be swept
    /// does not keep the others waiting.
    last: Option<VshardId>,
}

impl Sweep {
    /// A sweeper that begins by looking what there is. How far the clock has come while the database was
    /// closed is judged like every other step.
    pub(crate) fn new(shared: &Shared, jump_max: Duration) -> Self {
        let last = shared.wal.recovered_commit_time_ms();
        let last = last.unwrap_or_else(|| shared.wal.commit_time_ms());
        let watch = ClockWatch::new(last, shared.env.clock.now(), jump_max);
        Self { due: Some(Duration::ZERO), pause: Duration::ZERO, watch, halted: false, last: None }
    }

    /// When the core must have a turn for it.
    pub(crate) const fn due(&self) -> Option<Duration> {
        self.due
    }
}

impl Core {
    /// Sweeps one slice of one vshard, if one is due.
    pub(crate) fn sweep(&mut self) {
        let now = self.now();
        if self.closing || self.sweep.halted || self.sweep.due.is_none_or(|due| due > now) {
            return;
        }
        let now_ms = self.shared.wal.commit_time_ms();
        let is_due = |next: Option<u64>| next.is_some_and(|time| time <= now_ms);
        let due = self.vshards.values();
        let due = due.filter(|vshard| vshard.pause.is_none() && is_due(vshard.expires_next()));
        // Those behind the last one first, then those before it.
        let due = due.map(|vshard| vshard.id).min_by_key(|id| (Some(*id) <= self.sweep.last, *id));
        self.sweep.last = due.or(self.sweep.last);
        let swept = due.map(|id| self.sweep_slice(id, now_ms));
        match swept {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "expired documents cannot be deleted now");
                self.sweep.pause = now.saturating_add(RETRY);
            }
            None => self.sweep.pause = now.saturating_add(RETRY),
        }
        self.plan_sweep();
    }

    /// Notes when the next slice is due, after a turn that may have changed it.
    pub(crate) fn plan_sweep(&mut self) {
        let next = self.vshards.values().filter_map(Vshard::expires_next).min();
        self.sweep.due = next.filter(|_| !self.sweep.halted).map(|time| {
            let left = time.saturating_sub(self.shared.wal.commit_time_ms());
            let due = self.now().saturating_add(Duration::from_millis(left));
            due.max(self.sweep.pause)
        });
    }

    /// A clock that was set forward by mistake would delete for good what is still wanted.
    fn halt_sweep(&mut self, by: Duration) {
        self.sweep.halted = true;
        self.sweep.due = None;
        let hours = by.as_secs() / 3600;
        let reason = format!(
            "expired documents are not deleted: the clock went forward by {hours} hours at once; check \
             it, then open the database again"
        );
        tracing::error!(core_id = %self.id, hours, "the sweeper has halted over a jump of the clock");
        *self.shared.expiry_halt.lock() = Some(reason);
    }

    fn sweep_slice(&mut self, id: VshardId, now_ms: u64) -> Result<(), DataError> {
        let Some(vshard) = self.vshards.get(&id) else {
            return Ok(());
        };
        self.admit(id, AppendClass::Freeing, false)?;
        let slice = vshard.expiring(now_ms, SWEEP_ROWS_MAX)?;
        let now = self.now();
        // Looked at only where something would be deleted by it.
        if !slice.due.is_empty()
            && let Err(jump) = self.sweep.watch.check(now_ms, now)
        {
            self.halt_sweep(jump.by);
            return Ok(());
        }
        // Also if it stops half-way: what was deleted by then weighs like every other write.
        self.touched.insert(id);
        for entry in &slice.due {
            self.delete_expired(id, entry)?;
        }
        if let Some(vshard) = self.vshards.get_mut(&id) {
            // Only now, with their deletes logged and applied.
            vshard.forget_expiring(slice);
        }
        Ok(())
    }

    /// Checked, logged and applied in one turn, like every write. Nobody waits for it, so no sync is
    /// asked for.
    fn delete_expired(&mut self, id: VshardId, entry: &Expiring) -> Result<(), DataError> {
        let redo = self.vshards.get(&id).map(|vshard| vshard.expire(entry)).transpose()?;
        let Some(redo) = redo.flatten() else {
            return Ok(());
        };
        let payload = redo.encode();
        let record = Record {
            tenant: entry.tenant,
            vshard: id,
            kind: redo.kind().code(),
            payload: &payload,
        };
        let range = self.append(&[record], Durability::Buffered, AppendClass::Freeing)?;
        let stamp = Stamp { epoch: self.shared.wal.epoch(), lsn: range.start() };
        if let Some(vshard) = self.vshards.get_mut(&id) {
            vshard.apply(stamp, entry.tenant, &redo);
        }
        Ok(())
    }
}
