//! EIO at every call of a log's life, with every kind of waiter asleep: each is told within its deadline,
//! nothing is acknowledged afterwards, and what was acknowledged before is there after a reopen.

use crate::{
    tripwire::{Hit, Tripwire},
    waiter::{Promise, Waiter},
    world::{SEGMENT, dir, options, record, until},
};
use nodedb_env::{Env, Files, Open};
use nodedb_testkit::{Operation, SimFiles};
use nodedb_types::{Durability, ErrorKind, Lsn};
use nodedb_wal::{AppendClass, AppendError, LogHealth, LogOptions, Wal, WalError};
use std::{path::PathBuf, sync::mpsc, thread::Scope, time::Duration};

/// A log on a disk with a tripwire.
struct Rig {
    disk: SimFiles,
    env: Env,
    wire: std::sync::Arc<Tripwire>,
    wal: Wal,
}

/// How a waiter ended.
struct Answer {
    waiter: Waiter,
    result: Result<(), ErrorKind>,
    /// Before the fault was let loose.
    early: bool,
}

impl Rig {
    fn new(seed: u64) -> Self {
        let disk = SimFiles::new(seed);
        disk.create_dir(dir()).expect("empty disk");
        disk.sync_dir("/".as_ref()).expect("no fault");
        let (wire, env) = Tripwire::on(&disk);
        // Little room, so that one can wait for it.
        let options = LogOptions { staging_bytes_max: 64 << 10, ..options() };
        let wal = Wal::create(&env, dir(), options).expect("empty directory");
        until("two prepared files", || {
            let entries = env.files.list(dir()).expect("no fault");
            let spare = |name: &str| name.starts_with("spare-") && name.ends_with(".seg");
            let names = entries.iter().filter_map(|entry| entry.name.to_str());
            names.filter(|name| spare(name)).count() == 2
        });
        Self { disk, env, wire, wal }
    }

    fn deadline(&self) -> Duration {
        self.env.clock.now() + Duration::from_secs(20)
    }

    /// Appends 9000 bytes and waits; answers the record.
    fn commit(&self, waiter: Waiter) -> Result<Lsn, ErrorKind> {
        let payload = [7; 9000];
        let records = [record(&payload)];
        let lsn = loop {
            match self.wal.append(&records, Durability::Sync, AppendClass::User) {
                Ok(range) => break range.start(),
                Err(AppendError::Backpressure | AppendError::NoSpace) => {
                    let bytes = records[0].encoded_len();
                    let waited = self.wal.wait_room(bytes, AppendClass::User, self.deadline());
                    waited.map_err(|error| error.kind())?;
                }
                Err(error) => return Err(error.kind()),
            }
        };
        waiter.wait(&self.env, &self.wal, lsn, self.deadline()).map(|()| lsn)
    }

    /// Goes through everything that a log does; answers the last record acknowledged, and the error
    /// that ended it.
    fn live(&self) -> (Option<Lsn>, Result<(), ErrorKind>) {
        let mut acknowledged = None;
        let ended = self.live_until_an_error(&mut acknowledged);
        (acknowledged, ended)
    }

    fn live_until_an_error(&self, acknowledged: &mut Option<Lsn>) -> Result<(), ErrorKind> {
        // The listener is one for the whole log: it belongs to the waiter that is asleep.
        let mut kinds = Waiter::acknowledging();
        kinds.retain(|kind| *kind != Waiter::Listener);
        for round in 0..3 {
            for kind in kinds.iter().cycle().take(5) {
                *acknowledged = Some(self.commit(*kind)?);
            }
            let last = acknowledged.expect("a record was committed");
            let kind = |error: WalError| error.kind();
            self.wal.record_checkpoint(last, last, None).map_err(kind)?;
            if round == 1 {
                self.wal.truncate(self.wal.plan_truncation(&[])).map_err(kind)?;
            }
        }
        Ok(())
    }

    /// Sends one waiter of each kind to sleep on a record that is not durable, as far as the thread
    /// that is held up lets the log stand still.
    fn send_to_sleep<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
    ) -> Vec<std::thread::ScopedJoinHandle<'s, Answer>> {
        let payload = [8; 9000];
        let mut target = self.wal.appended().unwrap_or(Lsn::FIRST);
        for _ in 0..10 {
            let records = [record(&payload)];
            match self.wal.append(&records, Durability::Buffered, AppendClass::User) {
                Ok(range) => target = range.start(),
                Err(_full) => break,
            }
        }
        let mut sleepers = Vec::new();
        for waiter in Waiter::ALL {
            let (tell, task) = mpsc::channel();
            let sleeper = scope.spawn(move || {
                let link = std::fs::read_link("/proc/thread-self").expect("Linux has it");
                tell.send(link).expect("somebody asks");
                let result = waiter.wait(&self.env, &self.wal, target, self.deadline());
                Answer { waiter, result, early: self.wire.is_holding() }
            });
            let task = PathBuf::from("/proc").join(task.recv().expect("it starts")).join("stat");
            until("it sleeps or is answered", || sleeper.is_finished() || is_asleep(&task));
            sleepers.push(sleeper);
        }
        sleepers
    }
}

