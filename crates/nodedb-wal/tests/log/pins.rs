//! Named pins: what they hold, over restarts, crashes, damage and full disks.

use crate::{
    pin_races::lies_on_a_record,
    world::{Log, dir, killed, lsn, options, record, refused, until},
};
use nodedb_env::{Env, Files};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, ErrorKind, Lsn};
use nodedb_wal::{
    AppendClass, AppendError, NamedPin, PinError, PinPolicy, PinState, Wal, WalError, inspect,
};
use std::path::{Path, PathBuf};

const FREE: PinPolicy = PinPolicy { max_bytes: None };

fn file() -> PathBuf {
    dir().join("PINS")
}

pub(crate) fn pin(wal: &Wal, name: &str, at: Lsn) -> Result<NamedPin, PinError> {
    wal.pin_persistent(name, at, FREE)
}

/// Moves what recovery needs to the end, and removes what nothing else holds.
fn reclaim(log: &Log) -> Lsn {
    let last = log.commit(b"checkpoint");
    log.wal.record_checkpoint(last, last, None).expect("no fault");
    log.wal.truncate(log.wal.plan_truncation(&[])).expect("no fault").oldest
}

/// The first records of the segments.
pub(crate) fn starts(wal: &Wal) -> Vec<Lsn> {
    wal.segments().iter().map(|segment| segment.first_lsn).collect()
}

#[test]
fn a_named_pin_holds_the_log_over_restarts_until_it_is_released() {
    let log = Log::create(SimFiles::new(1), options());
    log.fill_segments(4);
    let starts = starts(&log.wal);
    let held = pin(&log.wal, "replica-1", starts[1]).expect("a free name");
    assert_eq!(
        (held.name(), held.lsn(), held.state()),
        ("replica-1", starts[1], PinState::Holding)
    );
    assert_eq!(log.wal.holds()[0].name, "replica-1");
    assert_eq!(reclaim(&log), starts[1]);
    // Dropping the handle, closing, a killed process: the pin stays, and nobody has to ask for it.
    drop(held);
    log.wal.close().expect("no fault");
    let (log, _) = Log::open(killed(&log.disk), options()).expect("sound");
    assert_eq!(reclaim(&log), starts[1]);
    let held = pin(&log.wal, "replica-1", starts[3]).expect("there");
    assert_eq!(held.lsn(), starts[1], "it continues where it is");
    held.advance(starts[2]).expect("no fault");
    held.advance(starts[1]).expect("no fault");
    assert_eq!((held.lsn(), reclaim(&log)), (starts[2], starts[2]));
    held.release().expect("no fault");
    let last = reclaim(&log);
    assert!(last > starts[2]);
    assert!(log.wal.holds().is_empty() && log.wal.named_pins().is_empty());
    let (log, _) = Log::open(log.disk.crash(), options()).expect("sound");
    assert!(log.wal.named_pins().is_empty());
}

#[test]
fn one_handle_at_a_time() {
    let log = Log::create(SimFiles::new(2), options());
    let held = pin(&log.wal, "one", Lsn::FIRST).expect("a free name");
    let second = pin(&log.wal, "one", Lsn::FIRST).expect_err("held");
    assert!(matches!(&second, PinError::InUse { name } if name == "one"), "{second}");
    assert_eq!(second.kind(), ErrorKind::Locked);
    drop(held);
    let held = pin(&log.wal, "one", Lsn::FIRST).expect("free again");
    held.release().expect("no fault");
    let again = pin(&log.wal, "one", Lsn::FIRST).expect("a new one");
    assert!(pin(&log.wal, "one", Lsn::FIRST).is_err(), "the released handle freed nothing twice");
    drop(again);
}

#[test]
fn names_and_their_number_have_limits() {
    let log = Log::create(SimFiles::new(3), options());
    let longest = "z".repeat(64);
    for name in ["a", "0", "a.b_c-9", &longest] {
        pin(&log.wal, name, Lsn::FIRST).expect("a name").release().expect("no fault");
    }
    for name in ["", "A", "a b", "a/b", "\u{e9}", &"z".repeat(65)] {
        let refused = pin(&log.wal, name, Lsn::FIRST);
        assert!(matches!(refused, Err(PinError::InvalidName { .. })), "{name}");
    }
    for number in 0..64 {
        pin(&log.wal, &format!("pin-{number}"), Lsn::FIRST).expect("a free place");
    }
    let refused = pin(&log.wal, "one-more", Lsn::FIRST);
    assert!(matches!(refused, Err(PinError::TooMany { limit: 64 })), "{refused:?}");
    let (log, _) = Log::open(killed(&log.disk), options()).expect("sound");
    assert_eq!(log.wal.named_pins().len(), 64);
    pin(&log.wal, "pin-63", Lsn::FIRST).expect("there").release().expect("no fault");
    pin(&log.wal, "one-more", Lsn::FIRST).expect("a free place again");
}

