//! Appending, waiting, failing.

use crate::{
    executor::block_on,
    world::{Log, SEGMENT, dir, killed, lsn, options, record, segment},
};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, ErrorKind, Lsn, LsnRange};
use nodedb_wal::{
    AppendClass, AppendError, DurabilityListener, LogHealth, LogOptions, PoisonCause, ReadLimit,
    Record, WaitError, Wal, WalError,
};
use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

/// A log whose last sync failed, the last durable record, and the one that was lost.
fn poisoned() -> (Log, Lsn, Lsn) {
    let log = Log::create(SimFiles::new(1), options());
    log.fill_segments(2);
    let durable = log.commit(b"durable");
    let future = log.wal.durable_future(durable.next());
    log.disk.fail_sync(1);
    let lost = log.append(b"lost", Durability::Sync).start();
    let waited = log.wal.wait_durable(lost, log.deadline());
    assert!(matches!(waited, Err(WaitError::Poisoned(_))), "{waited:?}");
    assert!(matches!(block_on(future), Err(WaitError::Poisoned(_))));
    assert_eq!(log.wal.health(), LogHealth::Poisoned);
    (log, durable, lost)
}

#[test]
fn a_failed_sync_poisons_and_nothing_is_acknowledged_or_synced_after_it() {
    let (log, durable, lost) = poisoned();
    let operations = log.disk.operations();
    let refused = log.wal.append(&[record(b"x")], Durability::Sync, AppendClass::User);
    assert!(matches!(refused, Err(AppendError::Poisoned(_))));
    log.wal.request_sync(lost);
    let synced = log.wal.sync(log.deadline());
    assert!(matches!(synced, Err(WaitError::Poisoned(_))));
    assert!(matches!(log.wal.close(), Err(WalError::Poisoned(_))));
    assert_eq!(log.wal.durable(), Some(durable));
    assert_eq!(log.disk.operations(), operations, "not one operation after the failure");
}

#[test]
fn a_poisoned_log_reads_what_is_durable_and_deletes_and_records_nothing() {
    let (log, durable, _) = poisoned();
    let operations = log.disk.operations();
    let truncated = log.wal.truncate(log.wal.plan_truncation(&[]));
    assert!(matches!(truncated, Err(WalError::Poisoned(_))));
    let recorded = log.wal.record_checkpoint(durable, durable, None);
    assert!(matches!(recorded, Err(WalError::Poisoned(_))));
    assert!(log.wal.wait_durable(durable, log.deadline()).is_ok());
    assert_eq!(log.contents().last().map(|(lsn, _)| *lsn), Some(durable));
    assert_eq!(log.disk.operations(), operations, "not one operation after the failure");
}

/// CONTROL fails on another thread while the flusher is between its write and its sync. The sync would
/// succeed, but everybody was told that nothing becomes durable any more.
#[test]
fn what_was_durable_at_the_failure_stays_the_last_word_whichever_thread_met_it() {
    #[derive(Debug)]
    struct Meddler {
        disk: SimFiles,
        wal: Mutex<Option<Wal>>,
    }
    impl DurabilityListener for Meddler {
        fn durable(&self, _: Lsn) {}
        fn written(&self, _: Lsn) {
            if let Some(wal) = self.wal.lock().expect("no panic").take() {
                self.disk.fail_sync(1);
                let durable = wal.durable().expect("the first record");
                let recorded = wal.record_checkpoint(durable, durable, None);
                assert!(matches!(recorded, Err(WalError::Poisoned(_))));
            }
        }
        fn poisoned(&self, _: &PoisonCause) {}
    }
    let log = Log::create(SimFiles::new(1), options());
    let durable = log.commit(b"durable");
    log.wal.set_listener(Arc::new(Meddler {
        disk: log.disk.clone(),
        wal: Mutex::new(Some(log.wal.clone())),
    }));
    let late = log.append(b"late", Durability::Sync).start();
    let waited = log.wal.wait_durable(late, log.deadline());
    assert!(matches!(waited, Err(WaitError::Poisoned(_))), "{waited:?}");
    assert!(matches!(log.wal.close(), Err(WalError::Poisoned(_))));
    assert_eq!(log.wal.durable(), Some(durable));
}

#[test]
fn every_failing_write_or_sync_around_a_rotation_poisons_and_loses_nothing() {
    let faults: [fn(&SimFiles, u64); 3] =
        [SimFiles::fail_sync, SimFiles::fail_write, SimFiles::fail_dir_sync];
    for fault in faults {
        for nth in 1..=4 {
            let log = Log::create(SimFiles::new(2), options());
            let mut acknowledged = log.commit(&[1; 9000]);
            fault(&log.disk, nth);
            for _ in 0..16 {
                let records = [record(&[2; 9000])];
                let Ok(range) = log.wal.append(&records, Durability::Sync, AppendClass::User)
                else {
                    break;
                };
                if log.wal.wait_durable(range.start(), log.deadline()).is_err() {
                    break;
                }
                acknowledged = range.start();
            }
            drop(log.wal);
            for image in [log.disk.crash_losing_all(), log.disk.crash(), killed(&log.disk)] {
                let (_, report) = Log::open(image, options()).expect("sound");
                assert!(report.last >= Some(acknowledged), "fault {nth}");
            }
        }
    }
}

