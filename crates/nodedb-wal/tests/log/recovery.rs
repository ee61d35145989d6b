//! What opening keeps, cuts, and refuses.

use crate::world::{Log, SEGMENT, dir, killed, lsn, options, refused, segment};
use nodedb_env::Files;
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, ErrorKind, LogEpoch, Lsn};
use nodedb_wal::{LogOptions, ReadLimit, Wal, WalError, inspect};
use std::time::Duration;

#[test]
fn a_closed_log_opens_with_everything() {
    let log = Log::create(SimFiles::new(1), options());
    for index in 0..20_u8 {
        log.append(&[index; 100], Durability::Buffered);
    }
    let before = log.wal.epoch();
    log.wal.close().expect("no fault");
    let (log, report) = Log::open(killed(&log.disk), options()).expect("sound");
    assert!(report.clean_shutdown);
    assert_eq!(report.last, Some(lsn(20)));
    assert_eq!(report.dropped_bytes, 0);
    assert!(report.epoch > before);
    let expected: Vec<_> = (0..20_u8).map(|index| vec![index; 100]).collect();
    let found: Vec<_> = log.contents().into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(found, expected);
}

#[test]
fn an_empty_log_does_not_grow_by_being_opened() {
    let log = Log::create(SimFiles::new(1), options());
    log.commit(b"one");
    drop(log.wal);
    let mut disk = killed(&log.disk);
    for _ in 0..5 {
        let (log, report) = Log::open(disk, options()).expect("sound");
        assert_eq!(report.last, Some(Lsn::FIRST));
        assert_eq!(log.wal.segments().len(), 2);
        drop(log.wal);
        disk = killed(&log.disk);
    }
}

/// One durable record, then one that was written over several sectors and never synced.
fn with_tail() -> (SimFiles, u64, u64) {
    let log = Log::create(SimFiles::new(2), options());
    log.commit(b"durable");
    let start = log.wal.log_offset();
    log.write(&[5; 3000]);
    (killed(&log.disk), start, log.wal.log_offset())
}

#[test]
fn a_torn_tail_is_cut_at_every_sector() {
    let (disk, start, end) = with_tail();
    let bytes = disk.read(&segment(1)).expect("there");
    for kept in (start..=end).step_by(512) {
        let mut torn = bytes.clone();
        let range = usize::try_from(kept).expect("small")..usize::try_from(end).expect("small");
        torn[range].fill(0);
        let image = killed(&disk);
        image.plant(segment(1), &torn);
        let (log, report) = Log::open(image, options()).expect("a tail is no corruption");
        let whole = kept == end;
        assert_eq!(report.last, Some(lsn(if whole { 2 } else { 1 })), "kept up to {kept}");
        let torn_header = kept == start;
        assert_eq!(report.dropped_bytes > 0, !whole && !torn_header, "kept up to {kept}");
        assert_eq!(log.contents().len(), if whole { 2 } else { 1 });
    }
}

#[test]
fn a_flipped_bit_below_durable_evidence_refuses_and_changes_nothing() {
    let log = Log::create(SimFiles::new(3), options());
    log.commit(b"first record");
    let evidence_starts = {
        log.commit(&[1; 700]);
        log.wal.log_offset()
    };
    // Its header proves the two before.
    log.commit(b"third");
    let disk = killed(&log.disk);
    for offset in 0..evidence_starts {
        let image = killed(&disk);
        image.corrupt(segment(1), offset, 1 << (offset % 8));
        let error = refused(&image);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "offset {offset}: {error}");
        if offset >= 4608 {
            assert!(matches!(error, WalError::Corruption { segment: 1, .. }), "{error}");
        }
    }
}

#[test]
fn damage_in_a_sealed_segment_refuses() {
    let log = Log::create(SimFiles::new(3), options());
    log.fill_segments(2);
    let end = log.wal.segments()[0].bytes;
    let disk = killed(&log.disk);
    for offset in (0..end).step_by(97) {
        let image = killed(&disk);
        image.corrupt(segment(1), offset, 0x10);
        assert_eq!(refused(&image).kind(), ErrorKind::Corrupt, "offset {offset}");
    }
}

/// The last record's own batch, damaged, with nothing behind it, is a tail. With a `SyncPoint` behind it
/// it is corruption.
#[test]
fn a_sync_point_closes_the_window() {
    let idle = Duration::from_millis(1);
    for (sync_point_idle, closes) in [(Duration::from_hours(1), false), (idle, true)] {
        let options = LogOptions { sync_point_idle, ..options() };
        let log = Log::create(SimFiles::new(4), options.clone());
        let start = log.wal.log_offset();
        log.commit(b"the only record");
        if closes {
            crate::world::until("a SyncPoint", || log.wal.log_offset() == start + 1024);
        }
        let image = killed(&log.disk);
        image.corrupt(segment(1), start + 100, 1);
        if closes {
            let error = refused(&image);
            assert!(
                matches!(error, WalError::Corruption { durable_lsn: Lsn::FIRST, .. }),
                "{error}"
            );
        } else {
            let (_, report) = Log::open(image, options).expect("no evidence");
            assert_eq!(report.last, None);
        }
    }
}

