//! The log under a model checker, which runs its threads in thousands of orders: staging, handing the lead
//! on, waking, rotating, closing, failing. Timers never fire here, so a wake-up that is forgotten is found
//! as a deadlock.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --release -p nodedb-wal --test model --target-dir target/shuttle`,
//! which `cargo xtask test` does. `NODEDB_SCHEDULES` sets how many orders each test tries.

#![cfg(shuttle)]
#![expect(clippy::expect_used, reason = "a test ends by a panic")]

use nodedb_env::{Env, Files, Thread, Threads};
use nodedb_testkit::{ManualClock, SimFiles};
use nodedb_types::{Durability, Lsn, TenantId, VshardId};
use nodedb_wal::{
    AppendClass, AppendError, LogOptions, ReadLimit, Record, TailError, WaitError, Wal,
};
use shuttle::{
    future::block_on,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, JoinHandle},
};
use std::{any::Any, io, path::Path, sync::Arc, time::Duration};

/// No timer fires: a deadline is only passed on.
const FAR: Duration = Duration::from_hours(1);

/// Threads that the checker schedules.
#[derive(Debug)]
struct Checked;

impl Threads for Checked {
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<Box<dyn Thread>> {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let body = move || {
            body();
            end.store(true, Ordering::SeqCst);
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(body)?;
        Ok(Box::new(CheckedThread { thread, ended }))
    }
}

#[derive(Debug)]
struct CheckedThread {
    thread: JoinHandle<()>,
    ended: Arc<AtomicBool>,
}

impl Thread for CheckedThread {
    fn is_finished(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn join(self: Box<Self>) -> Result<(), Box<dyn Any + Send>> {
        self.thread.join()
    }
}

fn log(segment_bytes: u64) -> (Wal, SimFiles) {
    let disk = SimFiles::new(1);
    let clock = Arc::new(ManualClock::new());
    let env = Env { threads: Arc::new(Checked), ..disk.env_with_clock(clock) };
    disk.create_dir(Path::new("/wal")).expect("empty disk");
    let options = LogOptions { segment_bytes, ..LogOptions::default() };
    (Wal::create(&env, Path::new("/wal"), options).expect("empty directory"), disk)
}

fn record(payload: &[u8]) -> Record<'_> {
    Record { tenant: TenantId::DEFAULT, vshard: VshardId::new(0), kind: 1, payload }
}

fn stage(wal: &Wal, payload: &[u8]) -> Lsn {
    loop {
        match wal.stage(&[record(payload)], AppendClass::User) {
            Err(AppendError::Backpressure) => {
                let bytes = record(payload).encoded_len();
                wal.wait_room(bytes, AppendClass::User, FAR).expect("room comes");
            }
            staged => return staged.expect("room").start(),
        }
    }
}

fn check(body: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("NODEDB_SCHEDULES").ok();
    let schedules = schedules.map_or(700, |count| count.parse().expect("a number"));
    let body = Arc::new(body);
    let random = Arc::clone(&body);
    shuttle::check_random(move || random(), schedules);
    shuttle::check_pct(move || body(), schedules, 3);
}

/// Two that commit, one that leaves the work to the flusher, one future, and a close behind them.
#[test]
fn everybody_who_waits_is_woken() {
    check(|| {
        let (wal, disk) = log(64 << 10);
        let committers: Vec<_> = (0..2_u8)
            .map(|writer| {
                let wal = wal.clone();
                thread::spawn(move || {
                    for round in 0..2 {
                        let lsn = stage(&wal, &[writer, round]);
                        assert!(wal.commit(lsn, FAR).expect("no fault") >= lsn);
                    }
                })
            })
            .collect();
        let waiting = {
            let wal = wal.clone();
            thread::spawn(move || {
                let range = wal.append(&[record(b"w")], Durability::Buffered, AppendClass::User);
                let lsn = range.expect("room").start();
                assert!(wal.wait_durable(lsn, FAR).expect("no fault") >= lsn);
            })
        };
        let awaiting = {
            let wal = wal.clone();
            thread::spawn(move || {
                let lsn = stage(&wal, b"f");
                assert!(block_on(wal.durable_future(lsn)).expect("no fault") >= lsn);
                assert!(wal.flush(lsn, FAR).expect("no fault") >= lsn);
            })
        };
        for thread in committers {
            thread.join().expect("no panic");
        }
        waiting.join().expect("no panic");
        awaiting.join().expect("no panic");
        assert_eq!(wal.durable().map(Lsn::get), Some(6));
        wal.close().expect("no fault");
        drop(wal);
        let env = disk.crash_losing_all().env();
        let report = nodedb_wal::inspect::verify(&env, Path::new("/wal")).expect("sound");
        assert_eq!(report.records, 6);
    });
}

/// Records that fill segments, so that leaders rotate and wait for the thread that prepares files.
#[test]
fn a_rotation_under_any_leader_loses_nobody() {
    check(|| {
        let (wal, disk) = log(64 << 10);
        let payload = vec![1; 40_000];
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let (wal, payload) = (wal.clone(), payload.clone());
                thread::spawn(move || {
                    for _ in 0..2 {
                        let lsn = stage(&wal, &payload);
                        wal.commit(lsn, FAR).expect("no fault");
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("no panic");
        }
        wal.close().expect("no fault");
        assert_eq!(wal.segments().len(), 4);
        let env = disk.crash_losing_all().env();
        let report = nodedb_wal::inspect::verify(&env, Path::new("/wal")).expect("sound");
        assert_eq!(report.records, 4);
    });
}

/// One sync fails, whoever leads it: everybody ends with an answer, nothing is acknowledged afterwards.
#[test]
fn a_failure_under_any_leader_reaches_everybody() {
    check(|| {
        let (wal, disk) = log(64 << 10);
        disk.fail_sync(1);
        let ends: Vec<JoinHandle<Result<Lsn, WaitError>>> = (0..3_u8)
            .map(|writer| {
                let wal = wal.clone();
                thread::spawn(move || {
                    let staged = wal.stage(&[record(&[writer])], AppendClass::User);
                    let Ok(range) = staged else {
                        return Err(WaitError::Closed);
                    };
                    match writer {
                        0 => wal.commit(range.start(), FAR),
                        1 => wal.wait_durable(range.start(), FAR),
                        _ => block_on(wal.durable_future(range.start())),
                    }
                })
            })
            .collect();
        let acknowledged: Vec<Lsn> =
            ends.into_iter().filter_map(|end| end.join().expect("no panic").ok()).collect();
        let durable = wal.durable();
        drop(wal.close());
        assert_eq!(wal.durable().max(durable), wal.durable());
        assert!(acknowledged.iter().all(|lsn| Some(*lsn) <= wal.durable()));
    });
}

/// Records staged by others go into the pass of whoever leads first, so that some who commit find theirs in
/// flight and are no leaders of the next pass. A future whose record came too late for that pass then has
/// nobody but the flusher, which must not be passed over for them.
#[test]
fn a_future_is_served_beside_those_whose_record_is_in_flight() {
    check(|| {
        let (wal, _disk) = log(64 << 10);
        let first = stage(&wal, b"the flusher's timer for evidence runs");
        wal.commit(first, FAR).expect("no fault");
        let staged = [stage(&wal, b"1"), stage(&wal, b"2")];
        let committers = staged.map(|lsn| {
            let wal = wal.clone();
            thread::spawn(move || wal.commit(lsn, FAR).expect("no fault"))
        });
        let lsn = stage(&wal, b"3");
        block_on(wal.durable_future(lsn)).expect("no fault");
        for committer in committers {
            committer.join().expect("no panic");
        }
    });
}

/// Some have no time left when they find that others lead. The lead must not be kept for them.
#[test]
fn who_gives_up_leaves_the_work_to_others() {
    check(|| {
        let (wal, _disk) = log(64 << 10);
        let first = stage(&wal, b"the flusher's timer for evidence runs");
        wal.commit(first, FAR).expect("no fault");
        let hasty = [0_u8, 1].map(|writer| {
            let wal = wal.clone();
            thread::spawn(move || {
                let lsn = stage(&wal, &[writer]);
                match wal.commit(lsn, Duration::ZERO) {
                    Ok(durable) => assert!(durable >= lsn),
                    Err(end) => assert!(matches!(end, WaitError::Timeout), "{end}"),
                }
            })
        });
        let lsn = stage(&wal, b"3");
        block_on(wal.durable_future(lsn)).expect("no fault");
        for writer in hasty {
            writer.join().expect("no panic");
        }
    });
}

/// Threads and a future wait for a record that nobody has appended yet, each in its own way, beside a flush
/// and a close: they get the record, if it comes, or hear that it will not.
#[test]
fn who_waits_for_a_record_to_come_gets_it_or_hears_of_the_close() {
    [false, true].into_iter().for_each(waits_for_a_record_to_come);
}

fn waits_for_a_record_to_come(closes: bool) {
    check(move || {
        let (wal, _disk) = log(64 << 10);
        let second = Lsn::FIRST.next();
        let waits: [fn(&Wal, Lsn) -> Result<Lsn, WaitError>; 4] = [
            |wal, lsn| wal.commit(lsn, FAR),
            |wal, lsn| wal.wait_durable(lsn, FAR),
            |wal, lsn| wal.flush(lsn, FAR),
            |wal, lsn| block_on(wal.durable_future(lsn)),
        ];
        let waiting = waits.map(|wait| {
            let wal = wal.clone();
            thread::spawn(move || wait(&wal, second))
        });
        let writer = wal.clone();
        let writing = thread::spawn(move || {
            let Ok(first) = writer.stage(&[record(b"1")], AppendClass::User) else {
                return;
            };
            writer.flush(first.start(), FAR).expect("it had a place");
            // Wakes nobody by itself, so who waits must be found.
            drop(writer.stage(&[record(b"2")], AppendClass::User));
        });
        let joined =
            |waiting: JoinHandle<Result<Lsn, WaitError>>| match waiting.join().expect("no panic") {
                Ok(reached) => assert!(reached >= second),
                Err(end) => assert!(wal.appended() < Some(second), "{end}"),
            };
        if closes {
            wal.close().expect("no fault");
        }
        writing.join().expect("no panic");
        waiting.into_iter().for_each(joined);
    });
}

/// A close comes while others stage and wait: what has a place becomes durable, the rest is refused.
#[test]
fn a_close_beside_writers_ends_for_everybody() {
    check(|| {
        let (wal, _disk) = log(64 << 10);
        let writers: Vec<_> = (0..2_u8)
            .map(|writer| {
                let wal = wal.clone();
                thread::spawn(move || {
                    let Ok(range) = wal.stage(&[record(&[writer])], AppendClass::User) else {
                        return;
                    };
                    let reached = match writer {
                        0 => wal.commit(range.start(), FAR),
                        _ => wal.wait_durable(range.start(), FAR),
                    };
                    assert!(reached.expect("it had a place") >= range.start());
                })
            })
            .collect();
        wal.close().expect("no fault");
        for writer in writers {
            writer.join().expect("no panic");
        }
        assert_eq!(wal.durable(), wal.appended());
    });
}

/// A thread, a future and a tail follow the log. They are waited for before it is closed, so a wake-up
/// that one of them misses is a deadlock; the tail then goes on to the end.
#[test]
fn watches_and_tails_are_told_everything_and_then_the_end() {
    check(|| {
        let (wal, _disk) = log(64 << 10);
        let (durable, written) = (wal.subscribe_durable(), wal.subscribe_written());
        let mut tail = wal.tail(Lsn::FIRST, ReadLimit::Durable).expect("there");
        let two = Lsn::FIRST.next();
        let blocked = thread::spawn(move || {
            let mut seen = None;
            while seen < Some(two) {
                let position = durable.wait_past(seen, FAR).expect("the log grows");
                assert!(Some(position) > seen);
                seen = Some(position);
            }
        });
        let awaited = thread::spawn(move || {
            let mut seen = None;
            while seen < Some(two) {
                seen = Some(block_on(written.past(seen)).expect("the log grows"));
            }
        });
        let tailing = thread::spawn(move || {
            while tail.position() <= two {
                block_on(tail.next()).expect("the log grows");
            }
            tail
        });
        for byte in 0..2 {
            let lsn = stage(&wal, &[byte]);
            wal.commit(lsn, FAR).expect("no fault");
        }
        blocked.join().expect("no panic");
        awaited.join().expect("no panic");
        let mut tail = tailing.join().expect("no panic");
        wal.append(&[record(b"synced by the close")], Durability::Buffered, AppendClass::User)
            .expect("room");
        wal.close().expect("no fault");
        let last = block_on(tail.next()).expect("published");
        assert_eq!(last.last_lsn.get(), 3);
        let end = block_on(tail.next());
        assert!(matches!(end, Err(TailError::Wait(WaitError::Closed))), "{end:?}");
    });
}
