//! How a database is created and opened.

use crate::Error;
use nodedb_control::TenantLimits;
use nodedb_types::{Durability, limits};
use std::time::Duration;

/// What is fixed, or first set, when a database is created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateOptions {
    /// Number of vshards, 1 to 1024. Default 8. Fixed for the life of the database.
    pub vshards: u16,
    /// Bytes of one log segment, 64 KiB to 1 GiB, a multiple of 4 KiB. Default 64 MiB. Smaller ones
    /// lower the limits of values and batches.
    pub segment_bytes: u64,
    /// When writes that say nothing else are answered. Default [`Durability::Sync`].
    pub durability: Durability,
    /// Where the log is archived. Default: nowhere.
    pub archive: Option<ArchiveOptions>,
}

/// Room in a segment for one vshard's part of a schema change.
const SEGMENT_BYTES_PER_VSHARD: u64 = 1 << 10;

impl Default for CreateOptions {
    fn default() -> Self {
        Self {
            vshards: limits::VSHARDS_DEFAULT,
            segment_bytes: limits::SEGMENT_BYTES_DEFAULT,
            durability: Durability::Sync,
            archive: None,
        }
    }
}

impl CreateOptions {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names the field and its range.
    pub fn validate(&self) -> Result<(), Error> {
        check("vshards", u64::from(self.vshards), 1, u64::from(limits::VSHARDS_MAX))?;
        let (least, most) = (limits::SEGMENT_BYTES_MIN, limits::SEGMENT_BYTES_MAX);
        check("segment-bytes", self.segment_bytes, least, most)?;
        if !self.segment_bytes.is_multiple_of(4096) {
            return Err(Error::InvalidOption {
                option: "segment-bytes",
                value: self.segment_bytes.to_string(),
                expected: "a multiple of 4096".to_owned(),
            });
        }
        // A schema change is one group with a record for every vshard, and groups fit a segment.
        let least = u64::from(self.vshards) * SEGMENT_BYTES_PER_VSHARD;
        if self.segment_bytes < least {
            return Err(Error::InvalidOption {
                option: "segment-bytes",
                value: self.segment_bytes.to_string(),
                expected: format!(
                    "at least {least} for {} vshards, or fewer vshards",
                    self.vshards
                ),
            });
        }
        Ok(())
    }
}

/// An archive and how strictly the log waits for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchiveOptions {
    /// `file:///absolute/path` or `memory://name` (this process only).
    pub url: String,
    /// Default [`ArchivePolicy::Required`].
    pub policy: ArchivePolicy,
}

/// What may be deleted from the local log while the archive lags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum ArchivePolicy {
    /// Nothing unarchived is ever deleted.
    #[default]
    Required,
    /// Nothing is archived; the log is deleted once no engine needs it.
    Disabled,
}

impl ArchivePolicy {
    /// Its name in commands and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Disabled => "disabled",
        }
    }
}

