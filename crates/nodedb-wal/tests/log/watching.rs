//! Watches: threads and futures that follow a position.

use crate::{
    executor::{Wakes, block_on},
    world::{Log, dir, lsn, options, record, until},
};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{AppendClass, Past, WaitError, Wal, Watch};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

fn poll(past: &mut Past, waker: &Waker) -> Poll<Result<Lsn, WaitError>> {
    Pin::new(past).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_change_is_told_once_however_many_records_it_covers() {
    let log = Log::create(SimFiles::new(1), options());
    let watch = log.wal.subscribe_durable();
    assert_eq!(watch.position(), None);
    let counter = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&counter));
    let mut past = watch.past(None);
    assert!(poll(&mut past, &waker).is_pending());
    log.group(&[b"1", b"2", b"3"], Durability::Sync);
    assert_eq!(watch.wait_past(None, log.deadline()).expect("durable"), lsn(3));
    until("the waker is called", || counter.count() > 0);
    assert!(matches!(poll(&mut past, &waker), Poll::Ready(Ok(last)) if last == lsn(3)));
    assert_eq!(watch.wait_past(Some(lsn(2)), log.deadline()).expect("at once"), lsn(3));
    log.commit(b"4");
    assert_eq!((counter.count(), watch.position()), (1, Some(lsn(4))));
}

/// A replica must not decide how often its source syncs.
#[test]
fn a_watch_asks_for_no_sync() {
    let log = Log::create(SimFiles::new(2), options());
    let durable = log.wal.subscribe_durable();
    let mut past = durable.past(None);
    assert!(poll(&mut past, Waker::noop()).is_pending());
    log.append(b"not synced", Durability::Buffered);
    let written = log.wal.subscribe_written();
    assert_eq!(written.wait_past(None, log.deadline()).expect("written"), lsn(1));
    let soon = log.env.clock.now() + Duration::from_millis(20);
    let waited = durable.wait_past(None, soon);
    assert!(matches!(waited, Err(WaitError::Timeout)), "{waited:?}");
    assert!(poll(&mut past, Waker::noop()).is_pending());
    assert_eq!(log.wal.durable(), None);
}

/// What waits when the last handle goes: a watch holds nothing open.
#[test]
fn a_close_is_told_after_what_it_published() {
    let log = Log::create(SimFiles::new(3), options());
    let (durable, written) = (log.wal.subscribe_durable(), log.wal.subscribe_written());
    let deadline = log.deadline();
    let twice = |watch: &Watch| {
        let first = watch.wait_past(None, deadline);
        (first, watch.wait_past(Some(lsn(1)), deadline))
    };
    let Log { disk, wal, .. } = log;
    let waiting = thread::scope(|scope| {
        let blocked = scope.spawn(|| twice(&durable));
        let awaited = scope.spawn(|| block_on(written.past(Some(lsn(1)))));
        // Synced by the close alone.
        let last = wal.append(&[record(b"the last")], Durability::Buffered, AppendClass::User);
        assert_eq!(last.expect("taken").start(), lsn(1));
        drop(wal);
        (blocked.join().expect("no panic"), awaited.join().expect("no panic"))
    });
    let ((first, second), awaited) = waiting;
    assert_eq!(first.expect("published by the close"), lsn(1));
    assert!(matches!(second, Err(WaitError::Closed)), "{second:?}");
    assert!(matches!(awaited, Err(WaitError::Closed)), "{awaited:?}");
    assert_eq!(block_on(durable.past(None)).expect("published before the end"), lsn(1));
    let (log, _) = Log::open(disk, options()).expect("nobody has it open");
    drop(log);
}

#[test]
fn a_poisoned_log_ends_every_kind_of_waiting() {
    let log = Log::create(SimFiles::new(4), options());
    log.commit(b"durable");
    let (durable, written) = (log.wal.subscribe_durable(), log.wal.subscribe_written());
    log.disk.fail_sync(1);
    let deadline = log.deadline();
    let (blocked, awaited) = thread::scope(|scope| {
        let blocked = scope.spawn(|| durable.wait_past(Some(lsn(1)), deadline));
        let awaited = scope.spawn(|| block_on(written.past(Some(lsn(2)))));
        log.append(b"never durable", Durability::Sync);
        (blocked.join().expect("no panic"), awaited.join().expect("no panic"))
    });
    assert!(matches!(blocked, Err(WaitError::Poisoned(_))), "{blocked:?}");
    assert!(matches!(awaited, Err(WaitError::Poisoned(_))), "{awaited:?}");
    drop(log);
    // The first end is the one that is told.
    let later = durable.wait_past(Some(lsn(1)), deadline);
    assert!(matches!(later, Err(WaitError::Poisoned(_))), "{later:?}");
}

/// Some are dropped while they wait, and some of those after they were woken.
#[test]
fn many_watches_wait_at_once_and_any_may_leave() {
    const MANY: u64 = 40;
    let log = Log::create(SimFiles::new(5), options());
    let deadline = log.deadline();
    let left = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&left));
    let mut leaving: Vec<_> = (0..MANY).map(|_| log.wal.subscribe_durable().past(None)).collect();
    assert!(leaving.iter_mut().all(|past| poll(past, &waker).is_pending()));
    let woken = leaving.split_off(leaving.len() / 2);
    drop(leaving);
    thread::scope(|scope| {
        for number in 0..MANY {
            let watch = log.wal.subscribe_durable();
            scope.spawn(move || {
                let seen = Lsn::from_u64(number);
                let found = if number % 2 == 0 {
                    watch.wait_past(seen, deadline)
                } else {
                    block_on(watch.past(seen))
                };
                assert!(Some(found.expect("appended below")) > seen);
            });
        }
        for _ in 0..=MANY {
            log.commit(b"one by one");
        }
    });
    assert_eq!(left.count() as u64, MANY / 2, "who had left is not woken, the others once");
    drop(woken);
}

/// A task that is woken by a watch may own the last handle, wherever it is woken: by then nobody leads,
/// and the log can end.
#[test]
fn a_watch_may_wake_who_drops_the_last_handle() {
    struct Owner(Mutex<Option<Wal>>);
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().expect("no panic").take());
        }
    }
    let Log { disk, wal, .. } = Log::create(SimFiles::new(6), options());
    let owner = Arc::new(Owner(Mutex::new(None)));
    let waker = Waker::from(Arc::clone(&owner));
    let mut past = wal.subscribe_durable().past(None);
    assert!(poll(&mut past, &waker).is_pending());
    // The flusher finds the task busy until it owns the last handle.
    let mut slot = owner.0.lock().expect("no panic");
    wal.append(&[record(b"x")], Durability::Sync, AppendClass::User).expect("room");
    *slot = Some(wal);
    drop(slot);
    until("it can be opened again", || Wal::open(&disk.env(), dir(), options()).is_ok());
    assert!(owner.0.lock().expect("no panic").is_none());
    assert!(matches!(poll(&mut past, Waker::noop()), Poll::Ready(Ok(Lsn::FIRST))));
}
