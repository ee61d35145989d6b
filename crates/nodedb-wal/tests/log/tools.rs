//! Looking at damaged logs, and the one repair that loses data.

use crate::world::{Log, SEGMENT, dir, killed, lsn, options, refused, segment};
use nodedb_env::Files;
use nodedb_testkit::{SimFiles, Snapshot};
use nodedb_types::{Durability, ErrorKind, Lsn};
use nodedb_wal::{
    WalError,
    inspect::{self, BatchKind, DumpRange, LossReport, LossyTruncation},
};
use std::path::{Path, PathBuf};

pub(crate) const COPIES: &str = "/copies";

pub(crate) type Contents = Vec<(Lsn, Vec<u8>)>;

/// Groups of one, two and three records over four segments, and a last life.
pub(crate) fn sample(seed: u64) -> (SimFiles, Contents) {
    let log = Log::create(SimFiles::new(seed), options());
    while log.wal.segments().len() < 4 {
        let byte = u8::try_from(log.wal.segments().len()).expect("few");
        let payloads: &[&[u8]] = &[&[byte; 3000], &[byte; 2000], &[byte; 9000]];
        for count in 1..=3 {
            let range = log.group(&payloads[..count], Durability::Sync);
            let last = range.last().expect("not empty");
            log.wal.wait_durable(last, log.deadline()).expect("durable");
        }
    }
    log.wal.close().expect("no fault");
    let (log, _) = Log::open(killed(&log.disk), options()).expect("sound");
    log.commit(b"a record of a later life");
    log.commit(b"and one that proves it");
    let contents = log.contents();
    log.wait_for_spares();
    (killed(&log.disk), contents)
}

/// The records that a dump shows, and that it agrees with what an open says.
fn dumped(disk: &SimFiles) -> (Contents, Result<(), ErrorKind>) {
    let before = disk.snapshot();
    let mut dump = inspect::dump(&disk.env(), dir(), DumpRange::default()).expect("a log");
    let batches: Vec<_> = dump.by_ref().collect();
    let records = batches.iter().flat_map(|batch| &batch.records);
    let found = records.map(|record| (record.lsn, record.payload.to_vec())).collect();
    let verdict = dump.verdict().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(before, disk.snapshot(), "a dump changes nothing");
    (found, verdict)
}

pub(crate) fn truncate(disk: &SimFiles, at: Lsn) -> Result<LossReport, WalError> {
    let plan = LossyTruncation { at, copies: Path::new(COPIES) };
    inspect::truncate(&disk.env(), dir(), plan)
}

fn expected(contents: &[(Lsn, Vec<u8>)], kept: Option<Lsn>) -> Contents {
    contents.iter().filter(|(lsn, _)| Some(*lsn) <= kept).cloned().collect()
}

/// The log opens with exactly what was kept, goes on in a later epoch, and does so again.
pub(crate) fn opens_with(disk: &SimFiles, contents: &[(Lsn, Vec<u8>)], kept: Option<Lsn>) {
    let (log, report) = Log::open(killed(disk), options()).expect("it was repaired");
    assert_eq!(report.last, kept);
    assert_eq!(log.contents(), expected(contents, kept));
    assert_eq!(log.commit(b"after"), Lsn::after(kept));
    drop(log.wal);
    let (log, report) = Log::open(killed(&log.disk), options()).expect("sound");
    assert_eq!(report.last, Some(Lsn::after(kept)));
    assert_eq!(log.contents().len(), expected(contents, kept).len() + 1);
}

/// Every file that the report names had these bytes before and has them in the copies.
pub(crate) fn copies_are_equal(report: &LossReport, before: &Snapshot, after: &Snapshot) {
    let copies = report.copies.as_ref().expect("something was done");
    assert!(!report.loss.files.is_empty());
    for path in &report.loss.files {
        let copy = copies.join(path.file_name().expect("a file"));
        assert_eq!(after.files().get(&copy), before.files().get(path), "{}", path.display());
    }
    let changed = before.differences(after);
    let ours = |path: &PathBuf| {
        let beside = path.ends_with("LOCK") || path.ends_with("TRUNCATING");
        path.starts_with(COPIES) || report.loss.files.contains(path) || beside
    };
    assert!(changed.iter().all(ours), "{changed:?} beside {:?}", report.loss.files);
}

