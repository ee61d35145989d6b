//! EIO at every call of a log's life, with every kind of waiter asleep: each is told within its deadline,
//! nothing is acknowledged afterwards, and what was acknowledged before is there after a reopen.

use crate::{
    tripwire::{Hit, Tripwire},
    waiter::{Promise, Waiter},
    world::{dir, options, record, until},
};
use nodedb_env::{Env, Files, Open};
use nodedb_testkit::{Operation, SimFiles};
use nodedb_types::{Durability, ErrorKind, Lsn};
use nodedb_wal::{AppendClass, AppendError, LogHealth, LogOptions, PinPolicy, Wal, WalError};
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
    target: Lsn,
    result: Result<(), ErrorKind>,
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
            // Not the ones that are being made.
            let spare = |name: &str| name.starts_with("spare-") && !name.contains(".tmp");
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
                    let room = self.wal.wait_room(bytes, AppendClass::User, self.deadline());
                    room.map_err(|error| error.kind())?;
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
        for round in 0..5 {
            for kind in kinds.iter().cycle().take(6) {
                let lsn = self.commit(*kind)?;
                if kind.promise() == Promise::Durable {
                    *acknowledged = Some(lsn);
                }
            }
            let last = acknowledged.expect("a record is durable");
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
                tell.send(this_thread()).expect("somebody asks");
                let result = waiter.wait(&self.env, &self.wal, target, self.deadline());
                Answer { waiter, target, result }
            });
            let task = task.recv().expect("it starts");
            until("it sleeps or is answered", || sleeper.is_finished() || is_asleep(&task));
            sleepers.push(sleeper);
        }
        sleepers
    }

    /// Checks what a waiter was told; answers whether it was a failure. A success is none to be ashamed of:
    /// while another thread was held up the log went on.
    fn check(&self, answer: &Answer, what: &str) -> bool {
        let Answer { waiter, target, result } = answer;
        if let Err(error) = result {
            assert_eq!(*error, ErrorKind::Poisoned, "{what}: {waiter:?}");
            return true;
        }
        let reached = match waiter.promise() {
            Promise::Durable => self.wal.durable(),
            Promise::Written => self.wal.written(),
            Promise::Nothing => Some(*target),
        };
        assert!(reached >= Some(*target), "{what}: {waiter:?} was told of {target}");
        false
    }

    fn check_that_it_is_dead(&self, what: &str) {
        let (durable, operations) = (self.wal.durable(), self.disk.operations());
        let refused = self.wal.append(&[record(b"x")], Durability::Sync, AppendClass::User);
        assert!(matches!(refused, Err(AppendError::Poisoned(_))), "{what}");
        let lost = Lsn::after(self.wal.appended());
        for waiter in Waiter::ALL {
            let late = waiter.wait(&self.env, &self.wal, lost, self.deadline());
            // With everything durable there is nothing that a sync of all could fail at.
            if waiter != Waiter::Sync || self.wal.appended() > durable {
                assert_eq!(late, Err(ErrorKind::Poisoned), "{what}: {waiter:?}");
            }
        }
        assert!(matches!(self.wal.close(), Err(WalError::Poisoned(_))), "{what}");
        assert_eq!(self.wal.durable(), durable, "{what}: durable is frozen");
        // The preparer may have been at work and cleans up after itself.
        let tidying = self.disk.operations() - operations;
        assert!(tidying <= 8, "{what}: {tidying} operations after the end");
    }

    /// Opens what is left: everything acknowledged is there.
    fn check_what_is_left(self, what: &str) {
        let again = self.wire.synced_again();
        assert!(again.is_empty(), "{what}: synced after a failed sync: {again:?}");
        let (durable, written) = (self.wal.durable(), self.wal.written());
        let Self { disk, wal, .. } = self;
        drop(wal);
        let killed = disk.crash_keeping_all();
        for (image, least) in
            [(disk.crash_losing_all(), durable), (disk.crash(), durable), (killed, written)]
        {
            let (_, report) = Wal::open(&image.env(), dir(), options()).expect("sound");
            assert!(report.last >= least, "{what}: {:?} of {least:?}", report.last);
        }
    }
}

