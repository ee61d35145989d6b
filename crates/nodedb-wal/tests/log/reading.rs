//! Readers, pins and truncation.

use crate::world::{Log, SEGMENT, lsn, options, record};
use nodedb_env::Env;
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{
    AppendClass, AppendError, Hold, LogOptions, ReadError, ReadLimit, Record, RetentionPin, Wal,
    WalError,
};
use std::{
    future::Future,
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
    time::Duration,
};

#[test]
fn a_reader_follows_the_log_from_the_middle_of_a_batch_on() {
    let log = Log::create(SimFiles::new(1), options());
    log.group(&[b"1", b"2", b"3", b"4"], Durability::Sync);
    log.wal.sync(log.deadline()).expect("no fault");
    let mut reader = log.wal.reader(lsn(3), ReadLimit::Durable).expect("there");
    let batch = reader.next_batch().expect("intact").expect("there");
    assert_eq!((batch.first_lsn, batch.last_lsn), (lsn(3), lsn(4)));
    assert_eq!(batch.bytes().len(), 2 * record(b"3").encoded_len());
    assert!(reader.next_batch().expect("intact").is_none());
    log.commit(b"5");
    let batch = reader.next_batch().expect("intact").expect("there");
    assert_eq!(batch.records().next().expect("one").payload, "5");
    assert_eq!(reader.position(), lsn(6));
}

#[test]
fn truncation_goes_by_the_lowest_hold_and_names_it() {
    let log = Log::create(SimFiles::new(2), options());
    log.fill_segments(5);
    let starts: Vec<Lsn> = log.wal.segments().iter().map(|segment| segment.first_lsn).collect();
    assert!(log.wal.plan_truncation(&[]).segments().is_empty(), "recovery needs all");
    log.checkpoint(starts[4]);

    let pin = log.wal.pin("reader", starts[1]);
    let archive = Hold { name: "archive".to_owned(), lsn: starts[3] };
    let plan = log.wal.plan_truncation(std::slice::from_ref(&archive));
    let names: Vec<_> = plan.holds().iter().map(|hold| hold.name.as_str()).collect();
    assert_eq!(names, ["reader", "archive", "redo"]);
    assert_eq!((plan.horizon(), plan.segments().len()), (starts[1], 1));
    assert_eq!(log.wal.truncate(plan).expect("no fault").oldest, starts[1]);

    pin.advance(starts[2]);
    pin.advance(starts[0]);
    assert_eq!(pin.lsn(), starts[2]);
    let plan = log.wal.plan_truncation(std::slice::from_ref(&archive));
    assert_eq!(log.wal.truncate(plan).expect("no fault").oldest, starts[2]);

    drop(pin);
    assert!(log.wal.holds().is_empty());
    let plan = log.wal.plan_truncation(&[archive]);
    assert_eq!(log.wal.truncate(plan).expect("no fault").oldest, starts[3]);
    let plan = log.wal.plan_truncation(&[]);
    assert_eq!(log.wal.truncate(plan).expect("no fault").oldest, starts[4]);
    assert_eq!(log.wal.oldest(), starts[4]);
}

#[test]
fn a_pin_taken_after_the_plan_still_holds() {
    let log = Log::create(SimFiles::new(3), options());
    log.fill_segments(3);
    let starts: Vec<Lsn> = log.wal.segments().iter().map(|segment| segment.first_lsn).collect();
    log.checkpoint(starts[2]);
    let plan = log.wal.plan_truncation(&[]);
    assert_eq!(plan.segments().len(), 2);
    let pin = log.wal.pin("late", starts[1]);
    let truncated = log.wal.truncate(plan).expect("no fault");
    assert_eq!((truncated.segments, truncated.oldest), (1, pin.lsn()));
}

#[test]
fn a_reader_of_what_was_reclaimed_is_told_and_never_sees_other_bytes() {
    let log = Log::create(SimFiles::new(4), options());
    log.fill_segments(4);
    let segments = log.wal.segments();
    let mut slow = log.wal.reader(Lsn::FIRST, ReadLimit::Durable).expect("there");
    slow.next_batch().expect("intact").expect("there");
    log.checkpoint(segments[3].first_lsn);
    log.wal.truncate(log.wal.plan_truncation(&[])).expect("no fault");
    // To the end of the segment it stands in, then the truth.
    let mut next = lsn(2);
    let error = loop {
        match slow.next_batch() {
            Ok(batch) => {
                let batch = batch.expect("durable");
                assert_eq!(batch.first_lsn, next);
                next = batch.last_lsn.next();
            }
            Err(error) => break error,
        }
    };
    assert_eq!(next, segments[1].first_lsn);
    assert!(matches!(error, ReadError::Truncated { oldest } if oldest == segments[3].first_lsn));
    let early = log.wal.reader(Lsn::FIRST, ReadLimit::Durable);
    assert!(matches!(early, Err(ReadError::Truncated { .. })));
}