/// What is done to a log, by what it hits; and whether that tells no more what it held.
type Damage = (&'static str, fn(&SimFiles), bool);

fn damages() -> Vec<Damage> {
    vec![
        ("a bit in the newest segment", |disk| disk.corrupt(segment(5), 4608 + 80, 1), false),
        ("a bit in a middle segment", |disk| disk.corrupt(segment(2), 30_000, 1), false),
        ("a bit in the first segment", |disk| disk.corrupt(segment(1), 20_000, 1), false),
        ("the header of the newest segment", |disk| disk.corrupt(segment(5), 3, 1), true),
        ("the link of a middle segment", |disk| disk.corrupt(segment(3), 4096 + 70, 1), false),
        ("the newest segment is missing", |disk| disk.remove(segment(5)), true),
        ("a middle segment is missing", |disk| disk.remove(segment(3)), false),
        ("a middle segment is short", |disk| disk.truncate(segment(3), SEGMENT / 2), true),
        ("the newest segment is empty", |disk| disk.truncate(segment(5), 0), true),
        (
            "one slot of CONTROL and a middle segment",
            |disk| {
                disk.corrupt(dir().join("CONTROL"), 20, 1);
                disk.corrupt(segment(2), 30_000, 1);
            },
            false,
        ),
    ]
}

#[test]
fn a_dump_shows_every_batch_of_a_sound_log() {
    let (disk, contents) = sample(1);
    assert_eq!(dumped(&disk), (contents.clone(), Ok(())));
    let all =
        |range| -> Vec<_> { inspect::dump(&disk.env(), dir(), range).expect("a log").collect() };
    let batches = all(DumpRange::default());
    let links = batches.iter().filter(|batch| batch.kind == BatchKind::SegmentLink).count();
    assert_eq!(links, 5);
    let mut before = (0, 0);
    for batch in &batches {
        assert!((batch.segment, batch.offset) > before, "in the order of the log");
        before = (batch.segment, batch.offset);
        assert!(batch.durable < Some(batch.first_lsn), "{batch:?}");
        assert!(batch.bytes.is_multiple_of(512) && batch.commit_ms > 0);
        assert_eq!(batch.records.len() as u64, u64::from(batch.count));
    }
    let range = DumpRange { from: Some(lsn(3)), to: Some(lsn(5)) };
    let shown = all(range);
    let records = shown.iter().flat_map(|batch| &batch.records);
    assert_eq!(records.map(|record| record.lsn.get()).collect::<Vec<_>>(), [3, 4, 5]);
    assert!(all(DumpRange { from: Some(lsn(10_000)), to: None }).is_empty());
}

#[test]
fn every_damage_is_shown_up_to_itself_and_repaired() {
    let (sound, contents) = sample(2);
    let end = contents.last().map(|(lsn, _)| *lsn);
    for (name, damage, silent) in damages() {
        let disk = killed(&sound);
        damage(&disk);
        let refusal = refused(&killed(&disk)).kind();
        assert_eq!(inspect::verify(&disk.env(), dir()).expect_err(name).kind(), refusal);
        let (shown, verdict) = dumped(&disk);
        assert_eq!(verdict, Err(refusal), "{name}");
        let last = shown.last().map(|(lsn, _)| *lsn);
        assert_eq!(shown, expected(&contents, last), "{name}");
        assert!(last.is_some() && last < end, "{name}");
        let at = last.expect("some are shown");
        let plan = inspect::plan_truncation(&disk.env(), dir(), at).expect(name);
        let before = disk.snapshot();
        let report = truncate(&disk, at).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(report.loss, plan, "{name}");
        assert_eq!((report.loss.kept, report.resumed), (last, false), "{name}");
        // The last record of the log is named by something, unless its segment is gone.
        let named = report.loss.dropped.end() == Lsn::after(end);
        assert!(named || silent, "{name}: {report:?}");
        assert_eq!(report.loss.open_ended, silent, "{name}: {report:?}");
        copies_are_equal(&report, &before, &disk.snapshot());
        inspect::verify(&disk.env(), dir()).unwrap_or_else(|error| panic!("{name}: {error}"));
        opens_with(&disk, &contents, last);
        // Nothing of it stood only in the page cache.
        opens_with(&disk.crash_losing_all(), &contents, last);
    }
}

#[test]
fn a_truncated_log_ends_at_a_group_and_starts_a_later_epoch() {
    let (sound, contents) = sample(3);
    let (_, before) = Log::open(killed(&sound), options()).expect("sound");
    // Groups of the sample: 1, 2-3, 4-6, 7, 8-9, ...
    for (at, kept) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 3), (6, 6), (8, 7), (20, 19)] {
        let disk = killed(&sound);
        let report = truncate(&disk, lsn(at)).expect("any end at or above redo");
        assert_eq!((report.loss.at, report.loss.kept), (lsn(at), Some(lsn(kept))), "at {at}");
        let end = contents.last().map(|(last, _)| last.next()).expect("records");
        assert_eq!(report.loss.dropped.end(), end, "at {at}");
        opens_with(&disk, &contents, Some(lsn(kept)));
        let (_, after) = Log::open(killed(&disk), options()).expect("sound");
        assert!(after.epoch >= before.epoch, "above the epoch of what was dropped");
    }
    // A log of one group, of which nothing stays.
    let log = Log::create(SimFiles::new(3), options());
    let range = log.group(&[b"one", b"two"], Durability::Sync);
    log.wal.wait_durable(range.end().previous().expect("two"), log.deadline()).expect("durable");
    let disk = killed(&log.disk);
    let report = truncate(&disk, Lsn::FIRST).expect("recovery needs none of it");
    assert_eq!((report.loss.kept, report.loss.dropped), (None, range));
    opens_with(&disk, &[], None);
}