/// Below the log there is nothing to hold. Above what is durable other records may come, after a
/// power cut, in the place of those that the pin has passed.
#[test]
fn a_pin_lies_on_what_is_there_and_durable() {
    let log = Log::create(SimFiles::new(4), options());
    log.fill_segments(3);
    let oldest = reclaim(&log);
    let gone = pin(&log.wal, "late", Lsn::FIRST);
    assert!(matches!(gone, Err(PinError::Truncated { oldest: at }) if at == oldest), "{gone:?}");
    let written = log.write(b"not durable");
    let ahead = pin(&log.wal, "early", written.next());
    assert!(matches!(ahead, Err(PinError::Ahead { end }) if end == written), "{ahead:?}");
    let held = pin(&log.wal, "early", written).expect("behind the last durable record");
    let ahead = held.advance(written.next());
    assert!(matches!(ahead, Err(PinError::Ahead { end }) if end == written), "{ahead:?}");
    log.wal.sync(log.deadline()).expect("no fault");
    held.advance(written.next()).expect("durable now");
}

#[test]
fn a_pin_over_its_limit_is_given_up_with_its_reason() {
    let log = Log::create(SimFiles::new(5), options());
    log.fill_segments(3);
    let starts = starts(&log.wal);
    let bytes = log.wal.wal_bytes();
    let exact = PinPolicy { max_bytes: Some(bytes) };
    let held = log.wal.pin_persistent("slow", Lsn::FIRST, exact).expect("a free name");
    assert!(
        log.wal.plan_truncation(&[]).holds().iter().any(|hold| hold.name == "slow"),
        "at the limit"
    );
    assert_eq!(log.wal.named_pins()[0].bytes, bytes);
    log.commit(b"one batch more");
    let at = log.wal.written();
    let bytes = log.wal.wal_bytes();
    let plan = log.wal.plan_truncation(&[]);
    assert!(plan.holds().iter().all(|hold| hold.name != "slow"));
    let given_up = PinState::Invalidated { bytes, at };
    assert_eq!(held.state(), given_up);
    assert!(log.wal.holds().is_empty());
    let moved = held.advance(starts[1]).expect_err("given up");
    assert!(matches!(moved, PinError::Invalidated { bytes: held, .. } if held == bytes), "{moved}");
    assert!(reclaim(&log) > starts[0]);
    // Durable before anything went.
    let (log, _) = Log::open(log.disk.crash(), options()).expect("sound");
    let report = log.wal.named_pins();
    assert_eq!((report[0].state, report[0].bytes, report[0].lsn), (given_up, 0, Lsn::FIRST));
    let held = log.wal.pin_persistent("slow", log.wal.oldest(), FREE).expect("there");
    assert_eq!(held.state(), given_up, "it does not come back by itself");
    held.release().expect("no fault");
    let held = pin(&log.wal, "slow", log.wal.oldest()).expect("a new one");
    assert_eq!(held.state(), PinState::Holding);
}

/// The newest segment stays whoever holds it: giving up a follower that keeps up would free nothing, and
/// cost it all that it has.
#[test]
fn a_pin_in_the_newest_segment_is_never_given_up() {
    let log = Log::create(SimFiles::new(13), options());
    log.fill_segments(2);
    let none = PinPolicy { max_bytes: Some(0) };
    let newest = starts(&log.wal)[1];
    let held = log.wal.pin_persistent("keeps-up", newest, none).expect("a free name");
    reclaim(&log);
    assert_eq!((held.state(), log.wal.oldest()), (PinState::Holding, newest));
    log.fill_segments(2);
    reclaim(&log);
    assert!(
        matches!(held.state(), PinState::Invalidated { .. }),
        "now it would hold a segment back"
    );
}