#[test]
fn one_sync_point_is_enough() {
    let sync_point_idle = Duration::from_millis(1);
    let log = Log::create(SimFiles::new(4), LogOptions { sync_point_idle, ..options() });
    let start = log.wal.log_offset();
    log.commit(b"the only record");
    crate::world::until("a SyncPoint", || log.wal.log_offset() == start + 1024);
    let operations = log.disk.operations();
    // Twenty times the idle time, in which a second one would come.
    let quiet = log.env.clock.now() + Duration::from_millis(20);
    crate::world::until("the quiet time is over", || log.env.clock.now() > quiet);
    assert_eq!(log.disk.operations(), operations);
}

/// A sync fails, the pages are clean but not on disk, the process reopens and reads them back.
#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again() {
    let log = Log::create(SimFiles::new(5), options());
    log.commit(b"durable");
    log.disk.fail_sync(1);
    let range = log.append(&[6; 2000], Durability::Sync);
    let waited = log.wal.wait_durable(range.start(), log.deadline());
    assert_eq!(waited.expect_err("poisoned").kind(), ErrorKind::Poisoned);
    drop(log.wal);
    let (log, report) = Log::open(log.disk, options()).expect("sound");
    assert_eq!(report.last, range.last());
    assert_eq!(report.proven, Some(Lsn::FIRST));
    assert!(report.rewritten_bytes >= 2000);
    let (_, report) = Log::open(log.disk.crash_losing_all(), options()).expect("sound");
    assert_eq!(report.last, range.last(), "it was reported, so it must stay");
}

#[test]
fn a_second_crash_in_recovery_changes_nothing() {
    let (disk, ..) = with_tail();
    let (expected, operations) = {
        let image = killed(&disk);
        let before = image.operations();
        let (log, report) = Log::open(image, options()).expect("sound");
        (report.last, log.disk.operations() - before)
    };
    assert!(operations > 5, "the loop below must cut recovery short");
    for count in 0..operations {
        let image = killed(&disk);
        image.crash_after(count);
        let outcome = Log::open(image.clone(), options());
        drop(outcome);
        image.clear_faults();
        for again in [image.crash(), image.crash_keeping_all()] {
            let (_, report) = Log::open(again, options()).expect("sound after two crashes");
            // The tail was never synced, so a power cut may take it; the durable record stays.
            assert!(report.last == expected || report.last == Some(Lsn::FIRST), "{count}");
        }
    }
}

#[test]
fn a_missing_segment_is_named() {
    let log = Log::create(SimFiles::new(7), options());
    log.fill_segments(4);
    let disk = killed(&log.disk);
    for number in 1..=4 {
        let image = killed(&disk);
        image.remove_file(&segment(number)).expect("there");
        let error = refused(&image);
        assert!(
            matches!(error, WalError::MissingSegment { segment, .. } if segment == number),
            "{number}: {error}"
        );
    }
}

#[test]
fn a_short_segment_is_damage_and_no_tail() {
    let log = Log::create(SimFiles::new(8), options());
    log.commit(b"durable");
    let disk = killed(&log.disk);
    for len in [0, 1, 4096, 5120, SEGMENT - 1] {
        let image = killed(&disk);
        image.truncate(segment(1), len);
        assert!(matches!(refused(&image), WalError::Damaged { .. }), "{len}");
    }
}

#[test]
fn an_unreadable_sector_is_an_io_error() {
    let log = Log::create(SimFiles::new(8), options());
    log.commit(b"durable");
    let image = killed(&log.disk);
    image.fail_read(segment(1)).expect("there");
    assert_eq!(refused(&image).kind(), ErrorKind::Io);
}

#[test]
fn one_damaged_control_slot_after_reclaim_costs_nothing() {
    let log = Log::create(SimFiles::new(9), options());
    log.fill_segments(4);
    let redo = log.wal.segments()[2].first_lsn;
    log.checkpoint(redo);
    let truncated = log.wal.truncate(log.wal.plan_truncation(&[])).expect("no fault");
    assert_eq!(truncated.segments, 2);
    let disk = killed(&log.disk);
    for slot in [0, 4096] {
        let image = killed(&disk);
        image.corrupt(dir().join("CONTROL"), slot + 60, 0xff);
        let (_, report) = Log::open(image, options()).expect("one slot is enough");
        assert_eq!((report.redo, report.oldest), (redo, redo));
        assert_eq!(report.control_slots_intact, 1);
    }
    let image = killed(&disk);
    image.corrupt(dir().join("CONTROL"), 60, 0xff);
    image.corrupt(dir().join("CONTROL"), 4096 + 60, 0xff);
    assert!(matches!(refused(&image), WalError::ControlCorrupt { .. }));
    let image = killed(&disk);
    image.remove_file(&dir().join("CONTROL")).expect("there");
    assert!(matches!(refused(&image), WalError::ControlCorrupt { .. }));
}

