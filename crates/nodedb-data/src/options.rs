//! What the owner of a data plane may choose.

use crate::DataError;
use nodedb_bridge::BridgeOptions;
use nodedb_crdt::CrdtLimits;
use nodedb_types::limits::VALUE_BYTES_MAX;
use nodedb_vector::VectorOptions;
use std::time::Duration;

/// What the owner of a data plane may choose. Nothing on disk depends on it.
#[derive(Clone, Debug)]
pub struct DataOptions {
    /// Threads that own the vshards, 1 to 1024; more than there are vshards would idle, so that
    /// many are started at most. Default 2.
    pub cores: u16,
    /// Unflushed bytes of an engine of a vshard at which it is flushed by itself. Default 16 MiB.
    pub memtable_bytes: usize,
    /// Unflushed bytes of a vshard, frozen ones included, at which writes meet `Busy`. Default 64 MiB.
    pub memtable_bytes_max: usize,
    /// Memory of the vectors of a vshard that are not sealed yet, at least 1 MiB, at which writes that add
    /// vectors meet `Busy`; deletes do not. From a quarter of it on, and never later than from 32 MiB, the
    /// largest head of vectors is sealed though it is not full. Sealing is copying to disk, so the limit is
    /// met where the disk is slower than the writers, or fails. Default 128 MiB.
    pub unsealed_bytes_max: usize,
    /// Memory that the unflushed bytes, the live CRDT documents and the parked answers of a core may take, at
    /// least `memtable_bytes`; beyond it writes meet `Busy`. Vectors that are not sealed are counted too for
    /// writes that add some. From half of it on the largest memtable is flushed and the largest head of
    /// vectors sealed first. Default 512 MiB.
    pub memory_bytes_max: usize,
    /// Requests that may wait for a vshard while a group visits it; beyond it `Busy`. Default 256.
    pub paused_requests_max: usize,
    /// Bytes that those requests may hold, at least 1; beyond it `Busy`. A single one that holds more waits
    /// alone. Default 32 MiB.
    pub paused_bytes_max: usize,
    /// Requests that a core serves before it looks at its timers and finished flushes. Default 64.
    pub turn_requests_max: usize,
    /// Answers of a core that may wait for the log, at least 1; beyond it writes, and reads that would have
    /// to wait as well, meet `Busy`. Default 65,536.
    pub parked_answers_max: usize,
    /// Bytes that those answers may take, at least 1. Default 64 MiB.
    pub parked_bytes_max: usize,
    /// Longest time that a flush waits for the log to become durable. Default 30 s.
    pub durable_wait: Duration,
    /// How long a flush or merge may hang before the other vshards of its core get another thread for
    /// theirs. Default 10 s.
    pub maintenance_patience: Duration,
    /// Live CRDT documents that a vshard keeps in memory. Default 256.
    pub crdt_documents_max: usize,
    /// Memory that those of all vshards of a core may take, estimated by the bytes that were imported; a
    /// single larger one is kept, alone. It is counted in `memory_bytes_max` as well. Default 64 MiB.
    pub crdt_bytes_max: usize,
    /// How large CRDT updates and documents may be.
    pub crdt_limits: CrdtLimits,
    /// Farthest that the wall clock may go forward at once, or while the database is closed, before the
    /// sweeper halts instead of deleting what has expired by it. Default 30 days.
    pub clock_jump_max: Duration,
    /// Bytes per second that flushes and merges of all cores together may write while nobody waits for
    /// them; `None` for no limit. Default none: a limit below what is written for long makes flushes
    /// late, which callers wait for.
    pub io_bytes_per_second: Option<u64>,
    /// Room on the disk that is kept for flushes on a disk that is full otherwise, so that deletes can free
    /// it; 0 for none. A good size is `memtable_bytes_max`. It is made after the first flush, given to the
    /// first one that finds no room, or to an open that finds none, and made again later. Default 0.
    pub ballast_bytes: u64,
    /// How long an idempotency key is remembered after it was issued. Default 24 hours.
    pub idempotency_age: Duration,
    /// Idempotency keys that a vshard remembers of each tenant, at least 1; more push out the oldest.
    /// Default 10,000.
    pub idempotency_keys_max: usize,
    /// The inboxes of the cores.
    pub bridge: BridgeOptions,
}

impl Default for DataOptions {
    fn default() -> Self {
        Self {
            cores: 2,
            memtable_bytes: 16 << 20,
            memtable_bytes_max: 64 << 20,
            unsealed_bytes_max: 128 << 20,
            memory_bytes_max: 512 << 20,
            paused_requests_max: 256,
            paused_bytes_max: 32 << 20,
            turn_requests_max: 64,
            parked_answers_max: 65_536,
            parked_bytes_max: 64 << 20,
            durable_wait: Duration::from_secs(30),
            maintenance_patience: Duration::from_secs(10),
            crdt_documents_max: 256,
            crdt_bytes_max: 64 << 20,
            crdt_limits: CrdtLimits::default(),
            clock_jump_max: Duration::from_hours(24 * 30),
            io_bytes_per_second: None,
            ballast_bytes: 0,
            idempotency_age: Duration::from_hours(24),
            idempotency_keys_max: 10_000,
            bridge: BridgeOptions::default(),
        }
    }
}