/// A failed truncation wakes everybody who waits. A woken task may end, and drop the pin it held.
#[test]
fn a_task_that_drops_its_pin_when_a_truncation_fails_does_not_hang_it() {
    struct Task(Mutex<Option<RetentionPin>>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().expect("no panic").take());
        }
    }
    let log = Log::create(SimFiles::new(7), options());
    log.fill_segments(3);
    let last = log.wal.segments()[2].first_lsn;
    log.checkpoint(last);
    let task = Task(Mutex::new(Some(log.wal.pin("task", last))));
    let waker = Waker::from(Arc::new(task));
    let future = log.wal.durable_future(last.advance(1000));
    let mut future = Box::pin(future);
    let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    log.disk.fail_sync(1);
    let wal = log.wal.clone();
    let truncate = move || assert!(wal.truncate(wal.plan_truncation(&[])).is_err());
    let thread = log.env.threads.spawn("truncate", Box::new(truncate));
    let truncating = thread.expect("a thread");
    crate::world::until("the truncation returns", || truncating.is_finished());
    truncating.join().expect("it is refused");
    assert!(log.wal.holds().is_empty());
}

/// The directory has another owner after a close. CONTROL written from an old state would put its redo
/// back, and a file renamed would take the place of one that the new owner has prepared.
#[test]
fn a_handle_kept_over_a_close_changes_nothing_of_who_opened_next() {
    let log = Log::create(SimFiles::new(6), options());
    log.fill_segments(4);
    let last = log.wal.segments()[3].first_lsn;
    log.checkpoint(last);
    let stale = log.wal.clone();
    let plan = stale.plan_truncation(&[]);
    assert_eq!(plan.segments().len(), 3);
    log.wal.close().expect("no fault");
    let (next, _) = Log::open(log.disk.clone(), options()).expect("free again");
    next.wait_for_spares();
    let before = log.disk.snapshot();
    let truncated = stale.truncate(plan);
    assert!(matches!(truncated, Err(WalError::Closed)), "{truncated:?}");
    let durable = stale.durable().expect("there are records");
    let recorded = stale.record_checkpoint(durable, durable, None);
    assert!(matches!(recorded, Err(WalError::Closed)), "{recorded:?}");
    assert!(before.differences(&log.disk.snapshot()).is_empty());
}

#[test]
fn a_damaged_batch_is_an_error_for_its_readers() {
    let log = Log::create(SimFiles::new(5), options());
    let at = log.wal.log_offset();
    log.commit(b"damaged later");
    log.disk.corrupt(crate::world::segment(1), at + 100, 1);
    let mut reader = log.wal.reader(Lsn::FIRST, ReadLimit::Durable).expect("there");
    let error = reader.next_batch().expect_err("damaged");
    assert!(matches!(error, ReadError::Corrupt { segment: 1, lsn: Lsn::FIRST, .. }), "{error}");
}

/// On real files readers go through maps: what they were given stays as it was, whatever becomes of
/// the segment.
#[test]
fn mapped_payloads_outlive_truncation_recycling_and_close() {
    let dir = tempfile::tempdir().expect("a directory");
    let env = Env::real();
    let options = LogOptions {
        segment_bytes: SEGMENT,
        sync_point_idle: Duration::from_millis(1),
        ..LogOptions::default()
    };
    let wal = Wal::create(&env, dir.path(), options.clone()).expect("empty");
    let deadline = || env.clock.now() + Duration::from_secs(20);
    let commit = |wal: &Wal, fill: u8| {
        let payload = [fill; 9000];
        let records: [Record<'_>; 1] = [record(&payload)];
        loop {
            match wal.append(&records, Durability::Sync, AppendClass::User) {
                Ok(range) => {
                    wal.wait_durable(range.start(), deadline()).expect("durable");
                    return range.start();
                }
                Err(AppendError::Backpressure) => {
                    let bytes = records[0].encoded_len();
                    wal.wait_room(bytes, AppendClass::User, deadline()).expect("room comes");
                }
                Err(other) => panic!("{other}"),
            }
        }
    };
    let mut kept = Vec::new();
    let mut reader = wal.reader(Lsn::FIRST, ReadLimit::Durable).expect("there");
    for round in 0..60 {
        let last = commit(&wal, round);
        while let Some(batch) = reader.next_batch().expect("intact") {
            kept.extend(batch.records().map(|record| record.payload));
        }
        if round % 10 == 9 {
            wal.record_checkpoint(last, last, None).expect("no fault");
            wal.truncate(wal.plan_truncation(&[])).expect("no fault");
        }
    }
    assert!(wal.oldest() > Lsn::FIRST, "something was truncated");
    let unmapped = wal.reader(wal.oldest(), ReadLimit::Durable).expect("there").unmapped();
    let mut unmapped = unmapped;
    let batch = unmapped.next_batch().expect("intact").expect("there");
    assert_eq!(batch.first_lsn, wal.oldest());
    wal.close().expect("no fault");
    let (wal, report) = Wal::open(&env, dir.path(), options).expect("sound");
    assert_eq!(report.last, Some(lsn(60)));
    for round in 60..80 {
        commit(&wal, round);
    }
    assert_eq!(kept.len(), 60);
    for (round, payload) in (0..60_u8).zip(&kept) {
        assert!(payload.iter().all(|byte| *byte == round), "round {round}");
    }
}
