//! What handles and cores share.

use crate::{
    Answer, board::Board, published::PublishedCatalog, release::ReleaseQueue, task::Task,
    weak::WeakWrites,
};
use nodedb_bridge::Bridge;
use nodedb_engine::{IoBudget, Snapshots};
use nodedb_env::Env;
use nodedb_types::{CoreId, Lsn};
use nodedb_wal::{DurabilityListener, PoisonCause, Wal};
use parking_lot::Mutex;
use std::{fmt, sync::Arc, time::Duration};

/// The durable position of a turn and its time.
pub(crate) type Turn = (Option<Lsn>, Duration);

/// The parts that every handle and every core reaches.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) wal: Wal,
    pub(crate) bridge: Bridge<Task, Answer>,
    pub(crate) vshards: u16,
    pub(crate) cores: u16,
    pub(crate) board: Arc<Board>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) catalog: Arc<PublishedCatalog>,
    /// What each core has acknowledged, or is about to, below `Sync`.
    pub(crate) weak: Box<[Mutex<WeakWrites>]>,
    /// Why the sweeper has halted, if it has.
    pub(crate) expiry_halt: Mutex<Option<String>>,
    /// How fast maintenance may read and write.
    pub(crate) budget: Arc<IoBudget>,
}

impl Shared {
    /// Notes that a record may be acknowledged before it is durable. Called before the answer is
    /// parked, so whoever has seen the answer finds the mark.
    pub(crate) fn note_weak(&self, core: CoreId, lsn: Lsn, (durable, now): Turn) {
        let weak = self.weak.get(usize::from(core.get()));
        assert!(weak.is_some(), "core {core} exists");
        // Under the mutex: the acknowledgement happens after it, and a snapshot that is asked for after
        // that acknowledgement takes the mutex later.
        if let Some(weak) = weak {
            weak.lock().note(lsn, durable, now);
        }
    }

    /// The highest record noted so.
    pub(crate) fn weak_acked(&self) -> Option<Lsn> {
        self.weak.iter().filter_map(|weak| weak.lock().highest()).max()
    }

    /// How long the oldest of them that is not durable has been acknowledged.
    pub(crate) fn weak_age(&self, durable: Option<Lsn>, now: Duration) -> Option<Duration> {
        self.weak.iter().filter_map(|weak| weak.lock().age(durable, now)).max()
    }
}

/// Hears from the log's flusher and releases the parked answers of all cores.
pub(crate) struct Listener {
    pub(crate) queues: Box<[Arc<ReleaseQueue>]>,
    pub(crate) bridge: Bridge<Task, Answer>,
}

impl DurabilityListener for Listener {
    fn durable(&self, durable: Lsn) {
        self.queues.iter().for_each(|queue| queue.durable(durable));
    }

    fn written(&self, written: Lsn) {
        self.queues.iter().for_each(|queue| queue.written(written));
    }

    fn poisoned(&self, error: &PoisonCause) {
        let cause = error.to_string();
        for (core, queue) in (0..).map(CoreId::new).zip(&self.queues) {
            queue.poison(&cause);
            // So that it drops the live CRDT documents that hold what may be lost.
            self.bridge.wake(core);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("cores", &self.queues.len()).finish_non_exhaustive()
    }
}