impl DataOptions {
    /// Checks the values against each other.
    ///
    /// # Errors
    /// [`DataError::InvalidOptions`] naming the first that is out of range.
    pub fn validate(&self) -> Result<(), DataError> {
        let refuse = |reason| Err(DataError::InvalidOptions { reason });
        if !(1..=1024).contains(&self.cores) {
            return refuse("cores must lie between 1 and 1024");
        }
        if self.memtable_bytes == 0 || self.memtable_bytes_max < self.memtable_bytes {
            return refuse("memtable_bytes must be at least 1 and not above memtable_bytes_max");
        }
        if self.paused_requests_max == 0 || self.turn_requests_max == 0 {
            return refuse("paused_requests_max and turn_requests_max must be at least 1");
        }
        if self.paused_bytes_max == 0 || self.bridge.capacity_bytes == 0 {
            return refuse("paused_bytes_max and the bridge's capacity_bytes must be at least 1");
        }
        if self.maintenance_patience.is_zero() {
            return refuse("maintenance_patience must be longer than nothing");
        }
        if self.memory_bytes_max < self.memtable_bytes {
            return refuse("memory_bytes_max must be at least memtable_bytes");
        }
        if self.unsealed_bytes_max < 1 << 20 {
            return refuse("unsealed_bytes_max must be at least 1 MiB");
        }
        if self.parked_answers_max == 0 || self.parked_bytes_max == 0 {
            return refuse("parked_answers_max and parked_bytes_max must be at least 1");
        }
        if self.idempotency_age.is_zero() || self.idempotency_keys_max == 0 {
            return refuse(
                "idempotency keys are remembered for some time and at least one of them",
            );
        }
        if self.crdt_documents_max == 0 {
            return refuse("crdt_documents_max must be at least 1");
        }
        let limits = &self.crdt_limits;
        if !(1..=VALUE_BYTES_MAX).contains(&limits.update_bytes_max)
            || !(1..=VALUE_BYTES_MAX).contains(&limits.document_bytes_max)
            || limits.update_ops_max == 0
        {
            return refuse("crdt_limits must be at least 1, and those of bytes at most 16 MiB");
        }
        if self.bridge.capacity == 0 || self.bridge.foreground_run == 0 {
            return refuse("the bridge's capacity and foreground_run must be at least 1");
        }
        if self.bridge.tenant_in_flight == 0 || self.bridge.stuck_after.is_zero() {
            return refuse("the bridge's tenant_in_flight and stuck_after must be above 0");
        }
        Ok(())
    }
}

impl DataOptions {
    /// When the heads of a vshard are sealed.
    pub(crate) fn vector_options(&self) -> VectorOptions {
        let usual = VectorOptions::DEFAULT;
        let heads_bytes = usual.heads_bytes.min(self.unsealed_bytes_max / 4);
        VectorOptions { heads_bytes, ..usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_each_limit_is_checked() {
        assert!(DataOptions::default().validate().is_ok());
        let breaks: [fn(&mut DataOptions); 20] = [
            |options| options.cores = 0,
            |options| options.cores = 1025,
            |options| options.memtable_bytes_max = options.memtable_bytes - 1,
            |options| options.paused_requests_max = 0,
            |options| options.turn_requests_max = 0,
            |options| options.paused_bytes_max = 0,
            |options| options.bridge.capacity_bytes = 0,
            |options| options.crdt_documents_max = 0,
            |options| options.memory_bytes_max = options.memtable_bytes - 1,
            |options| options.unsealed_bytes_max = (1 << 20) - 1,
            |options| options.maintenance_patience = Duration::ZERO,
            |options| options.parked_answers_max = 0,
            |options| options.parked_bytes_max = 0,
            |options| options.crdt_limits.update_bytes_max = VALUE_BYTES_MAX + 1,
            |options| options.crdt_limits.document_bytes_max = 0,
            |options| options.crdt_limits.update_ops_max = 0,
            |options| options.idempotency_age = Duration::ZERO,
            |options| options.idempotency_keys_max = 0,
            |options| options.bridge.tenant_in_flight = 0,
            |options| options.bridge.stuck_after = Duration::ZERO,
        ];
        for spoil in breaks {
            let mut options = DataOptions::default();
            spoil(&mut options);
            let error = options.validate().expect_err("out of range");
            assert!(matches!(error, DataError::InvalidOptions { .. }), "{error}");
        }
    }
}
