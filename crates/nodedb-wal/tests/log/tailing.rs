//! Tails: reading the log as it grows.

use crate::{
    executor::block_on,
    world::{Log, lsn, options},
};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{Batch, ReadError, ReadLimit, Tail, TailError, WaitError};
use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
    thread,
    time::Duration,
};

const RECORDS: u64 = 40;

fn payload(number: u64) -> Vec<u8> {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(5000, 1);
    payload
}

/// Reads on until `last`, and checks that nothing is missing, double or altered.
fn follow(mut tail: Tail, last: u64, mut next: impl FnMut(&mut Tail) -> Batch) -> Tail {
    while tail.position() <= lsn(last) {
        let from = tail.position();
        let batch = next(&mut tail);
        assert_eq!((batch.first_lsn, batch.last_lsn.next()), (from, tail.position()));
        for record in batch.records() {
            assert_eq!(record.payload, payload(record.lsn.get()));
        }
    }
    tail
}

/// Some block, some are awaited; some start in the middle; the log rotates under them.
#[test]
fn many_tails_read_everything_through_rotations() {
    let log = Log::create(SimFiles::new(1), options());
    let deadline = log.deadline();
    thread::scope(|scope| {
        for from in [1, 1, 7, RECORDS] {
            for limit in [ReadLimit::Durable, ReadLimit::Written] {
                let blocking = log.wal.tail(lsn(from), limit).expect("there");
                let awaited = log.wal.tail(lsn(from), limit).expect("there");
                scope.spawn(move || {
                    follow(blocking, RECORDS, |tail| tail.next_batch(deadline).expect("grows"))
                });
                scope.spawn(move || {
                    follow(awaited, RECORDS, |tail| block_on(tail.next()).expect("grows"))
                });
            }
        }
        for number in 1..=RECORDS {
            log.group(&[&payload(number)], Durability::Sync);
        }
    });
    assert!(log.wal.segments().len() > 3, "it rotated");
}

#[test]
fn a_tail_that_was_overtaken_is_told_where_to_start_again() {
    let log = Log::create(SimFiles::new(2), options());
    let mut tail = log.wal.tail(Lsn::FIRST, ReadLimit::Durable).expect("there");
    log.fill_segments(4);
    let newest = log.wal.segments()[3].first_lsn;
    log.checkpoint(newest);
    log.wal.truncate(log.wal.plan_truncation(&[])).expect("no fault");
    let error = tail.next_batch(log.deadline()).expect_err("reclaimed");
    let TailError::Read(ReadError::Truncated { oldest }) = error else {
        panic!("{error}");
    };
    assert_eq!(oldest, newest);
    let awaited = block_on(tail.next());
    assert!(matches!(awaited, Err(TailError::Read(ReadError::Truncated { .. }))), "{awaited:?}");
    let mut again = log.wal.tail(oldest, ReadLimit::Durable).expect("there");
    assert_eq!(again.next_batch(log.deadline()).expect("there").first_lsn, oldest);
    let early = log.wal.tail(Lsn::FIRST, ReadLimit::Durable);
    assert!(matches!(early, Err(ReadError::Truncated { .. })));
}

#[test]
fn a_tail_answers_what_is_there_before_it_looks_at_the_time() {
    let log = Log::create(SimFiles::new(3), options());
    log.commit(b"there");
    let mut tail = log.wal.tail(Lsn::FIRST, ReadLimit::Durable).expect("there");
    assert_eq!(tail.next_batch(Duration::ZERO).expect("there").last_lsn, lsn(1));
    let late = tail.next_batch(Duration::ZERO);
    assert!(matches!(late, Err(TailError::Wait(WaitError::Timeout))), "{late:?}");
}

#[test]
fn a_close_ends_a_tail_after_its_last_batch() {
    let log = Log::create(SimFiles::new(4), options());
    let tail = log.wal.tail(Lsn::FIRST, ReadLimit::Durable).expect("there");
    let mut awaited = log.wal.tail(Lsn::FIRST, ReadLimit::Durable).expect("there");
    for number in 1..=5 {
        log.group(&[&payload(number)], Durability::Buffered);
    }
    drop(log.wal);
    let deadline = log.env.clock.now() + Duration::from_secs(20);
    let mut tail = follow(tail, 5, |tail| tail.next_batch(deadline).expect("synced by the close"));
    let end = tail.next_batch(deadline);
    assert!(matches!(end, Err(TailError::Wait(WaitError::Closed))), "{end:?}");
    awaited = follow(awaited, 5, |tail| block_on(tail.next()).expect("synced by the close"));
    let end = block_on(awaited.next());
    assert!(matches!(end, Err(TailError::Wait(WaitError::Closed))), "{end:?}");
}

/// What was durable is read; what was only written never shows.
#[test]
fn a_poisoned_log_ends_a_tail_after_what_is_durable() {
    let log = Log::create(SimFiles::new(5), options());
    log.group(&[&payload(1)], Durability::Sync);
    log.wal.sync(log.deadline()).expect("no fault");
    let tail = log.wal.tail(Lsn::FIRST, ReadLimit::Durable).expect("there");
    log.disk.fail_sync(1);
    log.append(b"never durable", Durability::Sync);
    let deadline = log.deadline();
    let mut tail = follow(tail, 1, |tail| tail.next_batch(deadline).expect("durable"));
    let end = tail.next_batch(deadline);
    assert!(matches!(end, Err(TailError::Wait(WaitError::Poisoned(_)))), "{end:?}");
    assert_eq!(tail.position(), lsn(2));
}

/// Dropped before it was woken, and after: the next call answers the batch that this one would have.
#[test]
fn a_dropped_future_loses_no_batch() {
    let log = Log::create(SimFiles::new(6), options());
    let mut tail = log.wal.tail(Lsn::FIRST, ReadLimit::Durable).expect("there");
    let mut context = Context::from_waker(Waker::noop());
    for number in 1..=4 {
        {
            let mut early = pin!(tail.next());
            assert!(early.as_mut().poll(&mut context).is_pending());
        }
        {
            let mut woken = pin!(tail.next());
            assert!(woken.as_mut().poll(&mut context).is_pending());
            log.commit(b"meanwhile");
        }
        let batch = block_on(tail.next()).expect("there");
        assert_eq!((batch.first_lsn, batch.last_lsn), (lsn(number), lsn(number)));
    }
}
