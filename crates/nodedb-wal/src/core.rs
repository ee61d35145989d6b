//! What all handles, threads, readers and futures of one open log share.

use crate::{
    LogOptions, PoisonCause, WaitError, WalError,
    control::ControlFile,
    pins::Pins,
    segment::SegmentSet,
    stage::Stage,
    sync::{
        Condvar, Mutex, RwLock, ThreadId,
        atomic::{AtomicU32, AtomicU64, Ordering},
        current,
    },
    watch::Watchers,
    word::Word,
};
use nodedb_env::Env;
use nodedb_types::{LogEpoch, Lsn};
use std::{fmt::Debug, path::PathBuf, sync::Arc};

/// Is told after each change, in order, by the thread that made it: the flusher, or a caller that commits.
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
    /// Held while the directory is synced; see [`Core::change_directory`].
    pub(crate) directory: Mutex<()>,
    pub(crate) stage: Mutex<Stage>,
    /// The flusher sleeps here.
    pub(crate) work: Condvar,
    /// The preparer sleeps here.
    pub(crate) shortage: Condvar,
    /// Who waits for room to append sleeps here.
    pub(crate) room: Condvar,
    /// Who waits for the end of a pass sleeps on the word of its number, modulo their count.
    words: [Word; 16],
    /// Threads that came to commit in the next pass: for a leader that gathers, without the lock.
    pub(crate) arrived: AtomicU32,
    pub(crate) written_watchers: Watchers,
    pub(crate) durable_watchers: Watchers,
    listener: RwLock<Option<Arc<dyn DurabilityListener>>>,
    // Mirrors for readers without the lock; 0 is none. Each changes only upwards.
    written: AtomicU64,
    durable: AtomicU64,
    log_offset: AtomicU64,
    commit_ms: AtomicU64,
    /// The commit clock as opening found it.
    pub(crate) recovered_ms: Option<u64>,
    pub(crate) next_spare: AtomicU64,
    own_threads: Mutex<Vec<ThreadId>>,
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
    pub(crate) recovered_ms: Option<u64>,
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
            directory: Mutex::default(),
            stage: Mutex::new(birth.stage),
            work: Condvar::new(),
            shortage: Condvar::new(),
            room: Condvar::new(),
            words: Default::default(),
            arrived: AtomicU32::new(0),
            written_watchers: Watchers::default(),
            durable_watchers: Watchers::default(),
            listener: RwLock::new(None),
            written: AtomicU64::new(last),
            durable: AtomicU64::new(last),
            log_offset: AtomicU64::new(birth.log_offset),
            commit_ms: AtomicU64::new(birth.commit_ms),
            recovered_ms: birth.recovered_ms,
            next_spare: AtomicU64::new(birth.next_spare),
            own_threads: Mutex::default(),
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

    /// Notes that the current thread is one that closing waits for.
    pub(crate) fn enter_own_thread(&self) {
        self.own_threads.lock().push(current().id());
    }

    pub(crate) fn is_own_thread(&self) -> bool {
        self.own_threads.lock().contains(&current().id())
    }

    /// Where who waits for the end of this pass sleeps.
    #[expect(clippy::indexing_slicing, reason = "a remainder of the length is an index")]
    pub(crate) fn word(&self, pass: usize) -> &Word {
        &self.words[pass % self.words.len()]
    }

    pub(crate) fn publish_written(&self, written: Option<Lsn>, log_offset: u64) {
        self.log_offset.store(log_offset, Ordering::Release);
        let before = self.written.swap(Lsn::encode(written), Ordering::AcqRel);
        assert!(before <= Lsn::encode(written), "written never goes back");
        if let Some(written) = written.filter(|written| written.get() > before) {
            self.tell(|listener| listener.written(written));
        }
    }

    /// Publishes that all records up to `durable` survived a sync. Who waits is woken when the pass ends.
    ///
    /// # Errors
    /// `Poisoned` if another thread met a failure during the sync: what was durable then stays the last
    /// word, and whoever was told of the failure has acted on it.
    pub(crate) fn publish_durable(&self, durable: Option<Lsn>) -> Result<(), WalError> {
        assert!(durable <= self.written(), "only what is written can be durable");
        let stage = self.stage.lock();
        if let Some(cause) = &stage.poison {
            return Err(WalError::Poisoned(cause.clone()));
        }
        let before = self.durable.swap(Lsn::encode(durable), Ordering::AcqRel);
        assert!(before <= Lsn::encode(durable), "durable never goes back");
        drop(stage);
        if let Some(durable) = durable.filter(|durable| durable.get() > before) {
            self.tell(|listener| listener.durable(durable));
        }
        Ok(())
    }

    /// Ends the life of the log: a write or sync failed, so nothing may be acknowledged, deleted or
    /// synced again. Everybody who waits is told now. The first cause stays.
    pub(crate) fn poison(&self, cause: &PoisonCause) {
        if self.mark_poisoned(cause) {
            self.announce_poison(cause);
        }
    }

    /// From now on everything is refused. Answers whether this is the first cause.
    pub(crate) fn mark_poisoned(&self, cause: &PoisonCause) -> bool {
        let mut stage = self.stage.lock();
        if stage.poison.is_some() {
            return false;
        }
        tracing::error!(%cause, dir = %self.dir.display(), "log poisoned");
        stage.poison = Some(cause.clone());
        true
    }

    /// Out of all locks: a waker may run or drop anything, such as a task that holds a pin.
    pub(crate) fn announce_poison(&self, cause: &PoisonCause) {
        let wakers = std::mem::take(&mut self.stage.lock().wakers);
        self.wake_all();
        wakers.into_values().for_each(std::task::Waker::wake);
        self.end_watches(&WaitError::Poisoned(cause.clone()));
        self.tell(|listener| listener.poisoned(cause));
    }

    /// Tells the watches of a pass that has ended. Out of all locks, and without the lead, as above.
    pub(crate) fn notify_watches(&self) {
        self.written_watchers.notify(self.written());
        self.durable_watchers.notify(self.durable());
    }

    /// Nothing is published any more. As above.
    pub(crate) fn end_watches(&self, end: &WaitError) {
        self.written_watchers.end(end.clone());
        self.durable_watchers.end(end.clone());
    }

    pub(crate) fn wake_all(&self) {
        for condvar in [&self.work, &self.shortage, &self.room] {
            condvar.notify_all();
        }
        for word in &self.words {
            word.wake(crate::commit::EVERYBODY);
        }
    }

    /// Refuses on a poisoned log.
    pub(crate) fn check_healthy(&self) -> Result<(), WalError> {
        match &self.stage.lock().poison {
            Some(cause) => Err(WalError::Poisoned(cause.clone())),
            None => Ok(()),
        }
    }

    /// Changes names and syncs the directory, one thread at a time; a failure poisons the log before the
    /// next one may. A failed sync of a directory is reported once: another thread's would succeed and
    /// leave its names as little on disk, and a record in such a file would be acknowledged and lost.
    pub(crate) fn change_directory<T>(
        &self,
        change: impl FnOnce() -> Result<T, WalError>,
    ) -> Result<T, WalError> {
        let directory = self.directory.lock();
        self.check_healthy()?;
        let error = match change() {
            Ok(changed) => return Ok(changed),
            Err(error) => error,
        };
        let cause = PoisonCause::from_failure(error);
        let first = self.mark_poisoned(&cause);
        drop(directory);
        if first {
            self.announce_poison(&cause);
        }
        Err(WalError::Poisoned(cause))
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