#[test]
fn a_segment_of_another_log_is_refused() {
    let one = Log::create(SimFiles::new(10), options());
    let other = Log::create(SimFiles::new(11), options());
    let foreign = other.disk.read(&segment(1)).expect("there");
    let image = killed(&one.disk);
    image.plant(segment(1), &foreign);
    assert!(matches!(refused(&image), WalError::WrongLog { .. }));
}

#[test]
fn a_lost_lsn_comes_again_only_in_a_later_epoch() {
    let log = Log::create(SimFiles::new(12), options());
    log.commit(b"durable");
    let lost = log.write(b"lost");
    let first_life = log.wal.epoch();
    let (log, report) = Log::open(log.disk.crash_losing_all(), options()).expect("sound");
    assert_eq!(report.last, Some(Lsn::FIRST));
    assert_eq!(log.commit(b"another"), lost);
    let mut reader = log.wal.reader(lost, ReadLimit::Durable).expect("there");
    let batch = reader.next_batch().expect("intact").expect("there");
    assert!(batch.epoch > first_life);
}

#[test]
fn a_forged_header_in_a_payload_is_no_evidence() {
    let log = Log::create(SimFiles::new(13), options());
    log.commit(b"durable");
    // A true header that claims more, copied to every sector a payload may cover.
    log.commit(b"two");
    log.commit(b"three");
    let bytes = log.disk.read(&segment(1)).expect("there");
    let start = usize::try_from(log.wal.log_offset()).expect("small");
    let header = &bytes[start - 512..start - 512 + 64];
    let mut forged = vec![0; 5000];
    for at in (0..forged.len() - 64).step_by(8) {
        forged[at..at + 8].copy_from_slice(&header[..8]);
    }
    for sector in (512 - 96..forged.len() - 64).step_by(512) {
        forged[sector..sector + 64].copy_from_slice(header);
        forged[sector + 24] = 0xff;
    }
    log.write(&forged);
    let image = killed(&log.disk);
    image.corrupt(segment(1), start as u64 + 100, 1);
    let (_, report) = Log::open(image, options()).expect("nothing was proven");
    assert_eq!(report.last, Some(lsn(3)));
}

#[test]
fn the_batches_of_a_recycled_file_never_come_back() {
    let log = Log::create(SimFiles::new(14), options());
    // No room for new files, so that every file is used again, over the bytes of its earlier lives.
    log.fill_disk();
    let mut recycled = 0;
    for _ in 0..6 {
        let count = log.wal.segments().len() + 1;
        while log.wal.segments().len() < count {
            log.commit(&[7; 9000]);
        }
        let redo = log.wal.segments()[count - 1].first_lsn;
        log.checkpoint(redo);
        let plan = log.wal.plan_truncation(&[]);
        recycled += log.wal.truncate(plan).expect("no fault").recycled;
    }
    assert!(recycled >= 3, "files were recycled {recycled} times");
    let last = log.commit(b"the end");
    let contents = log.contents();
    let (log, report) = Log::open(killed(&log.disk), options()).expect("sound");
    assert_eq!(report.last, Some(last));
    assert_eq!(report.dropped_bytes, 0);
    assert_eq!(log.contents(), contents);
}

#[test]
fn what_is_no_log_is_said_to_be_none() {
    let disk = SimFiles::new(15);
    disk.create_dir(dir()).expect("empty disk");
    let none = Wal::open(&disk.env(), dir(), options());
    assert!(matches!(none, Err(WalError::NotALog { .. })));
    disk.plant(dir().join("stranger"), b"");
    let taken = Wal::create(&disk.env(), dir(), options());
    assert!(matches!(taken, Err(WalError::NotEmpty { .. })));
}

#[test]
fn an_open_log_is_locked() {
    let log = Log::create(SimFiles::new(16), options());
    let again = Wal::open(&log.disk.env(), dir(), options());
    assert!(matches!(again, Err(WalError::Locked { .. })));
    log.wal.close().expect("no fault");
    Wal::open(&log.disk.env(), dir(), options()).expect("free again");
}

#[test]
fn verify_sees_what_open_sees_and_changes_nothing() {
    let (disk, ..) = with_tail();
    let before = disk.snapshot();
    let report = inspect::verify(&disk.env(), dir()).expect("sound");
    assert_eq!(report.last, Some(lsn(2)));
    assert_eq!(report.records, 2);
    assert_eq!(report.epoch, LogEpoch::new(1));
    assert_eq!(inspect::segments(&disk.env(), dir()).expect("sound"), report.segments);
    assert!(before.differences(&disk.snapshot()).is_empty());
    disk.corrupt(segment(1), 200, 1);
    assert!(inspect::verify(&disk.env(), dir()).is_err());
}
