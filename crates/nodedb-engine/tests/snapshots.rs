//! Scan snapshots and ingestion (protocol rule P3).
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

use nodedb_engine::{SnapshotExpired, Snapshots};
use nodedb_testkit::ManualClock;
use nodedb_types::Lsn;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

fn lsn(value: u64) -> Lsn {
    Lsn::from_u64(value).expect("not 0")
}

fn registry() -> (Arc<ManualClock>, Arc<Snapshots>) {
    let clock = Arc::new(ManualClock::new());
    let snapshots = Snapshots::new(Arc::<ManualClock>::clone(&clock));
    (clock, snapshots)
}

#[test]
fn the_oldest_open_snapshot_counts() {
    let (_clock, snapshots) = registry();
    assert!(snapshots.register(|| None).is_none(), "nothing is durable yet");
    assert_eq!(snapshots.oldest(), None);
    let first = snapshots.register(|| Some(lsn(100))).expect("durable");
    let twin = snapshots.register(|| Some(lsn(100))).expect("durable");
    let later = snapshots.register(|| Some(lsn(150))).expect("durable");
    assert_eq!((first.lsn(), later.lsn()), (lsn(100), lsn(150)));
    drop(first);
    assert_eq!(snapshots.oldest(), Some(lsn(100)), "its twin is still open");
    drop(twin);
    assert_eq!(snapshots.oldest(), Some(lsn(150)));
    assert_eq!(later.check(), Ok(()));
    drop(later);
    assert_eq!(snapshots.oldest(), None);
}

#[test]
fn what_no_snapshot_lies_below_is_ingested_at_once() {
    let (_clock, snapshots) = registry();
    snapshots.wait_for_ingestion(lsn(9));
    let snapshot = snapshots.register(|| Some(lsn(100))).expect("durable");
    snapshots.wait_for_ingestion(lsn(99));
    snapshots.wait_for_ingestion(lsn(100));
    assert_eq!(snapshot.check(), Ok(()));
}

#[test]
fn only_a_waiting_flush_makes_an_old_snapshot_expire() {
    let (clock, snapshots) = registry();
    let old = snapshots.register(|| Some(lsn(100))).expect("durable");
    clock.advance(Duration::from_secs(31));
    let young = snapshots.register(|| Some(lsn(200))).expect("durable");
    assert_eq!(old.check(), Ok(()), "nobody waits for it");
    snapshots.wait_for_ingestion(lsn(150));
    assert_eq!(old.check(), Err(SnapshotExpired { lsn: lsn(100) }));
    assert_eq!(young.check(), Ok(()));
    assert_eq!(snapshots.oldest(), Some(lsn(200)));
    drop(old);
    assert_eq!(snapshots.oldest(), Some(lsn(200)), "an expired one takes nothing with it");
}

#[test]
fn ingestion_waits_for_a_snapshot_below_its_watermark() {
    let (_clock, snapshots) = registry();
    let snapshot = snapshots.register(|| Some(lsn(100))).expect("durable");
    let released = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            snapshots.wait_for_ingestion(lsn(150));
            assert!(released.load(Ordering::SeqCst), "ingested below an open snapshot");
        });
        assert_eq!(snapshot.check(), Ok(()));
        released.store(true, Ordering::SeqCst);
        drop(snapshot);
    });
    assert_eq!(snapshots.oldest(), None);
}