/// Where the system tells about the calling thread.
fn this_thread() -> PathBuf {
    let link = std::fs::read_link("/proc/thread-self").expect("Linux has it");
    PathBuf::from("/proc").join(link).join("stat")
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

/// One life in which the `nth` call of a kind failed.
struct Life {
    hit: Hit,
    /// Who was asleep and was told of it.
    told: Vec<Waiter>,
}

impl Life {
    /// `None` if there are not so many calls.
    fn lived(operation: Operation, nth: u64) -> Option<Self> {
        let rig = Rig::new(nth);
        rig.wire.arm(operation, nth);
        let (hit, answers, (acknowledged, ended)) = std::thread::scope(|scope| {
            let living = scope.spawn(|| rig.live());
            until("the fault or the end", || rig.wire.hit().is_some() || living.is_finished());
            let sleepers = rig.wire.hit().map(|hit| (hit, rig.send_to_sleep(scope)));
            rig.wire.release();
            let lived = living.join().expect("no panic");
            let (hit, sleepers) = sleepers?;
            let answers = sleepers.into_iter().map(|sleeper| sleeper.join().expect("no panic"));
            Some((hit, answers.collect::<Vec<_>>(), lived))
        })?;
        rig.wire.disarm();
        let fatal = is_fatal(operation, &hit);
        let what = format!("{operation:?} {nth} by {hit:?}");
        assert_eq!(rig.wal.health() == LogHealth::Poisoned, fatal, "{what}");
        assert_eq!(ended, if fatal { Err(ErrorKind::Poisoned) } else { Ok(()) }, "{what}");
        assert!(rig.wal.durable() >= acknowledged, "{what}");
        let mut told = Vec::new();
        for answer in answers {
            if rig.check(&answer, &what) {
                told.push(answer.waiter);
            }
        }
        assert!(fatal || told.is_empty(), "{what}: {told:?} were told of what is no failure");
        if fatal {
            rig.check_that_it_is_dead(&what);
        }
        rig.check_what_is_left(&what);
        Some(Self { hit, told })
    }
}

/// Lets every call of a kind fail, one life each. At least so many must have ended the log, and so many
/// times each kind of waiter must have slept through it.
fn every_one_fails_once(operation: Operation, at_least: usize) {
    let mut lives = Vec::new();
    while let Some(life) = Life::lived(operation, lives.len() as u64 + 1) {
        lives.push(life);
    }
    let fatal = lives.iter().filter(|life| is_fatal(operation, &life.hit)).count();
    assert!(fatal >= at_least, "only {fatal} of {} {operation:?} were fatal", lives.len());
    for waiter in Waiter::ALL {
        let told = lives.iter().filter(|life| life.told.contains(&waiter)).count();
        // Room is there again and again while another thread than the writing one is held up.
        let least = if waiter == Waiter::Room { at_least / 6 } else { at_least / 2 };
        assert!(told >= least, "{waiter:?} was told of {told} of {fatal} {operation:?}");
    }
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

/// A sync of the directory fails. Before its thread can say so, another thread renames the file of the next
/// segment and syncs the same directory, which the kernel lets succeed without making the name durable.
/// Had that thread gone on, a record would have been acknowledged in a file whose name the next power cut
/// takes, and the log could not be opened any more.
fn the_directory_fails_during(change: fn(&Wal) -> Result<(), ErrorKind>) {
    let rig = Rig::new(1);
    for _ in 0..7 {
        rig.commit(Waiter::Durable).expect("no fault");
    }
    let last = rig.wal.durable().expect("seven records");
    rig.wal.record_checkpoint(last, last, None).expect("no fault");
    rig.wire.linger();
    rig.wire.arm(Operation::SyncDir, 1);
    rig.wire.release();
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| change(&rig.wal));
        until("the failure", || rig.wire.lingers());
        let (tell, task) = mpsc::channel();
        let rotating = scope.spawn({
            let rig = &rig;
            move || {
                tell.send(this_thread()).expect("somebody asks");
                (0..7).try_for_each(|_| rig.commit(Waiter::Commit).map(drop))
            }
        });
        let task = task.recv().expect("it starts");
        until("it waits or ends", || rotating.is_finished() || is_asleep(&task));
        rig.wire.let_go();
        assert_eq!(changing.join().expect("no panic"), Err(ErrorKind::Poisoned));
        assert_eq!(rotating.join().expect("no panic"), Err(ErrorKind::Poisoned));
    });
    rig.check_what_is_left("the directory");
}

#[test]
fn a_directory_sync_that_fails_on_one_thread_ends_the_rotation_of_another() {
    the_directory_fails_during(|wal| {
        let truncated = wal.truncate(wal.plan_truncation(&[]));
        truncated.map(drop).map_err(|error| error.kind())
    });
    // The first named pin makes the file that holds them.
    the_directory_fails_during(|wal| {
        let last = wal.durable().expect("seven records");
        let pinned = wal.pin_persistent("first", last, PinPolicy { max_bytes: None });
        pinned.map(drop).map_err(|error| error.kind())
    });
}