/// A carried-out plan gives up what went over its limit since it was made, too.
#[test]
fn a_new_policy_counts_from_the_next_truncation_on() {
    let log = Log::create(SimFiles::new(6), options());
    log.fill_segments(4);
    drop(pin(&log.wal, "slow", Lsn::FIRST).expect("a free name"));
    assert_eq!(reclaim(&log), Lsn::FIRST);
    let limited = PinPolicy { max_bytes: Some(100_000) };
    let held = log.wal.pin_persistent("slow", Lsn::FIRST, limited).expect("there");
    assert_eq!((held.state(), log.wal.named_pins()[0].policy), (PinState::Holding, limited));
    assert!(reclaim(&log) > Lsn::FIRST);
    assert!(matches!(held.state(), PinState::Invalidated { .. }));
}

/// Were room needed to give a pin up, a follower that never comes back would keep a full disk full.
#[test]
fn on_a_full_disk_pins_are_moved_given_up_and_released() {
    let log = Log::create(SimFiles::new(7), options());
    let limited = PinPolicy { max_bytes: Some(70_000) };
    let slow = log.wal.pin_persistent("slow", Lsn::FIRST, limited).expect("a free name");
    let good = pin(&log.wal, "good", Lsn::FIRST).expect("a free name");
    let gone = pin(&log.wal, "gone", Lsn::FIRST).expect("a free name");
    log.fill_disk();
    loop {
        match log.wal.append(&[record(&[8; 9000])], Durability::Sync, AppendClass::User) {
            Ok(range) => {
                log.wal.wait_durable(range.start(), log.deadline()).expect("durable");
            }
            Err(AppendError::NoSpace) => break,
            Err(_) => until("the disk is known to be full", || {
                log.wal.health() == nodedb_wal::LogHealth::SpaceLow
            }),
        }
    }
    let last = log.wal.durable().expect("some");
    good.advance(last).expect("no room needed");
    gone.release().expect("no room needed");
    log.wal.record_checkpoint(last, last, None).expect("no room needed");
    let truncated = log.wal.truncate(log.wal.plan_truncation(&[])).expect("no room needed");
    assert!(truncated.segments > 0, "{truncated:?}");
    assert!(matches!(slow.state(), PinState::Invalidated { .. }));
    let bytes = record(b"resumed").encoded_len();
    log.wal.wait_room(bytes, AppendClass::User, log.deadline()).expect("room again");
    log.commit(b"resumed");
}

/// No pin, and no harm: the log goes on.
#[test]
fn the_first_pin_on_a_full_disk_is_refused() {
    let log = Log::create(SimFiles::new(8), options());
    log.fill_disk();
    let refused = pin(&log.wal, "first", Lsn::FIRST).expect_err("no room for PINS");
    assert_eq!(refused.kind(), ErrorKind::NoSpace);
    assert!(log.wal.holds().is_empty());
    log.disk.set_quota(None);
    log.commit(b"goes on");
    pin(&log.wal, "first", Lsn::FIRST).expect("room again");
}

#[test]
fn a_failed_write_of_a_pin_poisons_the_log() {
    for fault in [SimFiles::fail_sync, SimFiles::fail_write] {
        for nth in 1..=2 {
            let log = Log::create(SimFiles::new(9), options());
            log.commit(b"1");
            let held = pin(&log.wal, "one", Lsn::FIRST).expect("a free name");
            fault(&log.disk, nth);
            let failed = held.advance(lsn(2)).expect_err("injected");
            assert_eq!(failed.kind(), ErrorKind::Poisoned);
            assert_eq!(held.lsn(), Lsn::FIRST);
            assert_eq!(held.advance(lsn(2)).expect_err("for good").kind(), ErrorKind::Poisoned);
            assert!(log.wal.truncate(log.wal.plan_truncation(&[])).is_err());
            let (log, _) = Log::open(log.disk.crash(), options()).expect("sound");
            assert!([lsn(1), lsn(2)].contains(&log.wal.named_pins()[0].lsn));
        }
    }
}

