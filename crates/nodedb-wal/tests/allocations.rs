//! What an append costs in memory: nothing. One process, so that its allocator can be a counting one.

#![expect(clippy::expect_used, reason = "a test ends by a panic")]

use nodedb_env::{Clock, Env, Files};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, TenantId, VshardId};
use nodedb_wal::{AppendClass, LogOptions, Record, Wal};
use std::{path::Path, time::Duration};

fn record(payload: &[u8]) -> Record<'_> {
    Record { tenant: TenantId::DEFAULT, vshard: VshardId::new(0), kind: 1, payload }
}

/// Appends as a user, with room for the first kinds of buffers made.
fn log() -> (Wal, Env) {
    let disk = SimFiles::new(1);
    let env = disk.env();
    disk.create_dir(Path::new("/wal")).expect("empty disk");
    let options = LogOptions {
        segment_bytes: 16 << 20,
        sync_point_idle: Duration::from_hours(1),
        ..LogOptions::default()
    };
    let wal = Wal::create(&env, Path::new("/wal"), options).expect("empty directory");
    (wal, env)
}

fn deadline(env: &Env) -> Duration {
    let clock: &dyn Clock = env.clock.as_ref();
    clock.now() + Duration::from_secs(20)
}

/// The one that everything else rests on: staging, with room made by the passes before.
#[test]
fn an_append_allocates_nothing() {
    let (wal, env) = log();
    let payload = [7; 256];
    let group = [record(&payload); 16];
    let pass = || {
        for _ in 0..100 {
            wal.stage(&[record(&payload)], AppendClass::User).expect("room");
        }
        let last = wal.stage(&group, AppendClass::User).expect("room").end().previous();
        wal.commit(last.expect("it is not the first"), deadline(&env)).expect("durable");
    };
    (0..20).for_each(|_| pass());
    let staged = allocation_counter::measure(|| {
        for _ in 0..100 {
            wal.stage(&[record(&payload)], AppendClass::User).expect("room");
        }
        wal.stage(&group, AppendClass::User).expect("room");
    });
    assert_eq!((staged.count_total, staged.bytes_total), (0, 0), "staging");
    let asked = allocation_counter::measure(|| {
        for durability in [Durability::Buffered, Durability::Sync] {
            wal.append(&[record(&payload)], durability, AppendClass::User).expect("room");
        }
    });
    assert_eq!((asked.count_total, asked.bytes_total), (0, 0), "asking the flusher");
}

/// A whole commit, with its write and its sync, on this thread. The simulated disk allocates for itself, so
/// this one is real.
#[test]
fn a_commit_allocates_nothing() {
    let temp = tempfile::tempdir().expect("a directory");
    let env = Env::real();
    let options = LogOptions {
        segment_bytes: 16 << 20,
        sync_point_idle: Duration::from_hours(1),
        ..LogOptions::default()
    };
    let wal = Wal::create(&env, temp.path(), options).expect("empty directory");
    let payload = [7; 256];
    let commit = || {
        let lsn = wal.stage(&[record(&payload)], AppendClass::User).expect("room").start();
        wal.commit(lsn, deadline(&env)).expect("durable");
    };
    (0..20).for_each(|_| commit());
    let committed = allocation_counter::measure(|| (0..100).for_each(|_| commit()));
    assert_eq!((committed.count_total, committed.bytes_total), (0, 0));
}