/// How an existing database runs while it is open. None of it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenOptions {
    /// Whether a missing or empty directory becomes a new database, and how. Default: with defaults.
    pub create: Option<CreateOptions>,
    /// Threads that own the vshards, 1 to 1024; never more than there are vshards are started. Default: one
    /// per processor.
    pub cores: Option<u16>,
    /// Longest time between the starts of two checkpoints, 1 ms to 365 days. Default 300 s.
    pub checkpoint_interval: Duration,
    /// Longest time that one checkpoint waits for the vshards, beside the time over which a lazy one spreads
    /// its flushes, 1 ms to 365 days. Default 30 s.
    pub checkpoint_deadline: Duration,
    /// Longest time that recovery should take after a crash, 100 ms to 365 days: a checkpoint begins when
    /// replaying the log would take as long, by the rate that the last replay went at. Default 10 s.
    pub recovery_target: Duration,
    /// Bytes of log that recovery needs which should not be exceeded, 64 KiB to 1 TiB. A checkpoint begins
    /// at about half of it and hurries from nine tenths on. Above it the answers to writes are held back, the
    /// longer the more it is; at twice as much they are refused as `Busy`. Default 1 GiB.
    pub log_bytes_max: u64,
    /// Bytes of log on disk, whoever keeps them, such as an archive that does not answer, at which writes are
    /// refused as `NoSpace`: 64 KiB to 1 PiB. At most half of it counts as `log_bytes_max`. Default: as much as
    /// the disk has.
    pub log_disk_max: Option<u64>,
    /// Longest time that one request waits, 1 ms to 365 days. Default 30 s.
    pub request_deadline: Duration,
    /// Bytes of log after which an archive object is cut. Default 16 MiB.
    pub object_bytes: u64,
    /// Age of the oldest unarchived record at which an object is cut. Default 10 s.
    pub object_age: Duration,
    /// Bytes of memtable at which a vshard flushes by itself, 1 KiB to 1 TiB. Default 16 MiB. Writes to a
    /// vshard meet `Busy` at four times as many.
    pub memtable_bytes: usize,
    /// Bytes of memory that unflushed data, live CRDT documents and waiting answers of one core may take,
    /// at least `memtable_bytes`, at most 1 TiB. Default 512 MiB. From half of it on the core flushes
    /// early; at all of it its writes meet `Busy`.
    pub memory_bytes_per_core: usize,
    /// Bytes per second that flushes and merges of all cores together may write while nobody waits for
    /// them, 1 MiB to 1 TiB. Default: no limit. One below what is written for long makes flushes late,
    /// which writers then wait for.
    pub io_bytes_per_second: Option<u64>,
    /// Farthest that the wall clock may go forward at once, or while the database is closed, before
    /// documents that have expired by it are no longer deleted, 1 s to 36,500 days. Default 30 days. Reads
    /// hide them all the same, and the status says so.
    pub clock_jump_max: Duration,
    /// What each tenant may take. Default: as much as there is.
    pub tenant_limits: TenantLimits,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            create: Some(CreateOptions::default()),
            cores: None,
            checkpoint_interval: Duration::from_mins(5),
            checkpoint_deadline: Duration::from_secs(30),
            recovery_target: Duration::from_secs(10),
            log_bytes_max: 1 << 30,
            log_disk_max: None,
            request_deadline: Duration::from_secs(30),
            object_bytes: 16 << 20,
            object_age: Duration::from_secs(10),
            memtable_bytes: 16 << 20,
            memory_bytes_per_core: 512 << 20,
            io_bytes_per_second: None,
            clock_jump_max: Duration::from_hours(24 * 30),
            tenant_limits: TenantLimits::default(),
        }
    }
}

impl OpenOptions {
    /// Options that refuse to create anything.
    pub fn existing() -> Self {
        Self { create: None, ..Self::default() }
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names the field and its range.
    pub fn validate(&self) -> Result<(), Error> {
        if let Some(create) = &self.create {
            create.validate()?;
        }
        if let Some(cores) = self.cores {
            check("cores", u64::from(cores), 1, u64::from(limits::VSHARDS_MAX))?;
        }
        check("object-bytes", self.object_bytes, 1, 512 << 20)?;
        let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        check("memtable-bytes", bytes(self.memtable_bytes), 1 << 10, 1 << 40)?;
        let least = bytes(self.memtable_bytes);
        check("memory-bytes-per-core", bytes(self.memory_bytes_per_core), least, 1 << 40)?;
        if let Some(rate) = self.io_bytes_per_second {
            check("io-bytes-per-second", rate, 1 << 20, 1 << 40)?;
        }
        let jump_ms = u64::try_from(self.clock_jump_max.as_millis()).unwrap_or(u64::MAX);
        check("clock-jump-max-ms", jump_ms, 1000, CLOCK_JUMP_MS_MAX)?;
        check("tenant-in-flight", u64::from(self.tenant_limits.in_flight), 1, 1 << 20)?;
        if let Some(bytes) = self.tenant_limits.bytes {
            check("tenant-bytes", bytes, 1, 1 << 60)?;
        }
        check("log-bytes-max", self.log_bytes_max, 64 << 10, 1 << 40)?;
        if let Some(bytes) = self.log_disk_max {
            check("log-disk-max", bytes, 64 << 10, 1 << 50)?;
        }
        check("recovery-target-ms", ms(self.recovery_target), 100, ms(YEAR))?;
        check_wait("checkpoint-interval-ms", self.checkpoint_interval)?;
        check_wait("checkpoint-deadline-ms", self.checkpoint_deadline)?;
        check_wait("request-deadline-ms", self.request_deadline)
    }
}

/// 36,500 days.
const CLOCK_JUMP_MS_MAX: u64 = 36_500 * 24 * 3_600_000;

/// Points in time are computed from it, so it is neither nothing nor for ever.
fn check_wait(option: &'static str, wait: Duration) -> Result<(), Error> {
    check(option, ms(wait), 1, ms(YEAR))
}

const YEAR: Duration = Duration::from_hours(24 * 365);

fn ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

fn check(option: &'static str, value: u64, least: u64, most: u64) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let expected = format!("{least} to {most}");
    Err(Error::InvalidOption { option, value: value.to_string(), expected })
}
