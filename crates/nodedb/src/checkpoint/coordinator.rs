//! Drives a checkpoint: fence, ask all vshards at once, record, reclaim.

use super::{
    CheckpointOutcome, CheckpointRecord, CheckpointReport,
    round::{Decision, Round},
};
use crate::{Error, archive::ArchivePosition, log::LogHandle};
use nodedb_bridge::Priority;
use nodedb_control::Shutdown;
use nodedb_data::{DataHandle, Op, VshardFloors};
use nodedb_engine::RecordKind;
use nodedb_env::Clock;
use nodedb_types::{Lsn, TenantId, VshardId};
use nodedb_wal::{Hold, TruncationPlan};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, time};

/// What a checkpointer is made of.
#[derive(Debug)]
pub(crate) struct CheckpointerParts {
    pub(crate) log: LogHandle,
    pub(crate) data: DataHandle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) vshards: u16,
    /// Where the archive is, if unarchived log must be kept.
    pub(crate) archive: Option<Arc<ArchivePosition>>,
    /// Longest time that one checkpoint waits for all vshards together.
    pub(crate) deadline: Duration,
}

/// The checkpoint coordinator of a database. At most one checkpoint runs at a time; callers that
/// arrive meanwhile wait and then run their own, which finds little to do.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    parts: CheckpointerParts,
    /// The last checkpoint record. The lock is the single flight.
    last: Mutex<Option<Lsn>>,
}

impl Checkpointer {
    pub(crate) fn new(parts: CheckpointerParts, last: Option<Lsn>) -> Self {
        Self { parts, last: Mutex::new(last) }
    }

