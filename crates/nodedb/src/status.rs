//! What a database says about itself.

use crate::{CheckpointStatus, Database, Error, HoldStatus, database::Inner};
use nodedb_engine::EngineKind;
use nodedb_types::{CollectionId, Lsn, VshardId};
use nodedb_wal::LogHealth;

/// Whether a database does all that it should.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Health {
    /// It does.
    Ok,
    /// It serves, but somebody should look.
    Degraded {
        /// At what.
        reasons: Vec<String>,
    },
    /// It answers reads, and refuses writes until there is room for more log.
    ReadOnly {
        /// Why.
        reasons: Vec<String>,
    },
    /// A write or sync of the log failed: it answers reads only, until it is opened again.
    Poisoned {
        /// Why.
        reasons: Vec<String>,
    },
}

impl Health {
    /// Its name in answers.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ok => "Ok",
            Self::Degraded { .. } => "Degraded",
            Self::ReadOnly { .. } => "ReadOnly",
            Self::Poisoned { .. } => "Poisoned",
        }
    }

    /// Why it is not `Ok`.
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::Ok => &[],
            Self::Degraded { reasons }
            | Self::ReadOnly { reasons }
            | Self::Poisoned { reasons } => reasons,
        }
    }
}

/// The state of a database, in one screen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Whether it does all that it should.
    pub health: Health,
    /// Everything up to here survives a power cut.
    pub durable_lsn: Option<Lsn>,
    /// The first record that recovery needs.
    pub redo_lsn: Lsn,
    /// Everything up to here is in the archive.
    pub archived_lsn: Option<Lsn>,
    /// The oldest record of the local log.
    pub oldest_lsn: Lsn,
    /// Bytes of the local log that are in use.
    pub wal_bytes: u64,
    /// How long an open after a crash would take, in milliseconds: by the bytes and records since the redo
    /// position and what the vshards have flushed of them, at the speed of this machine if the last replay was
    /// long enough to measure it, else of a usual one.
    pub estimated_recovery_ms: u64,
    /// The checkpoints.
    pub checkpoint: CheckpointStatus,
    /// The archive, if there is one.
    pub archive: Option<ArchiveStatus>,
    /// What keeps the log, the oldest first.
    pub holds: Vec<HoldStatus>,
    /// The vshards.
    pub vshards: Vec<VshardStatus>,
}

/// The state of the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchiveStatus {
    /// Where it is.
    pub url: String,
    /// How strictly the log waits for it.
    pub policy: &'static str,
    /// As whom it is written.
    pub writer_epoch: u32,
    /// Records that are durable and not archived.
    pub lag_records: u64,
    /// The last failure, until something succeeds.
    pub last_error: Option<String>,
}

/// The state of a vshard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VshardStatus {
    /// Which.
    pub vshard: VshardId,
    /// Bytes in memory that its files do not hold.
    pub dirty_bytes: u64,
    /// Why its last flush failed, if it did.
    pub failure: Option<String>,
    /// Its engines.
    pub engines: Vec<EngineStatus>,
    /// CRDT updates that made the library fail: they were not merged and are not tried again until the
    /// database is reopened. The oldest first.
    pub quarantine: Vec<QuarantinedUpdate>,
}

/// A CRDT update that made the library fail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuarantinedUpdate {
    /// The collection of the document.
    pub collection: CollectionId,
    /// The key of the document.
    pub key: Vec<u8>,
    /// XXH3-128 of the update.
    pub digest: u128,
    /// The size of the update.
    pub bytes: u64,
    /// What the library said.
    pub reason: String,
    /// When it came, in milliseconds since 1970.
    pub unix_ms: u64,
    /// The update itself, to be looked into; `None` once newer ones took its room.
    pub update: Option<Vec<u8>>,
}

/// The state of an engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineStatus {
    /// Which.
    pub engine: EngineKind,
    /// What its files prove.
    pub own: Option<Lsn>,
    /// Up to where it does not need the log.
    pub effective: Option<Lsn>,
}