/// A checkpoint at record 10 made 11 the first that recovery needs.
fn checkpointed() -> (SimFiles, Contents) {
    let log = Log::create(SimFiles::new(4), options());
    for byte in 0..14 {
        log.commit(&[byte; 300]);
    }
    log.checkpoint(lsn(11));
    log.commit(b"the last");
    let contents = log.contents();
    (killed(&log.disk), contents)
}

#[test]
fn what_recovery_needs_is_never_cut_and_a_refusal_changes_nothing() {
    let (disk, contents) = checkpointed();
    let end = contents.last().map(|(lsn, _)| *lsn).expect("records");
    let before = disk.snapshot();
    for at in [lsn(1), lsn(9), end.next()] {
        let error = truncate(&disk, at).expect_err("out of range");
        let WalError::CannotTruncate { lowest, highest, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((lowest, highest), (Some(lsn(10)), Some(end)));
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let foreign = Path::new("/");
    let plan = LossyTruncation { at: lsn(10), copies: Path::new(COPIES) };
    let error = inspect::truncate(&disk.env(), foreign, plan).expect_err("no log");
    assert!(matches!(error, WalError::NotALog { .. }), "{error}");
    assert!(before.differences(&disk.snapshot()).is_empty());
    // Damage below what recovery needs is beyond every end of the log.
    let image = killed(&disk);
    image.corrupt(segment(1), 4608 + 80, 1);
    let before = image.snapshot();
    let error = truncate(&image, lsn(10)).expect_err("recovery needs what is damaged");
    assert!(matches!(error, WalError::CannotTruncate { highest: None, .. }), "{error}");
    for damaged in [20, 4096 + 20] {
        image.corrupt(dir().join("CONTROL"), damaged, 1);
    }
    let error = truncate(&image, lsn(10)).expect_err("nothing tells what recovery needs");
    assert!(matches!(error, WalError::ControlCorrupt { .. }), "{error}");
    assert_eq!(before.differences(&image.snapshot()), [dir().join("CONTROL")]);
    truncate(&disk, lsn(10)).expect("all that recovery needs is kept");
    let (log, report) = Log::open(killed(&disk), options()).expect("sound");
    assert_eq!(
        (report.last, report.redo, report.checkpoint_record),
        (Some(lsn(10)), lsn(11), None)
    );
    drop(log);
}

#[test]
fn a_log_without_control_is_shown_all_the_same() {
    let (disk, contents) = sample(5);
    let missing = killed(&disk);
    missing.remove(dir().join("CONTROL"));
    for slot in [20, 4096 + 20] {
        disk.corrupt(dir().join("CONTROL"), slot, 1);
    }
    for image in [disk, missing] {
        assert_eq!(dumped(&image), (contents.clone(), Err(ErrorKind::Corrupt)));
    }
}

#[test]
fn an_open_log_is_dumped_but_not_truncated() {
    let log = Log::create(SimFiles::new(6), options());
    log.commit(b"one");
    log.commit(b"two");
    assert_eq!(dumped(&log.disk).0.len(), 2);
    let before = log.disk.snapshot();
    assert!(matches!(truncate(&log.disk, lsn(1)), Err(WalError::Locked { .. })));
    assert!(before.differences(&log.disk.snapshot()).is_empty());
}

#[test]
fn a_log_that_ends_there_already_is_left_alone() {
    let (disk, contents) = sample(7);
    let end = contents.last().map(|(lsn, _)| *lsn).expect("records");
    let before = disk.snapshot();
    let report = truncate(&disk, end).expect("nothing to do");
    assert_eq!((report.copies, report.loss.files.len()), (None, 0));
    assert!(report.loss.dropped.is_empty());
    assert!(before.differences(&disk.snapshot()).is_empty());
}

/// A sync of a copy that fails, a full disk: the log is as it was, and the repair can be tried again.
#[test]
fn what_fails_before_the_mark_changes_nothing_of_the_log() {
    let (sound, contents) = sample(8);
    for fault in ["sync", "write", "full"] {
        let disk = killed(&sound);
        match fault {
            "sync" => disk.fail_sync(2),
            "write" => disk.fail_write(3),
            _ => {
                let used: usize = disk.snapshot().files().values().map(Vec::len).sum();
                disk.set_quota(Some(used as u64));
            }
        }
        let before = disk.snapshot();
        truncate(&disk, lsn(6)).expect_err(fault);
        let changed = before.differences(&disk.snapshot());
        assert!(changed.iter().all(|path| path.starts_with(COPIES)), "{fault}: {changed:?}");
        disk.clear_faults();
        disk.set_quota(None);
        truncate(&disk, lsn(6)).expect("the fault is gone");
        opens_with(&disk, &contents, Some(lsn(6)));
    }
}

/// Cut short at every step, by a kill or by power, a truncation leaves the log as it was, or one that
/// is refused until it is run again, or the end that it was asked for. Nothing else, ever.
#[test]
fn a_truncation_that_is_cut_short_is_refused_or_done() {
    for (name, damage) in [
        ("sound", None),
        ("the newest segment", Some(("cut", 5))),
        ("a middle segment", Some(("bit", 3))),
    ] {
        let (disk, contents) = sample(9);
        match damage {
            Some(("cut", number)) => disk.truncate(segment(number), 8192),
            Some((_, number)) => disk.corrupt(segment(number), 40_000, 1),
            None => {}
        }
        let end = contents.last().map(|(lsn, _)| *lsn);
        let operations = {
            let image = killed(&disk);
            let before = image.operations();
            truncate(&image, lsn(8)).expect("no fault");
            image.operations() - before
        };
        assert!(operations > 20, "{name}: the loop below must cut it short");
        let (mut done, mut marked) = (0, 0);
        for count in 0..operations {
            let image = killed(&disk);
            image.crash_after(count);
            truncate(&image, lsn(8)).expect_err("cut short");
            image.clear_faults();
            for left in [image.crash(), image.crash_losing_all(), image.crash_keeping_all()] {
                check_cut_short(&left, &contents, end, (&mut done, &mut marked));
            }
        }
        assert!(done > 0 && marked > 10, "{name}: {done} done, {marked} marked");
    }
}

fn check_cut_short(
    left: &SimFiles,
    contents: &[(Lsn, Vec<u8>)],
    end: Option<Lsn>,
    (done, marked): (&mut u32, &mut u32),
) {
    let kept = Some(lsn(7));
    let opened = Log::open(killed(left), options()).map(|(log, report)| (log.contents(), report));
    let mut last = None;
    if let Ok((found, report)) = opened {
        assert!(report.last == kept || report.last == end, "{report:?}");
        assert_eq!(found, expected(contents, report.last));
        last = report.last;
    } else if matches!(refused(&killed(left)), WalError::TruncationUnfinished { .. }) {
        *marked += 1;
        let other = truncate(&killed(left), lsn(6)).expect_err("another one is begun");
        assert!(matches!(other, WalError::TruncationUnfinished { .. }), "{other}");
    }
    let again = killed(left);
    if last == kept {
        *done += 1;
        // The record in the middle of the group that went is none any more.
        let error = truncate(&again, lsn(8)).expect_err("it is done");
        assert!(matches!(error, WalError::CannotTruncate { .. }), "{error}");
    } else {
        let report = truncate(&again, lsn(8)).expect("run again");
        assert_eq!(report.loss.kept, kept);
        assert!(report.loss.open_ended || report.loss.dropped.end() == Lsn::after(end));
    }
    opens_with(&again, contents, kept);
}

/// The mark may stand in the page cache alone when a killed run is taken up again, and the power may go
/// right after: what the second run did must not outlive the mark.
#[test]
fn a_second_cut_in_a_resumed_truncation_is_refused_or_done() {
    let (disk, contents) = sample(10);
    let end = contents.last().map(|(lsn, _)| *lsn);
    let operations = {
        let image = killed(&disk);
        let before = image.operations();
        truncate(&image, lsn(8)).expect("no fault");
        image.operations() - before
    };
    let mark = dir().join("TRUNCATING");
    let is_marked = |disk: &SimFiles| disk.entry(&mark).expect("no fault").is_some();
    let mut cached = 0;
    for first in (0..operations).rev().take(30) {
        for second in 0..16 {
            let image = killed(&disk);
            image.crash_after(first);
            truncate(&image, lsn(8)).expect_err("cut short");
            // Killed only: the same machine still has in memory what was not synced.
            image.clear_faults();
            let only_cached = is_marked(&image) && !is_marked(&image.crash_losing_all());
            cached += u32::from(only_cached);
            image.crash_after(second);
            drop(truncate(&image, lsn(8)));
            image.clear_faults();
            // Many, where the outcome hangs on which of several names survive.
            let images = if only_cached && second > 9 { 60 } else { 1 };
            for left in (0..images).map(|_| image.crash()).chain([image.crash_losing_all()]) {
                check_cut_short(&left, &contents, end, (&mut 0, &mut 0));
            }
        }
    }
    assert!(cached > 0, "some runs found a mark that no disk held");
}

/// The power went between the sync of the next segment and its rename: its link is evidence for records
/// that were cut, and would refuse the log ever after.
#[test]
fn a_prepared_file_that_proves_what_was_cut_goes_with_it() {
    let (disk, contents) = sample(12);
    let next = disk.read(&segment(5)).expect("there");
    let spare = dir().join("spare-77.seg");
    disk.plant(&spare, &next);
    let kept = contents.iter().rev().nth(4).map(|(lsn, _)| *lsn).expect("in segment 4");
    let before = disk.snapshot();
    let report = truncate(&disk, kept).expect("any end");
    assert!(report.loss.files.contains(&spare), "{report:?}");
    copies_are_equal(&report, &before, &disk.snapshot());
    assert_eq!(disk.entry(&spare).expect("no fault"), None);
    opens_with(&disk, &contents, report.loss.kept);
}

/// With an older CONTROL put back only the dropped segments know of their epoch; used again, `(epoch,
/// lsn)` would name two records.
#[test]
fn the_epoch_of_what_is_cut_is_never_used_again() {
    let log = Log::create(SimFiles::new(13), options());
    log.commit(b"first life");
    let older = log.disk.read(&dir().join("CONTROL")).expect("there");
    log.wal.close().expect("no fault");
    let (log, report) = Log::open(killed(&log.disk), options()).expect("sound");
    log.commit(b"second life");
    let disk = killed(&log.disk);
    disk.plant(dir().join("CONTROL"), &older);
    truncate(&disk, lsn(1)).expect("any end");
    let (_, after) = Log::open(killed(&disk), options()).expect("sound");
    assert_eq!(after.last, Some(lsn(1)));
    assert!(after.epoch > report.epoch, "{:?} after {:?}", after.epoch, report.epoch);
}

/// A mark of an earlier state of the log, put back from a backup, names neither what came since as
/// copied aside nor what recovery needs by now: the truncation must be decided anew.
#[test]
fn a_mark_of_an_earlier_state_is_never_taken_up() {
    let (disk, _) = sample(14);
    let mark = dir().join("TRUNCATING");
    let marked = (0..200).find_map(|count| {
        let image = killed(&disk);
        image.crash_after(count);
        drop(truncate(&image, lsn(8)));
        image.clear_faults();
        image.read(&mark).ok()
    });
    let (log, _) = Log::open(killed(&disk), options()).expect("sound");
    log.fill_segments(7);
    let contents = log.contents();
    let disk = killed(&log.disk);
    disk.plant(&mark, &marked.expect("some step leaves a mark"));
    let (log, _) = Log::open(killed(&disk), options()).expect("a life began after that truncation");
    assert_eq!(log.contents(), contents);
    let before = disk.snapshot();
    for at in [8, 30] {
        let image = killed(&disk);
        let report = truncate(&image, lsn(at)).expect("decided anew");
        assert!(!report.resumed);
        copies_are_equal(&report, &before, &image.snapshot());
        opens_with(&image, &contents, report.loss.kept);
    }
}

/// A mark that does not check out keeps the log shut, and a new truncation takes its place.
#[test]
fn a_damaged_mark_is_refused_and_replaced() {
    let (disk, contents) = sample(11);
    disk.plant(dir().join("TRUNCATING"), b"no mark at all");
    assert!(matches!(refused(&disk), WalError::Damaged { .. }));
    let report = truncate(&disk, lsn(6)).expect("a new one");
    assert_eq!((report.loss.kept, report.resumed), (Some(lsn(6)), false));
    assert_eq!(disk.entry(&dir().join("TRUNCATING")).expect("no fault"), None);
    opens_with(&disk, &contents, Some(lsn(6)));
}