/// Never "no pins": that would delete what a follower still needs.
#[test]
fn damaged_and_foreign_pins_refuse_the_open() {
    let log = Log::create(SimFiles::new(10), options());
    pin(&log.wal, "one", Lsn::FIRST).expect("a free name").advance(Lsn::FIRST).expect("no fault");
    log.wal.close().expect("no fault");
    let other = Log::create(SimFiles::new(11), options());
    pin(&other.wal, "two", Lsn::FIRST).expect("a free name");
    let foreign = other.disk.read(&file()).expect("there");
    let disk = || killed(&log.disk);

    let both = disk();
    both.corrupt(file(), 50, 1);
    let one_slot = killed(&both);
    both.corrupt(file(), 8192 + 50, 1);
    let short = disk();
    short.truncate(file(), 8192);
    let empty = disk();
    empty.truncate(file(), 0);
    for disk in [both, short, empty] {
        let seen = inspect::verify(&disk.env(), dir()).expect_err("damaged");
        assert_eq!(seen.kind(), ErrorKind::Corrupt, "{seen}");
        let error = refused(&disk);
        assert!(matches!(&error, WalError::PinsCorrupt { path, .. } if *path == file()), "{error}");
        disk.remove(file());
        let (log, _) = Log::open(disk, options()).expect("the pins were given up by hand");
        assert!(log.wal.holds().is_empty());
    }

    let planted = disk();
    planted.plant(file(), &foreign);
    let error = refused(&planted);
    assert!(matches!(&error, WalError::WrongLog { path } if *path == file()), "{error}");

    // One slot alone tells all, and the open makes the other whole again.
    let report = inspect::verify(&one_slot.env(), dir()).expect("one slot is whole");
    assert_eq!((report.pins[0].name.as_str(), report.pins[0].lsn), ("one", Lsn::FIRST));
    let (log, _) = Log::open(one_slot, options()).expect("one slot is whole");
    let disk = killed(&log.disk);
    disk.corrupt(file(), 8192 + 50, 1);
    let (log, _) = Log::open(disk, options()).expect("one slot is whole");
    assert_eq!(log.wal.named_pins().len(), 1);
}

/// The directory has another owner then.
#[test]
fn a_handle_kept_over_a_close_writes_nothing() {
    let log = Log::create(SimFiles::new(12), options());
    log.commit(b"1");
    let stale = pin(&log.wal, "one", Lsn::FIRST).expect("a free name");
    let wal = log.wal.clone();
    log.wal.close().expect("no fault");
    let (next, _) = Log::open(log.disk.clone(), options()).expect("free again");
    next.wait_for_spares();
    let before = log.disk.snapshot();
    for refused in [stale.advance(lsn(2)), stale.release(), pin(&wal, "two", lsn(1)).map(drop)] {
        let error = refused.expect_err("closed");
        assert!(matches!(error, PinError::Log(WalError::Closed)), "{error}");
    }
    assert!(before.differences(&log.disk.snapshot()).is_empty());
}

/// What a step was about, and whether it was acknowledged.
struct Outcome {
    acknowledged: bool,
    before: Option<Lsn>,
    after: Option<Lsn>,
}

/// Cuts the power after every operation of a step. What was acknowledged is there, what was not may be;
/// never anything else, and never a log that does not open.
fn cut_everywhere(
    prepare: impl Fn(&Log) -> Option<NamedPin>,
    step: impl Fn(&Log, Option<NamedPin>) -> Outcome,
) {
    let mut operations = 0;
    loop {
        let log = Log::create(SimFiles::new(operations + 100), options());
        log.commit(b"1");
        log.commit(b"2");
        let held = prepare(&log);
        log.disk.crash_after(operations);
        let outcome = step(&log, held);
        let disks = [log.disk.crash(), log.disk.crash_losing_all(), log.disk.crash_keeping_all()];
        for disk in disks {
            let (log, _) = Log::open(disk, options()).expect("a crash is no damage");
            let found = log.wal.named_pins().first().map(|pin| pin.lsn);
            if outcome.acknowledged {
                assert_eq!(found, outcome.after, "after {operations} operations");
            } else {
                assert!([outcome.before, outcome.after].contains(&found), "{found:?}");
            }
            pin(&log.wal, "one", lsn(3)).expect("its name is usable");
        }
        if outcome.acknowledged {
            assert!(operations > 2, "a step has several operations");
            return;
        }
        operations += 1;
    }
}

/// The name of PINS, too, is lost with a power cut before the sync of its directory.
#[test]
fn a_power_cut_while_a_pin_is_made() {
    cut_everywhere(
        |_| None,
        |log, _| Outcome {
            acknowledged: pin(&log.wal, "one", lsn(1)).is_ok(),
            before: None,
            after: Some(lsn(1)),
        },
    );
}

