//! Group commit: who leads, who follows, and that nobody is forgotten.

use crate::world::{Log, dir, lsn, options, record, until};
use nodedb_env::Env;
use nodedb_testkit::{FaultyFiles, SimFiles};
use nodedb_types::{Durability, ErrorKind, Lsn};
use nodedb_wal::{AppendClass, DurabilityListener, LogOptions, PoisonCause, WaitError, Wal};
use std::{
    collections::BTreeSet,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

fn staged(log: &Log, payload: &[u8]) -> Lsn {
    log.wal.stage(&[record(payload)], AppendClass::User).expect("room").start()
}

#[test]
fn what_is_staged_is_written_when_somebody_asks_and_not_before() {
    let log = Log::create(SimFiles::new(1), options());
    let operations = log.disk.operations();
    let first = staged(&log, b"one");
    let second = staged(&log, b"two");
    assert_eq!((log.wal.appended(), log.wal.written()), (Some(second), None));
    assert_eq!(log.disk.operations(), operations, "nobody asked");
    assert_eq!(log.wal.flush(first, log.deadline()).expect("written"), second);
    assert_eq!((log.wal.written(), log.wal.durable()), (Some(second), None));
    assert_eq!(log.wal.commit(first, log.deadline()).expect("durable"), second);
    let (_, report) = Log::open(log.disk.crash_losing_all(), options()).expect("sound");
    assert_eq!(report.last, Some(second));
}

#[test]
fn records_that_are_staged_together_share_one_write_and_one_sync() {
    let log = Log::create(SimFiles::new(2), options());
    let operations = log.disk.operations();
    let last = (0..64).map(|index| staged(&log, &[index; 100])).max().expect("64");
    log.wal.commit(last, log.deadline()).expect("durable");
    assert_eq!(log.disk.operations() - operations, 2, "a write and a sync");
}

#[test]
fn a_log_writes_what_is_only_staged_before_it_is_closed() {
    let log = Log::create(SimFiles::new(3), options());
    let last = staged(&log, b"staged");
    log.wal.close().expect("no fault");
    let (_, report) = Log::open(log.disk.crash_losing_all(), options()).expect("sound");
    assert_eq!((report.last, report.clean_shutdown), (Some(last), true));
}

/// The buffer is full of records that nobody has asked to be written, and room comes by writing them.
#[test]
fn waiting_for_room_has_what_is_only_staged_written() {
    let small = LogOptions { staging_bytes_max: 64 << 10, ..options() };
    let log = Log::create(SimFiles::new(4), small);
    let payload = [1; 9000];
    while log.wal.stage(&[record(&payload)], AppendClass::User).is_ok() {}
    let bytes = record(&payload).encoded_len();
    log.wal.wait_room(bytes, AppendClass::User, log.deadline()).expect("room comes");
    staged(&log, &payload);
}

/// The wait began before the record was there, and `stage` itself asks for nothing.
#[test]
fn a_wait_for_a_record_to_come_syncs_it_also_if_it_is_only_staged() {
    let log = Log::create(SimFiles::new(5), options());
    for next in 1..50 {
        let next = lsn(next);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| log.wal.wait_durable(next, log.deadline()));
            let committing = scope.spawn(|| log.wal.commit(next, log.deadline()));
            thread::yield_now();
            staged(&log, b"next");
            assert_eq!(waiting.join().expect("no panic").expect("durable"), next);
            assert_eq!(committing.join().expect("no panic").expect("durable"), next);
        });
    }
}

/// Committers, passive waiters, flushes, futures that are dropped, periodic and buffered appends, all at
/// once, over rotations. Every kind depends on another one to hand the lead on: a forgotten one hangs.
#[test]
fn every_kind_of_writer_gets_there_beside_all_others() {
    let log = Log::create(SimFiles::new(6), options());
    let acknowledged = Mutex::new(BTreeSet::new());
    let seen =
        |lsn: Lsn| assert!(acknowledged.lock().expect("no panic").insert(lsn), "{lsn} twice");
    thread::scope(|scope| {
        for writer in 0..8_u8 {
            let (log, seen) = (&log, &seen);
            scope.spawn(move || {
                for round in 0..120_u8 {
                    let payload = [writer, round, 0, 0].repeat(60);
                    let lsn = match writer % 4 {
                        0 | 1 => log.place(&payload),
                        2 => log.append(&payload, Durability::Sync).start(),
                        _ => log.append(&payload, Durability::Buffered).start(),
                    };
                    match writer {
                        0 | 1 | 4 | 5 => log.wal.commit(lsn, log.deadline()),
                        2 | 6 => log.wal.wait_durable(lsn, log.deadline()),
                        3 => log.wal.flush(lsn, log.deadline()),
                        _ => {
                            drop(log.wal.durable_future(lsn));
                            log.wal.flush(lsn, log.deadline())
                        }
                    }
                    .expect("no fault");
                    seen(lsn);
                }
            });
        }
    });
    assert_eq!(acknowledged.lock().expect("no panic").len(), 960, "dense and each once");
    assert!(log.wal.segments().len() > 3);
    let durable = log.wal.sync(log.deadline()).expect("no fault");
    assert_eq!(durable, Some(lsn(960)));
    let (_, report) = Log::open(log.disk.crash_losing_all(), options()).expect("sound");
    assert_eq!(report.last, durable);
}

