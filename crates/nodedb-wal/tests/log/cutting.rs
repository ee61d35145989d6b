//! What a lossy truncation must leave besides the log: copies, pins, and a log that it cannot mend.

use crate::{
    pins::pin,
    tools::{COPIES, copies_are_equal, opens_with, sample, truncate},
    world::{Log, dir, killed, lsn, options, refused, segment},
};
use crc32c::crc32c;
use nodedb_env::{Env, Files, Open};
use nodedb_testkit::SimFiles;
use nodedb_types::ErrorKind;
use nodedb_wal::{
    Wal, WalError,
    inspect::{self, DumpRange},
};
use std::path::Path;

/// The directory of the copies may have been made by a run that was killed right after, or by hand: its
/// name was in memory alone, and a power cut after the truncation took all copies with it.
#[test]
fn copies_survive_in_a_directory_that_was_not_durable() {
    let (disk, contents) = sample(20);
    disk.create_dir(Path::new(COPIES)).expect("nothing there");
    let before = disk.snapshot();
    let report = truncate(&disk, lsn(6)).expect("no fault");
    let left = disk.crash_losing_all();
    copies_are_equal(&report, &before, &left.snapshot());
    opens_with(&left, &contents, Some(lsn(6)));
}

/// It dropped records for nothing: the log stayed shut.
#[test]
fn a_log_is_not_cut_for_damaged_pins() {
    let log = Log::create(SimFiles::new(22), options());
    log.commit(b"one");
    log.commit(b"two");
    drop(pin(&log.wal, "replica", lsn(1)).expect("a free name"));
    let disk = killed(&log.disk);
    for slot in [50, 8192 + 50] {
        disk.corrupt(dir().join("PINS"), slot, 1);
    }
    let before = disk.snapshot();
    for at in [lsn(1), lsn(2)] {
        let error = truncate(&disk, at).expect_err("it would not open then, either");
        assert!(matches!(error, WalError::PinsCorrupt { .. }), "{error}");
        assert!(before.differences(&disk.snapshot()).is_empty());
    }
}

/// A mark as no truncation of this log writes it, with a checksum that holds.
fn mark(kept: u64, segment: u64, epoch: u32) -> Vec<u8> {
    let mut bytes = b"KWALCUT\x01".to_vec();
    for field in [kept, kept, 20, 21, 0, segment] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&epoch.to_le_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    let crc = crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// As when the mark of another log is put there: it removed segments before it noticed.
#[test]
fn a_foreign_mark_never_cuts_what_recovery_needs() {
    let log = Log::create(SimFiles::new(23), options());
    log.fill_segments(3);
    log.checkpoint(log.wal.segments()[2].first_lsn);
    let disk = killed(&log.disk);
    let first = log.wal.segments()[1].first_lsn.get() - 1;
    disk.plant(dir().join("TRUNCATING"), &mark(first, 1, 1));
    assert!(matches!(refused(&disk), WalError::TruncationUnfinished { .. }));
    let before = disk.snapshot();
    let error = truncate(&disk, lsn(first)).expect_err("recovery needs what follows");
    assert!(matches!(error, WalError::CannotTruncate { .. }), "{error}");
    assert!(before.differences(&disk.snapshot()).is_empty());
}

/// A failed sync of the directory may bring the mark back after the log was opened and went on: run
/// again, it would cut what was acknowledged since, under the name of what was agreed to before.
#[test]
fn a_mark_that_comes_back_is_no_order_to_cut_again() {
    let (disk, _) = sample(24);
    let image = killed(&disk);
    image.crash_after({
        let probe = killed(&disk);
        let before = probe.operations();
        truncate(&probe, lsn(6)).expect("no fault");
        // All but taking the mark away and the sync of that.
        probe.operations() - before - 2
    });
    truncate(&image, lsn(6)).expect_err("cut short");
    let stale = image.crash_keeping_all().read(&dir().join("TRUNCATING")).expect("marked");
    truncate(&disk, lsn(6)).expect("no fault");
    let (log, _) = Log::open(killed(&disk), options()).expect("it was cut in order");
    let acknowledged = log.commit(b"acknowledged since");
    let disk = killed(&log.disk);
    disk.plant(dir().join("TRUNCATING"), &stale);
    let (log, report) = Log::open(disk, options()).expect("what it says was done long ago");
    assert_eq!(report.last, Some(acknowledged));
    drop(log);
}

/// Fields that only a forged mark has: none may end the process or the log.
#[test]
fn a_forged_mark_is_damage() {
    let (sound, contents) = sample(25);
    for forged in [mark(6, 1, u32::MAX), mark(6, u64::MAX, 1), b"KWALCUT\x01".to_vec()] {
        let disk = killed(&sound);
        disk.plant(dir().join("TRUNCATING"), &forged);
        let error = refused(&disk);
        assert!(matches!(error, WalError::Damaged { .. }), "{error}");
        let report = truncate(&disk, lsn(6)).expect("a new one takes its place");
        assert!(!report.resumed);
        opens_with(&disk, &contents, Some(lsn(6)));
    }
}

/// A dump that met a bad sector must not call the log sound because the sector could be read later.
#[test]
fn a_dump_that_could_not_read_on_says_so() {
    let (disk, _) = sample(26);
    let mut dump = inspect::dump(&disk.env(), dir(), DumpRange::default()).expect("a log");
    let _first = dump.next();
    disk.fail_read(segment(2)).expect("there");
    let shown: Vec<_> = dump.by_ref().flat_map(|batch| batch.records).collect();
    disk.clear_faults();
    let end = inspect::verify(&disk.env(), dir()).expect("sound").last;
    assert!(shown.last().map(|record| record.lsn) < end);
    assert_eq!(dump.verdict().expect_err("it ended early").kind(), ErrorKind::Io);
}

/// It is read by every open: one that is longer than all memory ended the process.
#[test]
fn a_mark_of_any_length_is_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let env = Env::real();
    Wal::create(&env, folder.path(), options()).expect("empty").close().expect("no fault");
    let mark = env.files.open(&folder.path().join("TRUNCATING"), Open::CreateNew).expect("new");
    mark.write_all_at(b"a sparse file", 1 << 42).expect("takes no room");
    let error = Wal::open(&env, folder.path(), options()).expect_err("no mark");
    assert!(matches!(error, WalError::Damaged { .. }), "{error}");
}
