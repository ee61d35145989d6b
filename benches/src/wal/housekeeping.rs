//! What a database does with its log all the time: checkpoints, so that segments are used again.

use anyhow::{Context, Result, anyhow};
use nodedb_env::{Env, Thread};
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{AppendClass, DurabilityListener, PoisonCause, Record, Wal};
use parking_lot::{Condvar, Mutex};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::calls::record;

const PATIENCE: Duration = Duration::from_mins(1);
/// Durable records between two looks at the log: fewer than a segment holds, so that a full one is soon
/// used again.
const LOOK_EVERY: u64 = 1 << 16;

/// Counts syncs, and says when it is time to look at the log.
#[derive(Debug, Default)]
pub(super) struct Watch {
    syncs: AtomicU64,
    next_look: AtomicU64,
    due: Mutex<Due>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Due {
    look: bool,
    end: bool,
}

impl Watch {
    /// Times that the durable position moved.
    pub(super) fn syncs(&self) -> u64 {
        // Relaxed: a counter.
        self.syncs.load(Ordering::Relaxed)
    }

    fn wait(&self) -> bool {
        let mut due = self.due.lock();
        self.changed.wait_while(&mut due, |due| !due.look && !due.end);
        due.look = false;
        !due.end
    }

    fn wake(&self, change: impl FnOnce(&mut Due)) {
        change(&mut self.due.lock());
        self.changed.notify_one();
    }
}

impl DurabilityListener for Watch {
    fn durable(&self, durable: Lsn) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        // Relaxed: only one thread at a time makes records durable, and a look too many does no harm.
        if durable.get() >= self.next_look.load(Ordering::Relaxed) {
            self.next_look.store(durable.get() + LOOK_EVERY, Ordering::Relaxed);
            self.wake(|due| due.look = true);
        }
    }

    fn written(&self, _: Lsn) {}

    fn poisoned(&self, _: &PoisonCause) {}
}

/// A thread that takes a checkpoint whenever a segment is full.
#[derive(Debug)]
pub(super) struct Housekeeper {
    watch: Arc<Watch>,
    thread: Option<Box<dyn Thread>>,
    outcome: Arc<Mutex<Result<u64>>>,
}

impl Housekeeper {
    /// Starts it and has it told of what becomes durable.
    pub(super) fn start(wal: &Wal, env: &Env) -> Result<Self> {
        let watch = Arc::new(Watch::default());
        wal.set_listener(Arc::<Watch>::clone(&watch));
        let outcome = Arc::new(Mutex::new(Ok(0)));
        let (wal, clock) = (wal.clone(), env.clone());
        let (seen, told) = (Arc::clone(&watch), Arc::clone(&outcome));
        let body = move || {
            let kept = keep(&wal, &clock, &seen);
            *told.lock() = kept;
        };
        let thread = env.threads.spawn("bench-keeper", Box::new(body))?;
        Ok(Self { watch, thread: Some(thread), outcome })
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Ends it. Answers how many records it has added to the log.
    pub(super) fn end(mut self) -> Result<u64> {
        self.watch.wake(|due| due.end = true);
        let thread = self.thread.take().context("a housekeeper ends once")?;
        thread.join().map_err(|_panic| anyhow!("housekeeping panicked"))?;
        std::mem::replace(&mut *self.outcome.lock(), Ok(0))
    }
}

impl Drop for Housekeeper {
    fn drop(&mut self) {
        // On the way out of an error only. The thread is not waited for: it ends with its checkpoint.
        self.watch.wake(|due| due.end = true);
    }
}

fn keep(wal: &Wal, env: &Env, watch: &Watch) -> Result<u64> {
    let mut checkpoints = 0;
    while watch.wait() {
        if wal.segments().len() > 1 {
            checkpoint(wal, env)?;
            checkpoints += 1;
        }
    }
    Ok(checkpoints)
}

/// As if engines had stored everything that is durable now.
fn checkpoint(wal: &Wal, env: &Env) -> Result<()> {
    let redo = Lsn::after(wal.durable());
    let record = Record { kind: 2, ..record(b"checkpoint") };
    let range = wal.append(&[record], Durability::Sync, AppendClass::Housekeeping)?;
    wal.wait_durable(range.start(), env.clock.now() + PATIENCE)?;
    wal.record_checkpoint(redo, range.start(), None)?;
    wal.truncate(wal.plan_truncation(&[]))?;
    Ok(())
}
