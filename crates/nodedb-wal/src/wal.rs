//! The handle that everything is done through.

use crate::{
    AppendClass, AppendError, Control, DurabilityListener, DurableFuture, Hold, LogOptions,
    ReadError, ReadLimit, Reader, Record, RecoveryReport, RetentionPin, SegmentInfo, Truncated,
    TruncationPlan, WaitError, WalError, Wanted,
    commit::{Goal, Part},
    control::ControlFile,
    core::Core,
    handle::{Handle, Parts, check_empty, lock},
    recovery::{Purpose, Settled, settle, survey},
    segment::{SegmentLink, SegmentWriter, Spare, Start},
    truncation,
};
use nodedb_env::Env;
use nodedb_types::{Durability, LogEpoch, Lsn, LsnRange};
use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};

/// An open log. Clones are handles to the same one; dropping the last closes it.
#[derive(Clone, Debug)]
pub struct Wal {
    handle: Arc<Handle>,
}

/// What a log can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogHealth {
    /// Everything.
    Healthy,
    /// No file can be prepared, as on a full disk; only housekeeping has room for sure.
    SpaceLow,
    /// Nothing but reading what is durable, until it is opened again.
    Poisoned,
}

impl Wal {
    /// Creates a log in an empty directory; its first record will be [`Lsn::FIRST`]. When this returns,
    /// the log is durable, except for the directory's own name in its parent.
    ///
    /// # Errors
    /// [`WalError::InvalidOptions`], [`WalError::Locked`], [`WalError::NotEmpty`], [`WalError::NoSpace`],
    /// [`WalError::Io`]. What was begun is no log then and may be removed.
    pub fn create(env: &Env, dir: &Path, options: LogOptions) -> Result<Self, WalError> {
        options.validate()?;
        let lock = lock(env, dir)?;
        check_empty(env, dir)?;
        let epoch = LogEpoch::new(1);
        let commit_ms = env.clock.unix_ms();
        let spare = Spare::prepare(env, dir, 0, options.segment_bytes)?;
        let start = Start {
            log_id: env.random.id().map_err(WalError::io("name", dir))?,
            number: 1,
            segment_bytes: options.segment_bytes,
            epoch,
            commit_ms,
            link: SegmentLink::first(None),
        };
        let (writer, segment) = SegmentWriter::start(env, dir, spare, &start)?;
        let state = Control {
            log_id: start.log_id,
            generation: 0,
            epoch,
            segment_bytes: options.segment_bytes,
            redo: Lsn::FIRST,
            checkpoint_record: None,
            durable: None,
            archived: None,
            oldest_segment: 1,
            newest_segment: 1,
            clean_shutdown: false,
        };
        let parts = Parts {
            control: ControlFile::create(env, dir, state)?,
            segments: vec![segment],
            writer,
            ready: VecDeque::new(),
            next_spare: 1,
            commit_ms,
            recovered_ms: None,
            last: None,
            lock,
        };
        let handle = Handle::start(env, dir, options, parts)?;
        Ok(Self { handle })
    }

    /// Opens a log for writing, in a new epoch and a new segment; on a full disk that has no file prepared
    /// for one, in the newest segment, of which users may then fill seven eighths. The size of its segments
    /// is taken from disk. When this returns, every record that it reports is durable.
    ///
    /// # Errors
    /// [`WalError::NotALog`], [`WalError::Locked`], [`WalError::InvalidOptions`], [`WalError::Io`]. [`WalError::Corruption`], [`WalError::Damaged`], [`WalError::MissingSegment`],
    /// [`WalError::ControlCorrupt`], [`WalError::WrongLog`], [`WalError::UnsupportedFormat`]: then no byte
    /// was changed.
    pub fn open(
        env: &Env,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, RecoveryReport), WalError> {
        options.validate()?;
        let lock = lock(env, dir)?;
        let survey = survey(env, dir, Purpose::Open)?;
        let settled = settle(env, dir, &survey)?;
        let Settled { report, .. } = settled;
        let parts = Parts {
            control: settled.control,
            segments: settled.segments,
            writer: settled.writer,
            ready: settled.ready,
            next_spare: settled.next_spare,
            commit_ms: settled.commit_ms,
            recovered_ms: Some(survey.commit_ms()),
            last: report.last,
            lock,
        };
        let handle = Handle::start(env, dir, options, parts)?;
        Ok((Self { handle }, report))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        self.handle.core()
    }