impl Database {
    /// The state of the database. Reads memory only.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn status(&self) -> Result<Status, Error> {
        let inner = &self.inner;
        inner.check_open()?;
        let wal = inner.log.wal();
        let control = wal.control();
        let archived_lsn = inner.archive.as_ref().and_then(|archive| archive.position.persisted());
        let recovery_ms = inner.checkpointer.recovery_time().as_millis();
        Ok(Status {
            health: inner.health(),
            durable_lsn: wal.durable(),
            redo_lsn: control.redo,
            archived_lsn,
            oldest_lsn: wal.oldest(),
            wal_bytes: wal.wal_bytes(),
            estimated_recovery_ms: u64::try_from(recovery_ms).unwrap_or(u64::MAX),
            checkpoint: inner.checkpointer.status(),
            archive: inner.archive_status(),
            holds: inner.hold_status(),
            vshards: inner.vshard_status(),
        })
    }
}

fn quarantined(held: &nodedb_data::Quarantined) -> QuarantinedUpdate {
    QuarantinedUpdate {
        collection: held.key.collection,
        key: held.key.key.to_vec(),
        digest: held.digest,
        bytes: held.bytes as u64,
        reason: held.reason.clone(),
        unix_ms: held.unix_ms,
        update: held.update.as_ref().map(|update| update.to_vec()),
    }
}

impl Inner {
    fn health(&self) -> Health {
        let mut reasons = Vec::new();
        let log = self.log.wal().health();
        if log == LogHealth::Poisoned {
            reasons.push("a write or sync of the log failed: reopen the database".to_owned());
            return Health::Poisoned { reasons };
        }
        if log == LogHealth::SpaceLow {
            reasons.push("the disk has no room for more log".to_owned());
        }
        let throttled = self.sender.throttle.state();
        let is_read_only = throttled.as_ref().is_some_and(|(_, refuses)| *refuses);
        reasons.extend(throttled.map(|(reason, _)| reason));
        for vshard in self.sender.data.floors() {
            if let Some(failure) = vshard.failure {
                reasons.push(format!("vshard {} cannot be flushed: {failure}", vshard.vshard));
            }
        }
        reasons.extend(self.checkpointer.reasons());
        let quarantine = self.sender.data.quarantine().len();
        if quarantine > 0 {
            reasons
                .push(format!("{quarantine} CRDT updates made the library fail, see the vshards"));
        }
        let fault = self.archive.as_ref().and_then(|archive| archive.position.fault());
        if let Some(fault) = fault {
            let state = if fault.stopped { "stopped" } else { "failing" };
            reasons.push(format!("archiving is {state}: {}", fault.message));
        }
        reasons.extend(self.sender.data.expiry_halted());
        reasons.extend(self.schema.build_failures());
        reasons.extend(self.tasks.failed().iter().map(ToString::to_string));
        match (is_read_only, reasons.is_empty()) {
            (true, _) => Health::ReadOnly { reasons },
            (false, true) => Health::Ok,
            (false, false) => Health::Degraded { reasons },
        }
    }

    fn archive_status(&self) -> Option<ArchiveStatus> {
        let archive = self.archive.as_ref()?;
        let state = archive.archiver.state();
        let durable = Lsn::encode(self.log.wal().durable());
        Some(ArchiveStatus {
            url: state.url.clone(),
            policy: state.policy.name(),
            writer_epoch: state.writer.writer_epoch.get(),
            lag_records: durable.saturating_sub(Lsn::encode(archive.position.persisted())),
            last_error: archive.position.fault().map(|fault| fault.message),
        })
    }

    fn vshard_status(&self) -> Vec<VshardStatus> {
        let held = self.sender.data.quarantine();
        let status = |known: nodedb_data::VshardFloors| VshardStatus {
            vshard: known.vshard,
            dirty_bytes: known.dirty.map_or(0, |dirty| dirty.bytes as u64),
            failure: known.failure,
            engines: known
                .floors
                .iter()
                .map(|(engine, floor)| EngineStatus {
                    engine: *engine,
                    own: floor.own(),
                    effective: floor.effective(),
                })
                .collect(),
            quarantine: held
                .iter()
                .filter(|(vshard, _)| *vshard == known.vshard)
                .map(|(_, held)| quarantined(held))
                .collect(),
        };
        self.sender.data.floors().into_iter().map(status).collect()
    }
}
