//! The log beside the bare disk, in the same run: what numbers, checksums, a queue and a thread cost
//! on top of a write and a sync of the same bytes.
//!
//! - `blocking-1`: one writer appends one record and waits until it is durable.
//! - `buffered-1`: one writer appends one record and waits until a killed process would not lose it.
//! - `pipelined-1x64`: one writer appends 64 records, then waits until the last of them is durable.
//!
//! The limit of each writes one batch that holds the same records to a file that was written before;
//! it syncs once, except that of `buffered-1`, which never does. docs/benchmarks.md says how to read the
//! rows.

#![expect(clippy::expect_used, reason = "a bench that cannot write has nothing to measure")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nodedb_bench::{BareFile, beside, payload};
use nodedb_env::Env;
use nodedb_types::{Durability, Lsn, TenantId, VshardId};
use nodedb_wal::{
    AppendClass, DurabilityListener, LogHealth, LogOptions, PoisonCause, Record, Wal,
};
use std::{
    sync::Arc,
    thread::{self, Thread},
    time::Duration,
};
use tempfile::TempDir;

const PAYLOAD_BYTES: usize = 256;
const PIPELINE: usize = 64;
/// A batch on disk, as docs/formats/wal.md has it.
const BATCH_HEADER: usize = 64;
const BATCH_ALIGN: usize = 512;
const PATIENCE: Duration = Duration::from_mins(1);

/// Wakes the one writer whenever more is written.
#[derive(Debug)]
struct WakeWriter(Thread);

impl DurabilityListener for WakeWriter {
    fn durable(&self, _: Lsn) {}

    fn written(&self, _: Lsn) {
        self.0.unpark();
    }

    fn poisoned(&self, _: &PoisonCause) {
        self.0.unpark();
    }
}

/// A new log.
struct Log {
    wal: Wal,
    env: Env,
    payload: Vec<u8>,
    // Removed when dropped, after the log.
    _temp: TempDir,
}

impl Log {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("a directory");
        let env = Env::real();
        let wal = Wal::create(&env, temp.path(), LogOptions::default()).expect("a log");
        Self { wal, env, payload: payload(1, PAYLOAD_BYTES), _temp: temp }
    }

    fn append(&self, durability: Durability) -> Lsn {
        let appended = self.wal.append(&[record(&self.payload)], durability, AppendClass::User);
        appended.expect("room").start()
    }

    fn wait_durable(&self, lsn: Lsn) {
        let deadline = self.env.clock.now() + PATIENCE;
        self.wal.wait_durable(lsn, deadline).expect("durable");
    }

    /// Needs [`WakeWriter`] for this thread.
    fn wait_written(&self, lsn: Lsn) {
        while self.wal.written() < Some(lsn) {
            assert!(self.wal.health() != LogHealth::Poisoned, "the disk takes writes");
            thread::park();
        }
    }
}

fn record(payload: &[u8]) -> Record<'_> {
    Record { tenant: TenantId::DEFAULT, vshard: VshardId::new(0), kind: 1, payload }
}

/// As many bytes as one batch of so many records.
fn batch(records: usize) -> Vec<u8> {
    let body = records * record(&[0; PAYLOAD_BYTES]).encoded_len();
    payload(2, (BATCH_HEADER + body).next_multiple_of(BATCH_ALIGN))
}

fn blocking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wal/blocking-1");
    group.throughput(Throughput::Elements(1));
    let (mut file, batch) = (BareFile::create().expect("a file"), batch(1));
    let log = Log::new();
    let mut limit = || file.write_synced(&batch).expect("synced");
    let mut subject = || log.wait_durable(log.append(Durability::Sync));
    beside(&mut group, ("limit", &mut limit), ("nodedb-wal", &mut subject));
    group.finish();
}

fn buffered(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wal/buffered-1");
    group.throughput(Throughput::Elements(1));
    let (mut file, batch) = (BareFile::create().expect("a file"), batch(1));
    let log = Log::new();
    log.wal.set_listener(Arc::new(WakeWriter(thread::current())));
    let mut limit = || file.write(&batch).expect("written");
    let mut subject = || log.wait_written(log.append(Durability::Buffered));
    beside(&mut group, ("limit", &mut limit), ("nodedb-wal", &mut subject));
    group.finish();
}

fn pipelined(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wal/pipelined-1x64");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    let (mut file, batch) = (BareFile::create().expect("a file"), batch(PIPELINE));
    let log = Log::new();
    let mut limit = || file.write_synced(&batch).expect("synced");
    let mut subject = || {
        let mut last = log.append(Durability::Sync);
        for _ in 1..PIPELINE {
            last = log.append(Durability::Sync);
        }
        log.wait_durable(last);
    };
    beside(&mut group, ("limit", &mut limit), ("nodedb-wal", &mut subject));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        // A new log prepares its next segments meanwhile.
        .warm_up_time(Duration::from_secs(2))
        .measurement_time(Duration::from_secs(2));
    targets = blocking, buffered, pipelined
}
criterion_main!(benches);
