//! What all handles, threads, readers and futures of one open log share.

use crate::{
    AppendClass, AppendError, LogOptions, PoisonCause, Record, WaitError, WalError,
    control::ControlFile, pins::Pins, segment::SegmentSet, stage::Stage, watch::Watchers,
};
use crc32c::crc32c;
use nodedb_env::Env;
use nodedb_types::{Durability, LogEpoch, Lsn, LsnRange};
use parking_lot::{Condvar, Mutex, RwLock};
use std::{
    fmt::Debug,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Is told after each change: by the flusher, on its thread, or of a failure by the thread that met it.
/// Must be quick and must not call back into anything that waits for the log.
pub trait DurabilityListener: Send + Sync + Debug {
    /// All records up to this one survive a power cut.
    fn durable(&self, durable: Lsn);

    /// All records up to this one survive a killed process.
    fn written(&self, written: Lsn);

    /// A write or sync failed; nothing becomes durable any more.
    fn poisoned(&self, error: &PoisonCause);
}

/// The shared state of an open log.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    pub(crate) options: LogOptions,
    pub(crate) log_id: [u8; 16],
    pub(crate) epoch: LogEpoch,
    pub(crate) segment_bytes: u64,
    pub(crate) segments: SegmentSet,
    pub(crate) control: Mutex<ControlFile>,
    pub(crate) pins: Arc<Pins>,
    /// Held while files are removed. Taken before every other lock.
    pub(crate) reclaim: Mutex<()>,
    pub(crate) stage: Mutex<Stage>,
    /// The flusher sleeps here.
    pub(crate) work: Condvar,
    /// The preparer sleeps here.
    pub(crate) shortage: Condvar,
    /// Who waits for room to append sleeps here.
    pub(crate) room: Condvar,
    /// Who waits for a record to be durable sleeps on one of these; see [`Stage::turnstile`].
    pub(crate) turnstiles: [Condvar; 2],
    pub(crate) written_watchers: Watchers,
    pub(crate) durable_watchers: Watchers,
    listener: RwLock<Option<Arc<dyn DurabilityListener>>>,
    // Mirrors for readers without the lock; 0 is none. Each changes only upwards.
    written: AtomicU64,
    durable: AtomicU64,
    log_offset: AtomicU64,
    commit_ms: AtomicU64,
    pub(crate) next_spare: AtomicU64,
}

/// What a core starts from.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    pub(crate) options: LogOptions,
    pub(crate) control: ControlFile,
    pub(crate) segments: SegmentSet,
    pub(crate) pins: Arc<Pins>,
    pub(crate) stage: Stage,
    pub(crate) commit_ms: u64,
    pub(crate) log_offset: u64,
    pub(crate) next_spare: u64,
}

impl Core {
    pub(crate) fn new(birth: Birth) -> Self {
        let control = birth.control.state();
        let last = Lsn::encode(birth.stage.appended());
        Self {
            env: birth.env,
            dir: birth.dir,
            options: birth.options,
            log_id: control.log_id,
            epoch: control.epoch,
            segment_bytes: control.segment_bytes,
            segments: birth.segments,
            control: Mutex::new(birth.control),
            pins: birth.pins,
            reclaim: Mutex::default(),
            stage: Mutex::new(birth.stage),
            work: Condvar::new(),
            shortage: Condvar::new(),
            room: Condvar::new(),
            turnstiles: [Condvar::new(), Condvar::new()],
            written_watchers: Watchers::default(),
            durable_watchers: Watchers::default(),
            listener: RwLock::new(None),
            written: AtomicU64::new(last),
            durable: AtomicU64::new(last),
            log_offset: AtomicU64::new(birth.log_offset),
            commit_ms: AtomicU64::new(birth.commit_ms),
            next_spare: AtomicU64::new(birth.next_spare),
        }
    }

    pub(crate) fn written(&self) -> Option<Lsn> {
        Lsn::from_u64(self.written.load(Ordering::Acquire))
    }