#[test]
fn a_group_is_never_split_and_never_in_two_segments() {
    let log = Log::create(SimFiles::new(4), options());
    let part = [1; 3000];
    for _ in 0..30 {
        let range = log.group(&[&part, &part, &part, &part, &part], Durability::Buffered);
        assert_eq!(range.count(), 5);
    }
    log.wal.sync(log.deadline()).expect("no fault");
    assert!(log.wal.segments().len() > 4);
    let mut reader = log.wal.reader(Lsn::FIRST, ReadLimit::Durable).expect("there");
    let mut next = 1;
    while let Some(batch) = reader.next_batch().expect("intact") {
        let records: Vec<_> = batch.records().collect();
        assert!(records.len().is_multiple_of(5));
        for (index, record) in records.iter().enumerate() {
            assert_eq!(record.lsn.get(), next);
            assert_eq!(record.group.first, index % 5 == 0);
            assert_eq!(record.group.last, index % 5 == 4);
            next += 1;
        }
    }
    assert_eq!(next, 151);
}

#[test]
fn the_largest_group_fits_and_one_byte_more_is_refused() {
    let log = Log::create(SimFiles::new(5), options());
    let limit = log.wal.group_bytes_max();
    assert!(limit as u64 > SEGMENT * 3 / 4);
    let payload = vec![1; limit - 32];
    assert_eq!(record(&payload).encoded_len(), limit);
    log.commit(b"so that it needs a fresh segment");
    let range = log.append(&payload, Durability::Sync);
    log.wal.wait_durable(range.start(), log.deadline()).expect("durable");
    let payload = vec![1; limit - 31];
    let refused = log.wal.append(&[record(&payload)], Durability::Sync, AppendClass::User);
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })));
    assert_eq!(log.wal.appended(), range.last());
}

#[test]
fn many_writers_share_syncs_and_get_dense_numbers() {
    let log = Log::create(SimFiles::new(6), options());
    let taken: Vec<LsnRange> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_u8)
            .map(|writer| {
                scope.spawn({
                    let log = &log;
                    move || {
                        let one = |index: u8| {
                            let range = log.group(&[&[writer, index], &[index]], Durability::Sync);
                            log.wal
                                .wait_durable(range.end().previous().expect("two"), log.deadline())
                                .expect("durable");
                            range
                        };
                        (0..100).map(one).collect::<Vec<_>>()
                    }
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect()
    });
    let mut starts: Vec<_> = taken.iter().map(|range| range.start().get()).collect();
    starts.sort_unstable();
    let expected: Vec<_> = (0..400).map(|index| index * 2 + 1).collect();
    assert_eq!(starts, expected);
    let (_, report) = Log::open(log.disk.crash_losing_all(), options()).expect("sound");
    assert_eq!(report.last, Some(lsn(800)));
}

#[test]
fn a_periodic_append_is_synced_by_its_timer() {
    let log = Log::create(SimFiles::new(7), options());
    let every = Duration::from_millis(5);
    let range = log.append(b"soon", Durability::Periodic { every });
    crate::world::until("the timer", || log.wal.durable() == range.last());
    let (_, report) = Log::open(log.disk.crash_losing_all(), options()).expect("sound");
    assert_eq!(report.last, range.last());
}

#[test]
fn buffered_survives_a_kill_and_a_wait_makes_it_durable() {
    let log = Log::create(SimFiles::new(8), options());
    let written = log.write(b"buffered");
    assert_eq!(log.wal.durable(), None);
    assert_eq!(crate::world::read(&log.wal, Lsn::FIRST, ReadLimit::Durable), []);
    assert_eq!(crate::world::read(&log.wal, Lsn::FIRST, ReadLimit::Written).len(), 1);
    let (_, report) = Log::open(killed(&log.disk), options()).expect("sound");
    assert_eq!(report.last, Some(written));
    log.wal.wait_durable(written, log.deadline()).expect("asks for the sync itself");
    assert_eq!(log.wal.durable(), Some(written));
}

#[test]
fn a_wait_ends_at_its_deadline_and_at_the_close() {
    let log = Log::create(SimFiles::new(9), options());
    let soon = log.env.clock.now() + Duration::from_millis(2);
    let waited = log.wal.wait_durable(Lsn::FIRST, soon);
    assert_eq!(waited.expect_err("nothing is appended").kind(), ErrorKind::Timeout);
    let future = log.wal.durable_future(Lsn::FIRST);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wal.wait_durable(Lsn::FIRST, log.deadline()));
        let polled = scope.spawn(|| block_on(future));
        log.wal.close().expect("no fault");
        let waited = waiting.join().expect("no panic");
        assert!(matches!(waited, Err(WaitError::Closed)), "{waited:?}");
        let polled = polled.join().expect("no panic");
        assert!(matches!(polled, Err(WaitError::Closed)), "{polled:?}");
    });
    let refused = log.wal.append(&[record(b"x")], Durability::Sync, AppendClass::User);
    assert!(matches!(refused, Err(AppendError::Closed)));
    log.wal.close().expect("twice is fine");
}