    /// Appends one atomic group: consecutive LSNs, all or nothing after every crash. Never blocks on the
    /// disk. When this returns, the group has its place but is not durable; the flusher is asked to write
    /// it, and for `Durability::Sync` to sync it. [`Wal::wait_durable`], [`Wal::durable_future`] and
    /// [`Wal::set_listener`] tell when that is done. Callers that block do better with [`Wal::stage`] and
    /// [`Wal::commit`].
    ///
    /// # Errors
    /// Before an LSN is taken, and with nothing done: [`AppendError::Backpressure`],
    /// [`AppendError::NoSpace`], [`AppendError::TooLarge`], [`AppendError::Poisoned`],
    /// [`AppendError::Closed`].
    ///
    /// # Panics
    /// If `records` is empty.
    pub fn append(
        &self,
        records: &[Record<'_>],
        durability: Durability,
        class: AppendClass,
    ) -> Result<LsnRange, AppendError> {
        self.core().append(records, durability, class)
    }

    /// Appends one atomic group as [`Wal::append`] does, but asks for nothing and wakes nobody. It is
    /// written with the next pass, which [`Wal::commit`], [`Wal::flush`], [`Wal::request`], [`Wal::request_sync`], a
    /// future or another append asks for; until then it is lost with the process. For callers that stage several
    /// groups and then commit the last, so that one write and one sync take them all.
    ///
    /// # Errors
    /// As [`Wal::append`].
    ///
    /// # Panics
    /// If `records` is empty.
    pub fn stage(
        &self,
        records: &[Record<'_>],
        class: AppendClass,
    ) -> Result<LsnRange, AppendError> {
        self.core().stage(records, class)
    }

    /// Waits until a group of `bytes` (the sum of [`Record::encoded_len`]) would be taken. Another
    /// thread's append may still come first.
    ///
    /// # Errors
    /// [`AppendError::Backpressure`] or [`AppendError::NoSpace`] if that is still so at `deadline`
    /// (a value of the clock's `now`); the others of [`Wal::append`] at once.
    pub fn wait_room(
        &self,
        bytes: usize,
        class: AppendClass,
        deadline: Duration,
    ) -> Result<(), AppendError> {
        self.core().wait_room(bytes, class, deadline)
    }

    /// Largest atomic group that is ever taken, in bytes of payloads and record headers.
    pub fn group_bytes_max(&self) -> usize {
        self.core().stage.lock().group_max()
    }

    /// This life of the log.
    pub fn epoch(&self) -> LogEpoch {
        self.core().epoch
    }

    /// Which log it is.
    pub fn log_id(&self) -> [u8; 16] {
        self.core().log_id
    }

    /// The last record that has a place.
    pub fn appended(&self) -> Option<Lsn> {
        self.core().stage.lock().appended()
    }

    /// The last record that survives a killed process.
    pub fn written(&self) -> Option<Lsn> {
        self.core().written()
    }

    /// The last record that survives a power cut.
    pub fn durable(&self) -> Option<Lsn> {
        self.core().durable()
    }

    /// The first record that is there, or would be.
    pub fn oldest(&self) -> Lsn {
        self.core().segments.oldest()
    }

    /// Asks for the records up to `up_to` to be synced; returns at once.
    pub fn request_sync(&self, up_to: Lsn) {
        self.core().request_sync(up_to);
    }

    /// Asks for what is wanted of staged records, all at once; returns at once.
    pub fn request(&self, wanted: Wanted) {
        self.core().request(wanted);
    }

    /// Makes a record durable and answers the durable position, which may be higher: for callers that
    /// block. If nobody writes, this thread itself writes and syncs everything staged, and others follow
    /// it; no other thread has to wake up first. `deadline` is a value of the clock's `now`.
    ///
    /// The deadline bounds the waiting, not a system call that this thread is in: a disk that hangs in a
    /// sync holds it. Where that must not be, [`Wal::wait_durable`] leaves the work to the flusher.
    ///
    /// # Errors
    /// As [`Wal::wait_durable`].
    pub fn commit(&self, lsn: Lsn, deadline: Duration) -> Result<Lsn, WaitError> {
        self.core().reach(lsn, Goal::Durable, Part::Commits, deadline)
    }

    /// Makes a record survive a killed process and answers the position up to which all do. Writes on this
    /// thread if nobody does; syncs nothing that was not asked for. `deadline` as for [`Wal::commit`].
    ///
    /// # Errors
    /// As [`Wal::wait_durable`].
    pub fn flush(&self, lsn: Lsn, deadline: Duration) -> Result<Lsn, WaitError> {
        self.core().reach(lsn, Goal::Written, Part::Commits, deadline)
    }

    /// Waits until a record is durable, asks for the sync, and answers the durable position, which may be
    /// higher. Another thread does the work, so that the deadline (a value of the clock's `now`) holds
    /// whatever the disk does.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], [`WaitError::Poisoned`]: the outcome is unknown. [`WaitError::Closed`] if
    /// the log was closed before such a record was appended.
    pub fn wait_durable(&self, lsn: Lsn, deadline: Duration) -> Result<Lsn, WaitError> {
        self.core().reach(lsn, Goal::Durable, Part::Waits, deadline)
    }

    /// Makes everything appended so far durable and answers the durable position.
    ///
    /// # Errors
    /// As [`Wal::wait_durable`].
    pub fn sync(&self, deadline: Duration) -> Result<Option<Lsn>, WaitError> {
        if let Some(appended) = self.appended() {
            self.wait_durable(appended, deadline)?;
        }
        Ok(self.durable())
    }

    /// Resolves when a record is durable, and asks for the sync. Needs no runtime. Dropping the future
    /// cancels only the waiting.
    pub fn durable_future(&self, lsn: Lsn) -> DurableFuture {
        DurableFuture::new(Arc::clone(self.core()), lsn)
    }

    /// Has a listener told of every change from now on, in place of the one before. It must not hold a
    /// `Wal`: the log would keep itself open.
    pub fn set_listener(&self, listener: Arc<dyn DurabilityListener>) {
        self.core().set_listener(listener);
    }

    /// Reads from a record on, which need not be there yet.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] if it was reclaimed.
    pub fn reader(&self, from: Lsn, limit: ReadLimit) -> Result<Reader, ReadError> {
        Reader::new(Arc::clone(self.core()), from, limit)
    }

    /// The commit clock, in milliseconds since 1970. Never goes back, also not over a reopen; a record
    /// appended after this call commits at this time or later.
    pub fn commit_time_ms(&self) -> u64 {
        self.core().commit_ms()
    }

    /// What the commit clock showed when the log was last written to before this open, in milliseconds
    /// since 1970; `None` of a log that this handle has made. How far it is from
    /// [`Wal::commit_time_ms`] tells how much time has passed, or that somebody has set the wall clock.
    pub fn recovered_commit_time_ms(&self) -> Option<u64> {
        self.core().recovered_ms
    }

    /// Byte position of the end of the log since its creation, headers and padding included.
    pub fn log_offset(&self) -> u64 {
        self.core().log_offset()
    }

    /// Bytes in use from the oldest segment to the end.
    pub fn wal_bytes(&self) -> u64 {
        self.segments().iter().map(|segment| segment.bytes).sum()
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.core().segments.infos(self.written())
    }

    /// What CONTROL holds.
    pub fn control(&self) -> Control {
        self.core().control.lock().state()
    }

    /// Records a checkpoint: from now on recovery starts at `redo`. When this returns, both slots of
    /// CONTROL hold it durably.
    ///
    /// # Errors
    /// [`WalError::Poisoned`], also if this very write fails; [`WalError::Closed`].
    ///
    /// # Panics
    /// If `redo` goes back or lies above the checkpoint record + 1, or if that record is not durable: each
    /// would lose data later.
    pub fn record_checkpoint(
        &self,
        redo: Lsn,
        checkpoint_record: Lsn,
        archived: Option<Lsn>,
    ) -> Result<(), WalError> {
        let core = self.core();
        let durable = core.durable();
        assert!(Some(checkpoint_record) <= durable, "a checkpoint record is synced first");
        assert!(redo <= checkpoint_record.next(), "a checkpoint says nothing of what follows it");
        core.change_control(|control| {
            assert!(redo >= control.state().redo, "recovery's start never goes back");
            control.write_both(|state| {
                state.redo = redo;
                state.checkpoint_record = Some(checkpoint_record);
                state.archived = state.archived.max(archived);
                state.durable = state.durable.max(durable);
            })
        })
    }

    /// Keeps the log from a record on, until the pin is dropped. If [`Wal::oldest`] lies above `lsn`
    /// afterwards, the record was gone already.
    pub fn pin(&self, name: &str, lsn: Lsn) -> RetentionPin {
        self.core().pins.pin(name, lsn)
    }

    /// The pins that are held.
    pub fn holds(&self) -> Vec<Hold> {
        self.core().pins.holds()
    }

    /// What could be removed now under these holds, the pins, and what recovery needs.
    pub fn plan_truncation(&self, holds: &[Hold]) -> TruncationPlan {
        truncation::plan(self.core(), holds)
    }

    /// Removes what a plan allows, except what was pinned since. When this returns, the new oldest
    /// segment is durably recorded.
    ///
    /// # Errors
    /// [`WalError::Poisoned`], also if CONTROL or the directory cannot be written; [`WalError::Closed`]. A
    /// file that cannot be removed is no error: the next open sweeps it.
    ///
    /// # Panics
    /// If the plan was made for another log.
    #[expect(clippy::needless_pass_by_value, reason = "a plan is carried out once")]
    pub fn truncate(&self, plan: TruncationPlan) -> Result<Truncated, WalError> {
        truncation::truncate(self.core(), &plan)
    }

    /// What the log can do.
    pub fn health(&self) -> LogHealth {
        let stage = self.core().stage.lock();
        if stage.poison.is_some() {
            LogHealth::Poisoned
        } else if stage.starved {
            LogHealth::SpaceLow
        } else {
            LogHealth::Healthy
        }
    }

    /// Closes the log: writes and syncs everything appended, marks the shutdown as clean, ends the
    /// threads and releases the directory. Other handles meet `Closed` from then on. Closing twice is fine.
    ///
    /// # Errors
    /// [`WalError::Poisoned`]: what was appended above `durable` may be lost.
    pub fn close(&self) -> Result<(), WalError> {
        self.handle.close()
    }
}
