//! The state of a database as answers show it.

use nodedb::{
    ArchiveStatus, CheckpointOutcome, CheckpointStatus, HoldStatus, Lsn, Status, VshardStatus,
};
use serde::Serialize;

/// The state of a database: the fields of `status --json`, of `/v1/status` and of every event.
#[derive(Serialize, Debug)]
pub struct StatusAnswer {
    health: &'static str,
    reasons: Vec<String>,
    durable_lsn: Option<u64>,
    redo_lsn: u64,
    archived_lsn: Option<u64>,
    oldest_lsn: u64,
    wal_bytes: u64,
    estimated_recovery_ms: u64,
    checkpoint: Checkpoint,
    archive: Option<Archive>,
    holds: Vec<Hold>,
    vshards: Vec<Place>,
}

#[derive(Serialize, Debug)]
struct Checkpoint {
    phase: &'static str,
    log_age: &'static str,
    last: Option<LastCheckpoint>,
}

#[derive(Serialize, Debug)]
struct LastCheckpoint {
    trigger: &'static str,
    outcome: &'static str,
    unix_ms: u64,
    error: Option<String>,
    blocked_by: Option<Blocked>,
}

#[derive(Serialize, Debug)]
struct Blocked {
    vshard: u16,
    engine: &'static str,
    lsn: Option<u64>,
    since_unix_ms: u64,
    reason: String,
}

#[derive(Serialize, Debug)]
struct Archive {
    url: String,
    policy: &'static str,
    writer_epoch: u32,
    lag_records: u64,
    last_error: Option<String>,
}

#[derive(Serialize, Debug)]
struct Hold {
    name: String,
    lsn: u64,
    bytes: u64,
    since_ms: u64,
    reason: String,
}

#[derive(Serialize, Debug)]
struct Place {
    vshard: u16,
    dirty_bytes: u64,
    failure: Option<String>,
    engines: Vec<Floor>,
}

#[derive(Serialize, Debug)]
struct Floor {
    engine: &'static str,
    own_lsn: Option<u64>,
    effective_lsn: Option<u64>,
}

impl From<Status> for StatusAnswer {
    fn from(status: Status) -> Self {
        Self {
            health: status.health.name(),
            reasons: status.health.reasons().to_vec(),
            durable_lsn: status.durable_lsn.map(Lsn::get),
            redo_lsn: status.redo_lsn.get(),
            archived_lsn: status.archived_lsn.map(Lsn::get),
            oldest_lsn: status.oldest_lsn.get(),
            wal_bytes: status.wal_bytes,
            estimated_recovery_ms: status.estimated_recovery_ms,
            checkpoint: Checkpoint::from(status.checkpoint),
            archive: status.archive.map(Archive::from),
            holds: status.holds.into_iter().map(Hold::from).collect(),
            vshards: status.vshards.into_iter().map(Place::from).collect(),
        }
    }
}

impl From<CheckpointStatus> for Checkpoint {
    fn from(status: CheckpointStatus) -> Self {
        let last = status.last.map(|last| LastCheckpoint {
            trigger: last.trigger.name(),
            outcome: last.outcome.as_ref().map_or("failed", CheckpointOutcome::name),
            unix_ms: last.unix_ms,
            blocked_by: last.outcome.as_ref().ok().and_then(blocked),
            error: last.outcome.err(),
        });
        Self { phase: status.phase, log_age: status.log_age.name(), last }
    }
}

fn blocked(outcome: &CheckpointOutcome) -> Option<Blocked> {
    let CheckpointOutcome::Blocked { vshard, engine, lsn, since_unix_ms, behind } = outcome else {
        return None;
    };
    Some(Blocked {
        vshard: vshard.get(),
        engine: engine.name(),
        lsn: lsn.map(Lsn::get),
        since_unix_ms: *since_unix_ms,
        reason: behind.first().map_or_else(String::new, |laggard| laggard.reason.clone()),
    })
}

impl Checkpoint {
    fn text(&self) -> String {
        let Some(last) = &self.last else {
            return format!("{}, none since the open", self.phase);
        };
        let blocked = last.blocked_by.as_ref().map(|blocked| {
            let Blocked { vshard, engine, since_unix_ms, reason, .. } = blocked;
            format!(" by vshard {vshard}, {engine}, since {since_unix_ms} ms after 1970: {reason}")
        });
        let error = last.error.as_ref().map(|error| format!(": {error}"));
        let why = blocked.or(error).unwrap_or_default();
        format!("{}, the last by {}: {}{why}", self.phase, last.trigger, last.outcome)
    }
}

impl From<ArchiveStatus> for Archive {
    fn from(archive: ArchiveStatus) -> Self {
        Self {
            url: archive.url,
            policy: archive.policy,
            writer_epoch: archive.writer_epoch,
            lag_records: archive.lag_records,
            last_error: archive.last_error,
        }
    }
}

impl From<HoldStatus> for Hold {
    fn from(hold: HoldStatus) -> Self {
        let HoldStatus { name, lsn, bytes, since_ms, reason } = hold;
        Self { name, lsn: lsn.get(), bytes, since_ms, reason }
    }
}

impl From<VshardStatus> for Place {
    fn from(vshard: VshardStatus) -> Self {
        let engines = vshard.engines.into_iter().map(|engine| Floor {
            engine: engine.engine.name(),
            own_lsn: engine.own.map(Lsn::get),
            effective_lsn: engine.effective.map(Lsn::get),
        });
        Self {
            vshard: vshard.vshard.get(),
            dirty_bytes: vshard.dirty_bytes,
            failure: vshard.failure,
            engines: engines.collect(),
        }
    }
}

impl StatusAnswer {
    /// The same for people, in lines.
    pub fn text(&self) -> String {
        let lsn = |lsn: Option<u64>| lsn.map_or_else(|| "none".to_owned(), |lsn| lsn.to_string());
        let health = match self.reasons.as_slice() {
            [] => self.health.to_owned(),
            reasons => format!("{} ({})", self.health, reasons.join("; ")),
        };
        let mut lines = vec![
            format!("health       {health}"),
            format!("durable      {}", lsn(self.durable_lsn)),
            format!("redo         {}", self.redo_lsn),
            format!("archived     {}", lsn(self.archived_lsn)),
            format!("oldest       {}", self.oldest_lsn),
            format!("log          {} bytes", self.wal_bytes),
            format!("recovery     about {} ms", self.estimated_recovery_ms),
            format!("checkpoint   {}", self.checkpoint.text()),
        ];
        lines.extend(self.archive.iter().map(|archive| {
            let Archive { url, policy, writer_epoch, lag_records, .. } = archive;
            format!("archive      {url}, {policy}, writer epoch {writer_epoch}, {lag_records} records behind")
        }));
        lines.extend(self.holds.iter().map(|hold| {
            let Hold { name, lsn, bytes, reason, .. } = hold;
            format!("held by      {name} from {lsn}, {bytes} bytes: {reason}")
        }));
        lines.extend(self.vshards.iter().map(|vshard| {
            let engine =
                |engine: &Floor| format!("{} {}", engine.engine, lsn(engine.effective_lsn));
            let engines: Vec<_> = vshard.engines.iter().map(engine).collect();
            let (number, dirty) = (vshard.vshard, vshard.dirty_bytes);
            format!("vshard {number:<5} {}, {dirty} bytes to flush", engines.join(", "))
        }));
        lines.join("\n")
    }
}