    pub(crate) fn durable(&self) -> Option<Lsn> {
        Lsn::from_u64(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn log_offset(&self) -> u64 {
        self.log_offset.load(Ordering::Acquire)
    }

    /// The commit clock: the wall clock, but never backwards, in this life of the log or another.
    pub(crate) fn commit_ms(&self) -> u64 {
        let wall = self.env.clock.unix_ms();
        self.commit_ms.fetch_max(wall, Ordering::AcqRel).max(wall)
    }

    pub(crate) fn set_listener(&self, listener: Arc<dyn DurabilityListener>) {
        *self.listener.write() = Some(listener);
    }

    fn tell(&self, news: impl FnOnce(&dyn DurabilityListener)) {
        // Out of the lock: a listener may take locks of its own.
        let listener = self.listener.read().clone();
        if let Some(listener) = listener {
            news(listener.as_ref());
        }
    }

    pub(crate) fn append(
        &self,
        records: &[Record<'_>],
        durability: Durability,
        class: AppendClass,
    ) -> Result<LsnRange, AppendError> {
        assert!(!records.is_empty(), "an atomic group has at least one record");
        // Outside the lock: it is the only part of an append that takes time.
        let crcs: Vec<u32> = records.iter().map(|r| crc32c(r.payload)).collect();
        let mut stage = self.stage.lock();
        let range = stage.append(records, &crcs, class)?;
        if durability == Durability::Sync {
            stage.sync_wanted = range.last();
        }
        if let Durability::Periodic { every } = durability {
            let due = self.env.clock.now().saturating_add(every);
            stage.sync_due = Some(stage.sync_due.map_or(due, |earlier| earlier.min(due)));
        }
        // `Buffered` is written at once, and synced when something else is: a future, for one, that
        // has waited for this record since before it was there.
        let awaited = stage.last_awaited(range.end());
        stage.sync_wanted = stage.sync_wanted.max(awaited);
        drop(stage);
        self.work.notify_one();
        Ok(range)
    }

    pub(crate) fn request_sync(&self, up_to: Lsn) {
        let mut stage = self.stage.lock();
        if stage.want_sync(up_to) {
            drop(stage);
            self.work.notify_one();
        }
    }

    /// Whether a record is durable, or will never be; `None` if that is open.
    pub(crate) fn verdict(&self, stage: &Stage, lsn: Lsn) -> Option<Result<(), WaitError>> {
        if self.durable() >= Some(lsn) {
            return Some(Ok(()));
        }
        if let Some(cause) = &stage.poison {
            return Some(Err(WaitError::Poisoned(cause.clone())));
        }
        if stage.closing && stage.appended() < Some(lsn) {
            return Some(Err(WaitError::Closed));
        }
        None
    }

    pub(crate) fn wait_durable(&self, lsn: Lsn, deadline: Duration) -> Result<(), WaitError> {
        if self.durable() >= Some(lsn) {
            return Ok(());
        }
        let mut stage = self.stage.lock();
        loop {
            if let Some(verdict) = self.verdict(&stage, lsn) {
                return verdict;
            }
            // Again after every pass: the record may have been appended only after the wait began.
            if stage.want_sync(lsn) {
                self.work.notify_one();
            }
            let left = deadline.saturating_sub(self.env.clock.now());
            let turnstile = stage.turnstile(lsn);
            let Some(turnstile) = self.turnstiles.get(turnstile) else {
                continue;
            };
            if turnstile.wait_for(&mut stage, left).timed_out() {
                return self.verdict(&stage, lsn).unwrap_or(Err(WaitError::Timeout));
            }
        }
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
            match stage.admit(bytes, class) {
                Err(full @ (AppendError::Backpressure | AppendError::NoSpace)) => {
                    let left = deadline.saturating_sub(self.env.clock.now());
                    if self.room.wait_for(&mut stage, left).timed_out() {
                        return stage.admit(bytes, class).map_err(|_still| full);
                    }
                }
                verdict => return verdict,
            }
        }
    }

    pub(crate) fn publish_written(&self, written: Option<Lsn>, log_offset: u64) {
        self.log_offset.store(log_offset, Ordering::Release);
        let before = self.written.swap(Lsn::encode(written), Ordering::AcqRel);
        assert!(before <= Lsn::encode(written), "written never goes back");
        if let Some(written) = written.filter(|written| written.get() > before) {
            self.written_watchers.notify();
            self.tell(|listener| listener.written(written));
        }
    }

    /// Publishes that all records up to `durable` survived a sync, and wakes the futures among them.
    ///
    /// # Errors
    /// `Poisoned` if another thread met a failure during the sync: what was durable then stays the last
    /// word, and whoever was told of the failure has acted on it.
    pub(crate) fn publish_durable(&self, durable: Option<Lsn>) -> Result<(), WalError> {
        assert!(durable <= self.written(), "only what is written can be durable");
        let mut stage = self.stage.lock();
        if let Some(cause) = &stage.poison {
            return Err(WalError::Poisoned(cause.clone()));
        }
        let before = self.durable.swap(Lsn::encode(durable), Ordering::AcqRel);
        assert!(before <= Lsn::encode(durable), "durable never goes back");
        let Some(durable) = durable.filter(|durable| durable.get() > before) else {
            return Ok(());
        };
        let waiting = stage.wakers.split_off(&(durable.next(), 0));
        let ready = std::mem::replace(&mut stage.wakers, waiting);
        drop(stage);
        ready.into_values().for_each(std::task::Waker::wake);
        self.durable_watchers.notify();
        self.tell(|listener| listener.durable(durable));
        Ok(())
    }

    /// Ends a pass: frees its memory and wakes whom it was for.
    pub(crate) fn end_pass(&self, buffers: impl Iterator<Item = Vec<u8>>) {
        let mut stage = self.stage.lock();
        let finished = stage.pass % 2;
        stage.end_pass(buffers);
        drop(stage);
        if let Some(turnstile) = self.turnstiles.get(finished) {
            turnstile.notify_all();
        }
        self.room.notify_all();
    }

    /// Ends the life of the log: a write or sync failed, so nothing may be acknowledged, deleted or
    /// synced again. Everybody who waits is told now. The first cause stays.
    pub(crate) fn poison(&self, cause: &PoisonCause) {
        if self.mark_poisoned(cause) {
            self.announce_poison(cause);
        }
    }

    /// From now on everything is refused. Answers whether this is the first cause.
    fn mark_poisoned(&self, cause: &PoisonCause) -> bool {
        let mut stage = self.stage.lock();
        if stage.poison.is_some() {
            return false;
        }
        tracing::error!(%cause, dir = %self.dir.display(), "log poisoned");
        stage.poison = Some(cause.clone());
        true
    }

    /// Out of all locks: a waker may run or drop anything, such as a task that holds a pin.
    fn announce_poison(&self, cause: &PoisonCause) {
        let wakers = std::mem::take(&mut self.stage.lock().wakers);
        self.wake_all();
        wakers.into_values().for_each(std::task::Waker::wake);
        self.end_watches(&WaitError::Poisoned(cause.clone()));
        self.tell(|listener| listener.poisoned(cause));
    }

    /// Nothing is published any more. Out of all locks, as above.
    pub(crate) fn end_watches(&self, end: &WaitError) {
        self.written_watchers.end(end.clone());
        self.durable_watchers.end(end.clone());
    }

    pub(crate) fn wake_all(&self) {
        for condvar in [&self.work, &self.shortage, &self.room] {
            condvar.notify_all();
        }
        for turnstile in &self.turnstiles {
            turnstile.notify_all();
        }
    }

    /// Refuses on a poisoned log.
    pub(crate) fn check_healthy(&self) -> Result<(), WalError> {
        match &self.stage.lock().poison {
            Some(cause) => Err(WalError::Poisoned(cause.clone())),
            None => Ok(()),
        }
    }

    /// Changes CONTROL, unless the log is closed; a failure poisons the log.
    pub(crate) fn change_control(
        &self,
        change: impl FnOnce(&mut ControlFile) -> Result<(), WalError>,
    ) -> Result<(), WalError> {
        self.change_control_under((), change)
    }

    /// The same while the caller holds a lock, which is given up before a failure is announced.
    pub(crate) fn change_control_under<G>(
        &self,
        guard: G,
        change: impl FnOnce(&mut ControlFile) -> Result<(), WalError>,
    ) -> Result<G, WalError> {
        let mut control = self.control.lock();
        // Under the lock: nothing is recorded after a failure, also not by a racing thread.
        self.check_healthy()?;
        if control.is_closed() {
            return Err(WalError::Closed);
        }
        let Err(error) = change(&mut control) else {
            return Ok(guard);
        };
        let cause = PoisonCause::from_failure(error);
        let first = self.mark_poisoned(&cause);
        drop(control);
        drop(guard);
        if first {
            self.announce_poison(&cause);
        }
        Err(WalError::Poisoned(cause))
    }
}
