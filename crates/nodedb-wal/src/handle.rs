//! The life of an open log: its lock, its threads, its end.

use crate::{
    Control, LogOptions, WaitError, WalError,
    committer::Committer,
    control::ControlFile,
    core::{Birth, Core},
    flusher,
    pins::Pins,
    preparer,
    segment::{Segment, SegmentSet, SegmentWriter, Spare, name},
    stage::Stage,
    sync::Mutex,
};
use nodedb_env::{Env, FileLock, Thread};
use nodedb_types::Lsn;
use std::{collections::VecDeque, io, path::Path, sync::Arc};

/// What ends with the last clone.
#[derive(Debug)]
pub(crate) struct Handle {
    core: Arc<Core>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    threads: Vec<Box<dyn Thread>>,
    // Held until the threads have ended: who opens next must find nobody writing.
    _lock: Box<dyn FileLock>,
}

/// What creating and opening have in common.
pub(crate) struct Parts {
    pub(crate) control: ControlFile,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) writer: SegmentWriter,
    pub(crate) ready: VecDeque<Spare>,
    pub(crate) next_spare: u64,
    pub(crate) commit_ms: u64,
    pub(crate) recovered_ms: Option<u64>,
    pub(crate) last: Option<Lsn>,
    pub(crate) lock: Box<dyn FileLock>,
}

/// Locks a directory for this process.
pub(crate) fn lock(env: &Env, dir: &Path) -> Result<Box<dyn FileLock>, WalError> {
    let path = dir.join(name::LOCK);
    env.files.lock(&path).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            let dir = dir.to_owned();
            WalError::Locked { dir }
        } else {
            WalError::io("lock", &path)(error)
        }
    })
}

/// Refuses a directory that holds anything but the lock.
pub(crate) fn check_empty(env: &Env, dir: &Path) -> Result<(), WalError> {
    let entries = env.files.list(dir).map_err(WalError::io("list", dir))?;
    if entries.iter().any(|entry| entry.name != name::LOCK) {
        let dir = dir.to_owned();
        return Err(WalError::NotEmpty { dir });
    }
    Ok(())
}

impl Handle {
    /// Starts the threads of a log.
    pub(crate) fn start(
        env: &Env,
        dir: &Path,
        options: LogOptions,
        parts: Parts,
    ) -> Result<Arc<Self>, WalError> {
        let segments = SegmentSet::new(parts.segments);
        let active = segments.newest();
        let bytes_max = options.staging_bytes_max;
        let Control { log_id, segment_bytes, .. } = parts.control.state();
        let next = Lsn::after(parts.last);
        let mut stage = Stage::new(segment_bytes, bytes_max, next, parts.writer.offset());
        stage.ready = parts.ready;
        let committer = Committer::new(parts.writer, active, parts.last);
        let log_offset = committer.log_offset();
        stage.lead = Some(Box::new(committer));
        let core = Arc::new(Core::new(Birth {
            env: env.clone(),
            dir: dir.to_owned(),
            options,
            control: parts.control,
            segments,
            pins: Arc::new(Pins::open(env, dir, log_id)?),
            stage,
            commit_ms: parts.commit_ms,
            recovered_ms: parts.recovered_ms,
            log_offset,
            next_spare: parts.next_spare,
        }));
        let threads = spawn(env, &core).map_err(WalError::io("start a thread for", dir))?;
        let running = Mutex::new(Some(Running { threads, _lock: parts.lock }));
        Ok(Arc::new(Self { core, running }))
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn close(&self) -> Result<(), WalError> {
        // Held throughout: a second closer returns when the log is closed, not before.
        let mut running = self.running.lock();
        let Some(run) = running.take() else {
            return self.core.check_healthy();
        };
        let closed = end(&self.core, run);
        drop(running);
        announce_end(&self.core);
        closed
    }
}

/// Ends the threads, then marks the shutdown as clean, then lets others open the log.
fn end(core: &Core, mut run: Running) -> Result<(), WalError> {
    core.stage.lock().closing = true;
    core.wake_all();
    for thread in run.threads.drain(..) {
        if thread.join().is_err() {
            // It has poisoned the log on its way out.
            tracing::error!("a thread of the log panicked");
        }
    }
    let durable = core.durable();
    // A truncation under way comes to its end first: who opens next may use the same names.
    let reclaim = core.reclaim.lock();
    let closed = core.change_control(|control| control.close(durable));
    core.pins.close();
    drop(reclaim);
    closed
}

/// Tells futures and watches. Out of all locks, that of the handle included: a waker may run a task that
/// closes the log itself.
fn announce_end(core: &Core) {
    let wakers = std::mem::take(&mut core.stage.lock().wakers);
    wakers.into_values().for_each(std::task::Waker::wake);
    core.end_watches(&WaitError::Closed);
}

impl Drop for Handle {
    fn drop(&mut self) {
        let Some(run) = self.running.get_mut().take() else {
            return;
        };
        let core = Arc::clone(&self.core);
        let close = move || {
            if let Err(error) = end(&core, run) {
                tracing::warn!(%error, "log not closed in order");
            }
            announce_end(&core);
        };
        if !self.core.is_own_thread() {
            return close();
        }
        // A waker has dropped the last handle on a thread that is to be joined: another one must do it.
        // It has no owner, but an end: what it waits for goes on as soon as this returns.
        let spawned = self.core.env.threads.spawn("wal-close", Box::new(close));
        if let Err(error) = spawned {
            tracing::warn!(%error, "log not closed in order");
        }
    }
}

fn spawn(env: &Env, core: &Arc<Core>) -> io::Result<Vec<Box<dyn Thread>>> {
    let for_flusher = Arc::clone(core);
    let flush = Box::new(move || {
        for_flusher.enter_own_thread();
        flusher::run(&for_flusher);
    });
    let for_preparer = Arc::clone(core);
    let prepare = Box::new(move || {
        for_preparer.enter_own_thread();
        preparer::run(&for_preparer);
    });
    let preparer = env.threads.spawn("wal-prepare", prepare)?;
    match env.threads.spawn("wal-flush", flush) {
        Ok(flusher) => Ok(vec![flusher, preparer]),
        Err(error) => {
            // No thread may outlive a failed open.
            core.stage.lock().closing = true;
            core.wake_all();
            if preparer.join().is_err() {
                tracing::error!("a thread of the log panicked");
            }
            Err(error)
        }
    }
}