/// The leader is inside a sync that the disk does not answer. It cannot be called back, but who follows
/// it keeps its deadline, and so does who leaves the work to others.
#[test]
fn a_hanging_disk_holds_the_leader_and_nobody_else() {
    let temp = tempfile::tempdir().expect("a directory");
    let files = FaultyFiles::default();
    let faults = files.faults();
    let env = Env { files: Arc::new(files), ..Env::real() };
    let path = temp.path().join("log");
    env.files.create_dir(&path).expect("a directory");
    let wal = Wal::create(&env, &path, options()).expect("empty directory");
    // The name under which the file of the first segment was made.
    faults.hold_syncs("spare-0.");
    let far = || env.clock.now() + Duration::from_secs(20);
    thread::scope(|scope| {
        let first = wal.stage(&[record(b"one")], AppendClass::User).expect("room").start();
        let leading = scope.spawn({
            let wal = &wal;
            move || wal.commit(first, far())
        });
        until("the leader has written", || wal.written() == Some(first));
        let second = wal.stage(&[record(b"two")], AppendClass::User).expect("room").start();
        let soon = || env.clock.now() + Duration::from_millis(5);
        for waited in [
            wal.commit(first, soon()),
            wal.commit(second, soon()),
            wal.wait_durable(second, soon()),
            wal.flush(second, soon()),
        ] {
            assert_eq!(waited.expect_err("the disk hangs").kind(), ErrorKind::Timeout);
        }
        faults.release_syncs();
        assert_eq!(leading.join().expect("no panic").expect("durable"), first);
        // Those who gave up had asked for it, and somebody else does it.
        until("it is durable all the same", || wal.durable() == Some(second));
    });
    wal.close().expect("no fault");
}

/// A listener that panics does so on the thread that leads, which may be a caller's. The lead is gone with
/// it, so all others must be told.
#[test]
fn a_leader_that_panics_poisons_the_log_and_nobody_hangs() {
    #[derive(Debug)]
    struct Panics(AtomicBool);
    impl DurabilityListener for Panics {
        fn durable(&self, _: Lsn) {
            assert!(!self.0.load(Ordering::SeqCst), "asked to panic");
        }
        fn written(&self, _: Lsn) {}
        fn poisoned(&self, _: &PoisonCause) {}
    }
    let log = Log::create(SimFiles::new(7), options());
    let switch = Arc::new(Panics(AtomicBool::new(false)));
    let listener: Arc<Panics> = Arc::clone(&switch);
    log.wal.set_listener(listener);
    let first = staged(&log, b"one");
    log.wal.commit(first, log.deadline()).expect("durable");
    switch.0.store(true, Ordering::SeqCst);
    let second = staged(&log, b"two");
    thread::scope(|scope| {
        let leading = scope.spawn(|| log.wal.commit(second, log.deadline()));
        assert!(leading.join().is_err(), "the panic is the caller's");
    });
    let third = log.wal.wait_durable(second.next(), log.deadline());
    assert!(matches!(third, Err(WaitError::Poisoned(_))), "{third:?}");
    let refused = log.wal.stage(&[record(b"x")], AppendClass::User);
    assert_eq!(refused.expect_err("poisoned").kind(), ErrorKind::Poisoned);
}

/// The last handle goes on a thread of the log itself: a task that a waker wakes there may own it.
#[test]
fn the_last_handle_may_be_dropped_on_a_thread_of_the_log() {
    struct Owner(Mutex<Option<Wal>>);
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().expect("no panic").take());
        }
    }
    let Log { disk, wal, .. } = Log::create(SimFiles::new(8), options());
    let mut future = Box::pin(wal.durable_future(Lsn::FIRST));
    let owner = Arc::new(Owner(Mutex::new(None)));
    let waker = Waker::from(Arc::clone(&owner));
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    // The flusher finds the task busy until it owns the last handle.
    let mut slot = owner.0.lock().expect("no panic");
    wal.append(&[record(b"x")], Durability::Sync, AppendClass::User).expect("room");
    *slot = Some(wal);
    drop(slot);
    until("it can be opened again", || Wal::open(&disk.env(), dir(), options()).is_ok());
    assert!(owner.0.lock().expect("no panic").is_none(), "the flusher has dropped it");
}

/// A task that is run where it is woken, and closes the log when it hears of the end: the thread that was
/// closing it waited for itself.
#[test]
fn a_waker_may_close_the_log_that_is_being_closed() {
    struct Closes(Wal);
    impl Wake for Closes {
        fn wake(self: Arc<Self>) {
            self.0.close().expect("closed in order");
        }
    }
    let Log { wal, env, .. } = Log::create(SimFiles::new(9), options());
    let mut future = Box::pin(wal.durable_future(Lsn::FIRST));
    let waker = Waker::from(Arc::new(Closes(wal.clone())));
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    let close = Box::new(move || wal.close().expect("closed in order"));
    let closing = env.threads.spawn("closing", close).expect("a thread");
    until("the close ends", || closing.is_finished());
    closing.join().expect("no panic");
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(WaitError::Closed))), "{polled:?}");
}