#[test]
fn a_power_cut_while_a_pin_is_moved() {
    cut_everywhere(
        |log| pin(&log.wal, "one", lsn(1)).ok(),
        |_, held| Outcome {
            acknowledged: held.expect("prepared").advance(lsn(2)).is_ok(),
            before: Some(lsn(1)),
            after: Some(lsn(2)),
        },
    );
}

#[test]
fn a_power_cut_while_a_pin_is_released() {
    cut_everywhere(
        |log| pin(&log.wal, "one", lsn(1)).ok(),
        |_, held| Outcome {
            acknowledged: held.expect("prepared").release().is_ok(),
            before: Some(lsn(1)),
            after: None,
        },
    );
}

/// First the mark, then the removal: a pin that has lost records says why, whenever the power goes.
#[test]
fn a_power_cut_while_a_pin_is_given_up_leaves_it_whole_or_marked() {
    let (mut whole, mut marked, mut operations) = (0, 0, 0);
    loop {
        let log = Log::create(SimFiles::new(operations + 200), options());
        log.fill_segments(4);
        log.checkpoint(log.wal.segments()[3].first_lsn);
        let limited = PinPolicy { max_bytes: Some(100_000) };
        drop(log.wal.pin_persistent("slow", Lsn::FIRST, limited).expect("a free name"));
        log.disk.crash_after(operations);
        let done = log.wal.truncate(log.wal.plan_truncation(&[])).is_ok();
        for disk in [log.disk.crash(), log.disk.crash_losing_all(), log.disk.crash_keeping_all()] {
            let (log, _) = Log::open(disk, options()).expect("a crash is no damage");
            let found = &log.wal.named_pins()[0];
            if found.state == PinState::Holding {
                lies_on_a_record(&log, found.lsn);
                whole += 1;
            } else {
                marked += 1;
            }
        }
        if done {
            assert!(whole > 0 && marked > 3, "both are met: {whole} and {marked}");
            return;
        }
        operations += 1;
    }
}

/// On real files.
#[test]
fn named_pins_survive_on_real_files() {
    let folder = tempfile::tempdir().expect("a directory");
    let env = Env::real();
    let wal = Wal::create(&env, folder.path(), options()).expect("empty");
    let range = wal.append(&[record(b"1")], Durability::Sync, AppendClass::User).expect("taken");
    let deadline = env.clock.now() + std::time::Duration::from_secs(20);
    wal.wait_durable(range.start(), deadline).expect("durable");
    let held = pin(&wal, "real", lsn(1)).expect("a free name");
    held.advance(lsn(2)).expect("no fault");
    wal.close().expect("no fault");
    let (wal, _) = Wal::open(&env, folder.path(), options()).expect("sound");
    assert_eq!(pin(&wal, "real", lsn(1)).expect("there").lsn(), lsn(2));
}

/// A follower that had read up to 9 when the log was cut at 5 would take the new 6 to 9 for its own.
#[test]
fn a_pin_behind_the_end_of_a_cut_log_is_given_up() {
    let log = Log::create(SimFiles::new(21), options());
    for byte in 0..12 {
        log.commit(&[byte; 100]);
    }
    for (name, at) in [("kept", 4), ("at-the-end", 6), ("behind", 10)] {
        drop(pin(&log.wal, name, lsn(at)).expect("a free name"));
    }
    let disk = killed(&log.disk);
    let before = disk.read(&dir().join("PINS")).expect("there");
    let copies = Path::new("/copies");
    let plan = inspect::LossyTruncation { at: lsn(5), copies };
    let report = inspect::truncate(&disk.env(), dir(), plan).expect("any end");
    let copy = report.copies.expect("something was done").join("PINS");
    assert_eq!(disk.read(&copy).expect("copied aside"), before);
    let (log, _) = Log::open(disk.crash_losing_all(), options()).expect("sound");
    let given_up = PinState::Invalidated { bytes: 0, at: Some(lsn(5)) };
    let pins = log.wal.named_pins();
    let states: Vec<_> = pins.iter().map(|pin| (pin.name.as_str(), pin.state)).collect();
    let held = PinState::Holding;
    assert_eq!(states, [("at-the-end", held), ("behind", given_up), ("kept", held)]);
}
