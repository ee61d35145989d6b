//! Truncations while named pins are made, moved and released.

use crate::{
    pins::{pin, starts},
    world::{Log, options, record, until},
};
use nodedb_env::{Env, Files};
use nodedb_testkit::{FaultyFiles, PathFaults, SimFiles};
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{AppendClass, AppendError, NamedPin, PinError, ReadLimit, Wal};
use std::{path::PathBuf, sync::Arc, thread, time::Duration};

/// A log of some segments on real files whose syncs can be made to wait, ready to be reclaimed.
struct Held {
    faults: Arc<PathFaults>,
    files: Arc<FaultyFiles>,
    wal: Wal,
    folder: tempfile::TempDir,
}

impl Held {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let files = Arc::new(FaultyFiles::default());
        let env = Env { files: Arc::<FaultyFiles>::clone(&files), ..Env::real() };
        let wal = Wal::create(&env, folder.path(), options()).expect("empty");
        let deadline = env.clock.now() + Duration::from_mins(1);
        let payload = [7; 9000];
        let record = [record(&payload)];
        while wal.segments().len() < 4 {
            match wal.append(&record, Durability::Sync, AppendClass::User) {
                Ok(range) => {
                    wal.wait_durable(range.start(), deadline).expect("durable");
                }
                Err(AppendError::Backpressure) => {
                    let bytes = record[0].encoded_len();
                    wal.wait_room(bytes, AppendClass::User, deadline).expect("room comes");
                }
                Err(other) => panic!("{other}"),
            }
        }
        let last = wal.durable().expect("some");
        wal.record_checkpoint(last, last, None).expect("no fault");
        Self { faults: files.faults(), files, wal, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Truncates while `step` waits for the sync of what it has written to `name`, and answers where the
    /// log starts then.
    fn truncate_within<T: Send>(&self, name: &str, step: impl FnOnce() -> T + Send) -> (Lsn, T) {
        let file = self.file(name);
        let contents = || self.files.read(&file).ok();
        let before = contents();
        self.faults.hold_syncs("PINS");
        thread::scope(|scope| {
            let step = scope.spawn(step);
            until("it is written", || contents().is_some_and(|now| Some(now) != before));
            let oldest = self.wal.truncate(self.wal.plan_truncation(&[])).expect("no fault").oldest;
            self.faults.release_syncs();
            (oldest, step.join().expect("no panic"))
        })
    }
}

/// The other way round, a crash would leave a pin that is not moved on records that are gone, and its
/// follower would find a gap.
#[test]
fn a_truncation_goes_by_what_is_durable_of_a_moving_pin() {
    let held = Held::new();
    let starts = starts(&held.wal);
    let one = pin(&held.wal, "one", starts[1]).expect("a free name");
    let (oldest, moved) = held.truncate_within("PINS", || one.advance(starts[2]));
    moved.expect("no fault");
    assert_eq!(oldest, starts[1]);
    let oldest = held.wal.truncate(held.wal.plan_truncation(&[])).expect("no fault").oldest;
    assert_eq!(oldest, starts[2]);
}

#[test]
fn a_truncation_goes_by_a_pin_until_it_is_durably_released() {
    let held = Held::new();
    let starts = starts(&held.wal);
    let one = pin(&held.wal, "one", starts[1]).expect("a free name");
    let (oldest, released) = held.truncate_within("PINS", || NamedPin::release(one));
    released.expect("no fault");
    assert_eq!(oldest, starts[1]);
    let oldest = held.wal.truncate(held.wal.plan_truncation(&[])).expect("no fault").oldest;
    assert_eq!(oldest, starts[3]);
}

/// Were it held only from then on, what is acknowledged as pinned could be gone.
#[test]
fn a_truncation_goes_by_a_new_pin_before_it_is_durable() {
    let held = Held::new();
    let starts = starts(&held.wal);
    let (oldest, taken) = held.truncate_within("PINS.tmp", || pin(&held.wal, "one", starts[1]));
    assert_eq!((oldest, taken.expect("no fault").lsn()), (starts[1], starts[1]));
}

/// A truncation goes by what is durable of a pin: whenever the power goes, a pin that is found lies on a
/// record that is there, so its follower finds no gap.
#[test]
fn a_truncation_that_races_a_moving_pin_leaves_no_gap_after_a_power_cut() {
    for operations in 0..100 {
        let log = Log::create(SimFiles::new(operations), options());
        log.fill_segments(5);
        let starts = starts(&log.wal);
        log.checkpoint(starts[4]);
        let held = pin(&log.wal, "one", starts[0]).expect("a free name");
        log.disk.crash_after(operations);
        let (moved, released) = thread::scope(|scope| {
            let moving = scope.spawn(|| {
                let moved = |to: &&Lsn| held.advance(**to).is_ok();
                let moved = starts[1..].iter().take_while(moved).last().copied();
                (moved, held.release().is_ok())
            });
            while !moving.is_finished() {
                // On a dead disk it fails.
                drop(log.wal.truncate(log.wal.plan_truncation(&[])));
            }
            moving.join().expect("no panic")
        });
        let (log, _) = Log::open(log.disk.crash(), options()).expect("a crash is no damage");
        let Some(found) = log.wal.named_pins().first().map(|pin| pin.lsn) else {
            assert!(moved == Some(starts[4]), "released last");
            continue;
        };
        assert!(!released && Some(found) >= moved, "moved to {moved:?}, found at {found}");
        lies_on_a_record(&log, found);
    }
}

pub(crate) fn lies_on_a_record(log: &Log, at: Lsn) {
    assert!(at >= log.wal.oldest(), "{at} is gone, the log starts at {}", log.wal.oldest());
    let mut reader = log.wal.reader(at, ReadLimit::Durable).expect("held");
    assert_eq!(reader.next_batch().expect("intact").expect("there").first_lsn, at);
}

#[test]
fn a_pin_that_races_a_truncation_holds_or_is_refused() {
    for seed in 0..30 {
        let log = Log::create(SimFiles::new(seed), options());
        log.fill_segments(3);
        let starts = starts(&log.wal);
        log.checkpoint(starts[2]);
        let taken = thread::scope(|scope| {
            let taking = scope.spawn(|| pin(&log.wal, "one", starts[1]));
            log.wal.truncate(log.wal.plan_truncation(&[])).expect("no fault");
            taking.join().expect("no panic")
        });
        match taken {
            Ok(held) => lies_on_a_record(&log, held.lsn()),
            Err(PinError::Truncated { oldest }) => assert_eq!(oldest, starts[2]),
            Err(other) => panic!("{other}"),
        }
    }
}
