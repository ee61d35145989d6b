use super::*;
use nodedb_env::Env;
use nodedb_testkit::SimFiles;
use nodedb_types::{TenantId, VshardId};
use nodedb_wal::LogOptions;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

/// A log that writes nothing unless it is asked to.
fn log() -> (Env, Wal) {
    let disk = SimFiles::new(1);
    let env = disk.env();
    let dir = Path::new("/wal");
    env.files.create_dir(dir).expect("a directory");
    let sync_point_idle = Duration::from_hours(1);
    let options = LogOptions { segment_bytes: 1 << 22, sync_point_idle, ..LogOptions::default() };
    let wal = Wal::create(&env, dir, options).expect("a log");
    (env, wal)
}

fn stage(asks: &Asks, bytes: usize, durability: Durability) -> Lsn {
    let payload = vec![7; bytes];
    let (tenant, vshard) = (TenantId::DEFAULT, VshardId::new(0));
    let record = Record { tenant, vshard, kind: 1, payload: &payload };
    let range = asks.stage(&[record], durability, AppendClass::User).expect("room");
    range.start()
}

/// Passes of the log so far cannot be seen; whether a record is in one can. The wait asks for nothing:
/// the listener is what a core hears.
fn becomes_durable(wal: &Wal, lsn: Lsn) -> bool {
    let limit = Env::real().clock.now() + Duration::from_secs(20);
    while wal.durable() < Some(lsn) {
        if Env::real().clock.now() > limit {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn what_is_staged_waits_for_the_one_request_and_shares_it() {
    let (env, wal) = log();
    let asks = Asks::new(wal.clone(), Arc::clone(&env.clock));
    let hour = Durability::Periodic { every: Duration::from_hours(1) };
    stage(&asks, 10, Durability::Sync);
    let buffered = stage(&asks, 10, Durability::Buffered);
    let last = stage(&asks, 10, hour);
    assert!(!asks.is_empty());
    assert_eq!(wal.written(), None, "nobody has asked");
    asks.ask();
    assert!(asks.is_empty());
    // One pass takes all that is staged, so the weaker ones are as durable as the first.
    assert!(becomes_durable(&wal, last) && wal.durable() >= Some(buffered));
}

#[test]
fn a_panic_leaves_nothing_unasked() {
    let (env, wal) = log();
    let asks = Asks::new(wal.clone(), Arc::clone(&env.clock));
    let turn = catch_unwind(AssertUnwindSafe(move || {
        stage(&asks, 10, Durability::Sync);
        panic!("within a turn");
    }));
    assert!(turn.is_err());
    assert!(becomes_durable(&wal, Lsn::FIRST));
}

#[test]
fn more_than_a_batch_is_asked_for_before_the_turn_ends() {
    let (env, wal) = log();
    let asks = Asks::new(wal.clone(), Arc::clone(&env.clock));
    stage(&asks, BYTES_MAX / 2, Durability::Sync);
    assert!(!asks.is_empty());
    let second = stage(&asks, BYTES_MAX / 2, Durability::Sync);
    assert!(asks.is_empty());
    assert!(becomes_durable(&wal, second));
}

/// The log's memory is full of what this very turn has staged: it must be asked for, or there would be no
/// room ever.
#[test]
fn a_refusal_for_want_of_room_asks_for_what_is_staged() {
    let disk = SimFiles::new(1);
    let env = disk.env();
    let dir = Path::new("/wal");
    env.files.create_dir(dir).expect("a directory");
    let options = LogOptions {
        segment_bytes: 1 << 22,
        staging_bytes_max: 64 << 10,
        sync_point_idle: Duration::from_hours(1),
        ..LogOptions::default()
    };
    let wal = Wal::create(&env, dir, options).expect("a log");
    let asks = Asks::new(wal.clone(), Arc::clone(&env.clock));
    let first = stage(&asks, 40 << 10, Durability::Sync);
    let payload = vec![7; 40 << 10];
    let (tenant, vshard) = (TenantId::DEFAULT, VshardId::new(0));
    let record = Record { tenant, vshard, kind: 1, payload: &payload };
    let refused = asks.stage(&[record], Durability::Sync, AppendClass::User);
    assert!(matches!(refused, Err(AppendError::Backpressure)), "{refused:?}");
    assert!(asks.is_empty());
    assert!(becomes_durable(&wal, first));
}