#[test]
fn a_future_resolves_and_a_dropped_one_cancels_nothing() {
    let log = Log::create(SimFiles::new(10), options());
    let first = log.append(b"one", Durability::Buffered).start();
    drop(log.wal.durable_future(first));
    let second = log.append(b"two", Durability::Buffered).start();
    block_on(log.wal.durable_future(second)).expect("durable");
    assert_eq!(log.wal.durable(), Some(second));
}

/// The sync was asked for before there was anything to sync, and a `Buffered` append asks for none.
#[test]
fn a_wait_for_a_record_to_come_syncs_it_also_if_it_is_only_buffered() {
    let log = Log::create(SimFiles::new(10), options());
    let mut future = pin!(log.wal.durable_future(Lsn::FIRST));
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    log.append(b"one", Durability::Buffered);
    crate::world::until("it is durable", || log.wal.durable() == Some(Lsn::FIRST));
    for next in 2..50 {
        let next = lsn(next);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| log.wal.wait_durable(next, log.deadline()));
            std::thread::yield_now();
            log.append(b"next", Durability::Buffered);
            waiting.join().expect("no panic").expect("durable");
        });
    }
}

#[test]
fn the_listener_hears_of_every_change() {
    #[derive(Debug, Default)]
    struct Heard {
        durable: AtomicU64,
        written: AtomicU64,
        poisoned: AtomicU64,
    }
    impl DurabilityListener for Heard {
        fn durable(&self, durable: Lsn) {
            let before = self.durable.swap(durable.get(), Ordering::SeqCst);
            assert!(before < durable.get());
            assert!(self.written.load(Ordering::SeqCst) >= durable.get());
        }
        fn written(&self, written: Lsn) {
            assert!(self.written.swap(written.get(), Ordering::SeqCst) < written.get());
        }
        fn poisoned(&self, _: &PoisonCause) {
            self.poisoned.fetch_add(1, Ordering::SeqCst);
        }
    }
    let log = Log::create(SimFiles::new(11), options());
    let heard = Arc::new(Heard::default());
    let listener: Arc<Heard> = Arc::clone(&heard);
    log.wal.set_listener(listener);
    for _ in 0..20 {
        log.commit(&[1; 9000]);
    }
    crate::world::until("news", || heard.durable.load(Ordering::SeqCst) == 20);
    log.wait_for_spares();
    log.disk.fail_sync(1);
    log.append(b"lost", Durability::Sync);
    crate::world::until("bad news", || heard.poisoned.load(Ordering::SeqCst) == 1);
}

#[test]
fn the_commit_clock_never_goes_back() {
    use nodedb_testkit::ManualClock;
    let clock = Arc::new(ManualClock::new());
    let disk = SimFiles::new(12);
    let env = disk.env_with_clock(Arc::<ManualClock>::clone(&clock));
    nodedb_env::Files::create_dir(&disk, dir()).expect("empty disk");
    let options = LogOptions { sync_point_idle: Duration::from_hours(1), ..options() };
    let wal = Wal::create(&env, dir(), options.clone()).expect("empty directory");
    assert_eq!(wal.recovered_commit_time_ms(), None);
    clock.set_unix_ms(2_000_000_000_000);
    let commit = |wal: &Wal| {
        let records: [Record<'_>; 1] = [record(b"x")];
        let range = wal.append(&records, Durability::Sync, AppendClass::User).expect("taken");
        wal.wait_durable(range.start(), Duration::from_secs(20)).expect("durable");
        let mut reader = wal.reader(range.start(), ReadLimit::Durable).expect("there");
        reader.next_batch().expect("intact").expect("there").commit_ms
    };
    assert_eq!(commit(&wal), 2_000_000_000_000);
    clock.set_unix_ms(1_000_000_000_000);
    assert_eq!(commit(&wal), 2_000_000_000_000);
    drop(wal);
    let (wal, _) = Wal::open(&env, dir(), options).expect("sound");
    assert_eq!(wal.commit_time_ms(), 2_000_000_000_000);
    assert_eq!(commit(&wal), 2_000_000_000_000);
    // Closing may write once more, with the time of the clock.
    drop(wal);
    clock.set_unix_ms(3_000_000_000_000);
    let (wal, _) = Wal::open(&env, dir(), LogOptions::default()).expect("sound");
    assert_eq!(wal.recovered_commit_time_ms(), Some(2_000_000_000_000));
    assert_eq!(wal.commit_time_ms(), 3_000_000_000_000);
}

#[test]
fn a_rotation_makes_the_old_segment_durable_at_any_level() {
    let log = Log::create(SimFiles::new(13), options());
    while log.wal.segments().len() < 2 {
        log.write(&[1; 9000]);
    }
    let last_of_first = log.wal.segments()[0].last_lsn;
    assert!(log.wal.durable() >= last_of_first);
    assert_eq!(log.wal.segments()[0].path, segment(1));
    let (_, report) = Log::open(log.disk.crash_losing_all(), options()).expect("sound");
    assert!(report.last >= last_of_first);
}