    /// Runs checkpoints at an interval, counted from start to start, until shutdown.
    pub(crate) async fn run(&self, interval: Duration, mut shutdown: Shutdown) {
        let mut ticks = time::interval(interval);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                _ = ticks.tick() => {}
            }
            match self.checkpoint().await {
                Ok(report) => tracing::info!(
                    outcome = report.outcome.name(),
                    redo_lsn = report.redo_lsn.get(),
                    reclaimed_segments = report.reclaimed_segments,
                    "checkpoint"
                ),
                Err(error) => tracing::error!(error = %error, "checkpoint failed"),
            }
        }
    }

    /// One checkpoint, from fence to reclaim.
    ///
    /// # Cancel safety
    /// Floors are facts that the board keeps and positions only move forward, so a cancelled round
    /// loses nothing; what it had recorded stands.
    pub(crate) async fn checkpoint(&self) -> Result<CheckpointReport, Error> {
        let mut last = self.last.lock().await;
        let barrier = self.fence().await?;
        let floors = self.parts.data.floors();
        let outcome = if self.round(barrier, &floors).is_changed() {
            let failures = self.ask_vshards(barrier).await;
            // The answers went to the board, also the late ones of an earlier round.
            let floors = self.parts.data.floors();
            let decision = self.decide(barrier, &floors)?;
            if let Some(barrier) = barrier {
                let record = self.record(barrier, &decision, &floors).await?;
                *last = Some(record);
            }
            outcome(&decision, failures)
        } else {
            CheckpointOutcome::Unchanged
        };
        let (reclaimed_segments, held_by) = self.reclaim().await?;
        Ok(CheckpointReport {
            outcome,
            checkpoint_lsn: *last,
            redo_lsn: self.parts.log.wal().control().redo,
            archived_lsn: self.archived(),
            reclaimed_segments,
            held_by,
        })
    }

    /// Gives back what the archive has freed since the last checkpoint.
    pub(crate) async fn reclaim_now(&self) -> Result<u64, Error> {
        let _single_flight = self.last.lock().await;
        self.reclaim().await.map(|(segments, _)| segments)
    }

    /// Makes everything logged so far durable: the barrier of this round.
    async fn fence(&self) -> Result<Option<Lsn>, Error> {
        let deadline = self.parts.clock.now() + self.parts.deadline;
        self.parts.log.blocking("syncing the log", move |wal| Ok(wal.sync(deadline)?)).await
    }

    fn round<'a>(&self, barrier: Option<Lsn>, floors: &'a [VshardFloors]) -> Round<'a> {
        let redo = self.parts.log.wal().control().redo;
        Round { barrier, redo, vshards: self.parts.vshards, floors }
    }

    /// Asks all vshards at once and waits for all of them within one deadline. Whoever cannot be
    /// asked, fails or stays silent is named and counts at its last proof.
    async fn ask_vshards(&self, barrier: Option<Lsn>) -> Vec<String> {
        let Some(barrier) = barrier else {
            return Vec::new();
        };
        let until = time::Instant::now() + self.parts.deadline;
        let deadline = self.parts.clock.now() + self.parts.deadline;
        let vshards = (0..self.parts.vshards).map(VshardId::new);
        let asked: Vec<_> = vshards
            .map(|vshard| {
                let (data, op) = (&self.parts.data, Op::Flush { barrier });
                (vshard, data.send(TenantId::SYSTEM, vshard, op, deadline, Priority::Background))
            })
            .collect();
        let mut failures = Vec::new();
        for (vshard, ticket) in asked {
            let ticket = match ticket {
                Ok(ticket) => ticket,
                Err(error) => {
                    failures.push(format!("vshard {vshard}: {error}"));
                    continue;
                }
            };
            match time::timeout_at(until, ticket).await {
                Ok(Ok(Ok(_))) => {}
                Ok(Ok(Err(error))) => failures.push(format!("vshard {vshard}: {error}")),
                Ok(Err(error)) => failures.push(format!("vshard {vshard}: {error}")),
                Err(_) => failures.push(format!("vshard {vshard}: silent until the deadline")),
            }
        }
        failures
    }

    fn decide(&self, barrier: Option<Lsn>, floors: &[VshardFloors]) -> Result<Decision, Error> {
        let decision = self.round(barrier, floors).decide();
        decision.map_err(|missing| Error::internal(missing.to_string()))
    }

    /// The record, its sync, then CONTROL. Recovery reads the floors through CONTROL only, so a record
    /// that CONTROL does not name yet changes nothing; and CONTROL never names one that could be lost.
    async fn record(
        &self,
        barrier: Lsn,
        decision: &Decision,
        floors: &[VshardFloors],
    ) -> Result<Lsn, Error> {
        let redo = decision.redo;
        let floors = floors.iter().flat_map(|known| {
            known.floors.iter().map(|(engine, floor)| (known.vshard, *engine, *floor))
        });
        let record = CheckpointRecord { barrier, redo, floors: floors.collect() };
        let payload = record.encode();
        let archived = self.archived();
        let deadline = self.parts.clock.now() + self.parts.deadline;
        self.parts
            .log
            .blocking("recording", move |wal| {
                let lsn = crate::log::append_housekeeping(wal, RecordKind::Checkpoint, &payload)?;
                wal.wait_durable(lsn, deadline)?;
                wal.record_checkpoint(redo, lsn, archived)?;
                Ok(lsn)
            })
            .await
    }

    /// Deletes what no hold needs, through a plan that names every hold.
    async fn reclaim(&self) -> Result<(u64, Vec<String>), Error> {
        let archive = self.parts.archive.as_ref().map(|archive| Hold {
            name: "archive".to_owned(),
            lsn: Lsn::after(archive.persisted()),
        });
        self.parts
            .log
            .blocking("reclaiming", move |wal| {
                let holds: Vec<Hold> = archive.into_iter().collect();
                let plan: TruncationPlan = wal.plan_truncation(&holds);
                let horizon = plan.horizon();
                let lowest = plan.holds().iter().filter(|hold| hold.lsn == horizon);
                let held_by = lowest.map(|hold| hold.name.clone()).collect();
                let truncated = wal.truncate(plan)?;
                Ok((truncated.segments as u64, held_by))
            })
            .await
    }

    fn archived(&self) -> Option<Lsn> {
        self.parts.archive.as_ref().and_then(|archive| archive.persisted())
    }
}

fn outcome(decision: &Decision, mut failures: Vec<String>) -> CheckpointOutcome {
    if decision.behind.is_empty() {
        return CheckpointOutcome::Advanced;
    }
    if failures.is_empty() {
        failures.extend(decision.behind.iter().map(|(vshard, engine, lsn)| {
            format!("vshard {vshard}: {} proved only {}", engine.name(), Lsn::encode(*lsn))
        }));
    }
    CheckpointOutcome::Blocked { by: failures }
}
