//! Gives back log: the loop that meets the checkpointer in CONTROL and the archiver in its receipt.

use super::gates::{ArchiveGate, Gates};
use crate::{Error, log::LogHandle};
use nodedb_control::Shutdown;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Deletes what no hold needs, through a plan that names every hold.
#[derive(Debug)]
pub(crate) struct Reclaimer {
    log: LogHandle,
    archive: ArchiveGate,
    /// One at a time: two would each count the other's segments.
    single: tokio::sync::Mutex<()>,
    /// Segments that were given back since the open. A counter only.
    segments: AtomicU64,
    held_by: Mutex<Vec<String>>,
}

impl Reclaimer {
    pub(crate) fn new(log: LogHandle, archive: ArchiveGate) -> Self {
        let single = tokio::sync::Mutex::new(());
        let (segments, held_by) = (AtomicU64::new(0), Mutex::default());
        Self { log, archive, single, segments, held_by }
    }

    pub(crate) const fn archive(&self) -> &ArchiveGate {
        &self.archive
    }

    /// Segments that were given back since the open.
    pub(crate) fn segments(&self) -> u64 {
        self.segments.load(Ordering::Relaxed)
    }

    /// Who kept the oldest segment when it was last looked at.
    pub(crate) fn held_by(&self) -> Vec<String> {
        self.held_by.lock().clone()
    }

    /// Reclaims now. When this returns, the new oldest segment is durably recorded.
    pub(crate) async fn reclaim(&self) -> Result<(), Error> {
        let _single = self.single.lock().await;
        let gates = Gates::read(&self.archive);
        let reclaimed = self.log.blocking("reclaiming", move |wal| {
            let plan = gates.plan(wal);
            let horizon = plan.horizon();
            let lowest = plan.holds().iter().filter(|hold| hold.lsn == horizon);
            let held_by: Vec<_> = lowest.map(|hold| hold.name.clone()).collect();
            Ok((wal.truncate(plan)?.segments as u64, held_by))
        });
        let (segments, held_by) = reclaimed.await?;
        self.segments.fetch_add(segments, Ordering::Relaxed);
        *self.held_by.lock() = held_by;
        Ok(())
    }

    /// Reclaims whenever the archive has taken more, until shutdown: a log that only waited for its
    /// archive must not wait for the next checkpoint too.
    pub(crate) async fn follow_archive(&self, mut shutdown: Shutdown) {
        let ArchiveGate::Required(position) = &self.archive else {
            return shutdown.requested().await;
        };
        let mut archived = position.watch();
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                // The sender lives in the position, which this owns.
                _ = archived.changed() => {}
            }
            if let Err(error) = self.reclaim().await {
                tracing::error!(error = error.in_full(), "reclaiming failed");
                // Only poison or the end of the log is an error here, and neither passes.
                return shutdown.requested().await;
            }
        }
    }
}