/// Whether the system says that a thread waits for something.
fn is_asleep(stat: &std::path::Path) -> bool {
    let mut line = [0; 512];
    let file = Env::real().files.open(stat, Open::Read);
    let Ok(count) = file.and_then(|file| file.read_at(&mut line, 0)) else {
        return false;
    };
    // The state stands behind the name, which is in parentheses.
    let line = String::from_utf8_lossy(&line[..count]).into_owned();
    line.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
}

/// What only makes or recycles files is done again and costs nothing; all else ends the log.
fn is_fatal(operation: Operation, hit: &Hit) -> bool {
    let recycling = operation == Operation::Rename && hit.path.to_string_lossy().contains("/wal-");
    hit.thread != "wal-prepare" && !recycling
}

/// One life in which the `nth` call of a kind fails; `None` if there are not so many.
fn life(operation: Operation, nth: u64) -> Option<Hit> {
    let rig = Rig::new(nth);
    rig.wire.arm(operation, nth);
    let (hit, answers, (mut acknowledged, ended)) = std::thread::scope(|scope| {
        let living = scope.spawn(|| rig.live());
        until("the fault or the end", || rig.wire.hit().is_some() || living.is_finished());
        let sleepers = rig.wire.hit().map(|hit| (hit, rig.send_to_sleep(scope)));
        rig.wire.release();
        let lived = living.join().expect("no panic");
        let (hit, sleepers) = sleepers?;
        let answers: Vec<_> = sleepers.into_iter().map(|s| s.join().expect("no panic")).collect();
        Some((hit, answers, lived))
    })?;
    rig.wire.disarm();
    let durable = rig.wal.durable();
    let fatal = is_fatal(operation, &hit);
    let what = format!("{operation:?} {nth} by {hit:?}");
    assert_eq!(rig.wal.health() == LogHealth::Poisoned, fatal, "{what}");
    for Answer { waiter, result, early } in answers {
        match result {
            Ok(()) if waiter.promise() == Promise::Durable => {
                acknowledged = acknowledged.max(durable)
            }
            Ok(()) => assert!(early || !fatal, "{what}: {waiter:?} got what a dead log gives"),
            Err(error) => {
                assert!(fatal && error == ErrorKind::Poisoned, "{what}: {waiter:?} {error:?}")
            }
        }
    }
    if fatal {
        assert_eq!(ended, Err(ErrorKind::Poisoned), "{what}");
        check_that_it_is_dead(&rig, durable, &what);
    } else {
        assert_eq!(ended, Ok(()), "{what}");
    }
    let again = rig.wire.synced_again();
    assert!(again.is_empty(), "{what}: synced after a failed sync: {again:?}");
    let disk = rig.disk.clone();
    drop(rig);
    for image in [disk.crash_losing_all(), disk.crash(), disk.crash_keeping_all()] {
        let (_, report) = Wal::open(&image.env(), dir(), options()).expect("sound");
        assert!(report.last >= acknowledged.max(durable), "{what}: {:?}", report.last);
    }
    Some(hit)
}

fn check_that_it_is_dead(rig: &Rig, durable: Option<Lsn>, what: &str) {
    let operations = rig.disk.operations();
    let refused = rig.wal.append(&[record(b"x")], Durability::Sync, AppendClass::User);
    assert!(matches!(refused, Err(AppendError::Poisoned(_))), "{what}");
    let lost = Lsn::after(rig.wal.appended());
    for waiter in Waiter::ALL {
        let late = waiter.wait(&rig.env, &rig.wal, lost, rig.deadline());
        if waiter != Waiter::Sync || rig.wal.appended() > durable {
            assert_eq!(late, Err(ErrorKind::Poisoned), "{what}: {waiter:?}");
        }
    }
    assert!(matches!(rig.wal.close(), Err(WalError::Poisoned(_))), "{what}");
    assert_eq!(rig.wal.durable(), durable, "{what}: durable is frozen");
    // The preparer may have been at work and cleans up after itself.
    let tidying = rig.disk.operations() - operations;
    assert!(tidying <= 8 * (SEGMENT >> 10), "{what}: {tidying} operations after the end");
}

fn every_one_fails_once(operation: Operation, at_least: u64) {
    let mut fatal = 0;
    let mut nth = 1;
    while let Some(hit) = life(operation, nth) {
        fatal += u64::from(is_fatal(operation, &hit));
        nth += 1;
    }
    assert!(fatal >= at_least, "only {fatal} of {} {operation:?} were the log's own", nth - 1);
}

#[test]
fn every_failing_sync_tells_every_waiter_and_is_never_repeated() {
    every_one_fails_once(Operation::Sync, 25);
}

#[test]
fn every_failing_write_tells_every_waiter() {
    every_one_fails_once(Operation::Write, 25);
}

#[test]
fn every_failing_directory_sync_and_rename_tells_every_waiter() {
    every_one_fails_once(Operation::SyncDir, 2);
    every_one_fails_once(Operation::Rename, 2);
}

/// No prepared file holds a record yet: a failure costs a file and not the log.
#[test]
fn a_failing_preparation_costs_nothing() {
    every_one_fails_once(Operation::Create, 0);
    every_one_fails_once(Operation::Allocate, 0);
}
