//! The registry of scan snapshots, which decides what may be ingested.

use nodedb_env::Clock;
use nodedb_types::Lsn;
use parking_lot::{Condvar, Mutex};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Longest life of a snapshot while somebody waits for it to end.
const AGE_MAX: Duration = Duration::from_secs(30);

/// All open snapshots of a database (protocol rule P3).
///
/// A long scan reads every page and every partition at one position S. The tables below the memtables
/// know no positions, so a memtable may enter them only while its last record is at or below every S.
/// Registration samples S under the same mutex that decides ingestion: a memtable admitted for W
/// proves `W <= durable`, and every S sampled later is at or above that.
#[derive(Debug)]
pub struct Snapshots {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    /// Open snapshots by position and id, with the time of their registration.
    open: BTreeMap<(Lsn, u64), Duration>,
}

/// The snapshot was given up because a flush waited for it; start the scan again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the snapshot at record {lsn} is older than 30 s and was given up: start the scan again")]
pub struct SnapshotExpired {
    /// Its position.
    pub lsn: Lsn,
}

/// An open snapshot; closed when dropped.
#[derive(Debug)]
pub struct Snapshot {
    registry: Arc<Snapshots>,
    key: (Lsn, u64),
}

impl Snapshots {
    /// An empty registry.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default(), released: Condvar::new() })
    }

    /// Registers a snapshot at the durable position, read by `durable` under the registry's mutex;
    /// `None` while the log holds nothing durable.
    pub fn register(self: &Arc<Self>, durable: impl FnOnce() -> Option<Lsn>) -> Option<Snapshot> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let lsn = durable()?;
        let key = (lsn, state.next_id);
        state.next_id += 1;
        state.open.insert(key, now);
        Some(Snapshot { registry: Arc::clone(self), key })
    }

    /// The oldest position that some open snapshot reads.
    pub fn oldest(&self) -> Option<Lsn> {
        self.state.lock().open.keys().next().map(|(lsn, _)| *lsn)
    }

    /// Waits until nothing below `watermark` is read any more, giving up snapshots that are older
    /// than 30 s. The caller has seen that the watermark is durable, so no later snapshot lies below.
    pub fn wait_for_ingestion(&self, watermark: Lsn) {
        let mut state = self.state.lock();
        loop {
            let now = self.clock.now();
            state.open.retain(|(lsn, _), since| {
                *lsn >= watermark || now.saturating_sub(*since) < AGE_MAX
            });
            let below = |(key, _): (&(Lsn, u64), &Duration)| key.0 < watermark;
            if !state.open.first_key_value().is_some_and(below) {
                return;
            }
            self.released.wait_for(&mut state, AGE_MAX / 30);
        }
    }
}

impl Snapshot {
    /// The position that it reads.
    pub const fn lsn(&self) -> Lsn {
        self.key.0
    }

    /// Checks that it has not been given up; a page read before this check is whole.
    ///
    /// # Errors
    /// [`SnapshotExpired`].
    pub fn check(&self) -> Result<(), SnapshotExpired> {
        if self.registry.state.lock().open.contains_key(&self.key) {
            Ok(())
        } else {
            Err(SnapshotExpired { lsn: self.key.0 })
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.registry.state.lock().open.remove(&self.key);
        self.registry.released.notify_all();
    }
}
