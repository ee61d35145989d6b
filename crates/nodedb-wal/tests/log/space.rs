//! Full disks: refusing early, keeping room for what frees space, resuming.

use crate::world::{Log, killed, options, record};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{AppendClass, AppendError, LogHealth};

#[test]
fn a_full_disk_refuses_before_an_lsn_is_taken_and_appends_resume() {
    let log = Log::create(SimFiles::new(3), options());
    log.fill_disk();
    let big = [8; 9000];
    let last = loop {
        match log.wal.append(&[record(&big)], Durability::Sync, AppendClass::User) {
            Ok(range) => {
                log.wal.wait_durable(range.start(), log.deadline()).expect("durable");
            }
            Err(AppendError::NoSpace) => break log.wal.appended(),
            Err(AppendError::Backpressure) => {
                // The preparer has not met the full disk yet.
                crate::world::until("the disk is known to be full", || {
                    log.wal.health() == LogHealth::SpaceLow
                });
            }
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(log.wal.health(), LogHealth::SpaceLow);
    assert_eq!(log.wal.segments().len(), 2, "one file is held back");
    // What frees space may use the file that is held back.
    let range = log
        .wal
        .append(&[record(&big)], Durability::Sync, AppendClass::Housekeeping)
        .expect("the reserve");
    assert_eq!(Some(range.start()), last.map(Lsn::next), "no LSN was lost");
    log.wal.wait_durable(range.start(), log.deadline()).expect("durable");
    log.wal.record_checkpoint(range.end(), range.start(), None).expect("no new file needed");
    let truncated = log.wal.truncate(log.wal.plan_truncation(&[])).expect("no new file needed");
    assert_eq!((truncated.segments, truncated.recycled), (2, 2));
    log.commit(b"resumed without reopening");
    crate::world::until("health says so", || log.wal.health() == LogHealth::Healthy);
}

/// Every file of a long log became a prepared one where one was missing, and the full disk stayed full for
/// everybody but the log.
#[test]
fn a_truncation_on_a_full_disk_keeps_only_the_files_that_it_needs() {
    let log = Log::create(SimFiles::new(4), options());
    log.fill_segments(8);
    log.fill_disk();
    fill_until_no_space(&log);
    let range = log
        .wal
        .append(&[record(b"checkpoint")], Durability::Sync, AppendClass::Housekeeping)
        .expect("the reserve");
    log.wal.wait_durable(range.start(), log.deadline()).expect("durable");
    log.wal.record_checkpoint(range.end(), range.start(), None).expect("no new file needed");
    let truncated = log.wal.truncate(log.wal.plan_truncation(&[])).expect("no new file needed");
    assert!(truncated.segments >= 8, "{truncated:?}");
    assert!((1..=2).contains(&truncated.recycled), "{truncated:?}");
    log.commit(b"resumed");
}

/// A reopen on a full disk takes the file that was held back. Were users to fill it, the checkpoint that
/// frees space would find no room for its record, and nothing could ever be freed again.
#[test]
fn after_a_reopen_on_a_full_disk_users_leave_room_for_the_checkpoint() {
    let log = Log::create(SimFiles::new(3), options());
    log.fill_disk();
    fill_until_no_space(&log);
    let (log, _) = Log::open(killed(&log.disk), options()).expect("the held-back file");
    fill_until_no_space(&log);
    for _ in 0..3 {
        let range = log
            .wal
            .append(&[record(&[9; 1000])], Durability::Sync, AppendClass::Housekeeping)
            .expect("users left room");
        log.wal.wait_durable(range.start(), log.deadline()).expect("durable");
    }
    let last = log.wal.durable().expect("there are records");
    log.wal.record_checkpoint(last, last, None).expect("no new file needed");
    let truncated = log.wal.truncate(log.wal.plan_truncation(&[])).expect("no new file needed");
    assert!(truncated.segments > 0);
    let bytes = record(b"resumed without reopening").encoded_len();
    log.wal
        .wait_room(bytes, AppendClass::User, log.deadline())
        .expect("a file can be prepared again");
    log.commit(b"resumed without reopening");
}

/// The first reopen on a full disk takes the last prepared file. The second one was refused for want of
/// another, so a process that was killed twice could not free the space it needed to start.
#[test]
fn a_log_opens_on_a_full_disk_however_often_it_is_killed() {
    let log = Log::create(SimFiles::new(5), options());
    log.fill_disk();
    fill_until_no_space(&log);
    let mut contents = log.contents();
    let segments = log.wal.segments().len();
    let mut disk = killed(&log.disk);
    drop(log);
    for round in 0..6 {
        let (log, report) = Log::open(disk.clone(), options()).expect("no new file needed");
        assert_eq!(report.last, contents.last().map(|(lsn, _)| *lsn), "round {round}");
        assert_eq!(log.contents(), contents, "round {round}");
        assert_eq!(log.wal.segments().len(), segments + 1, "the held-back file, then none");
        let payload = [round; 300];
        let records = [record(&payload)];
        let range = log
            .wal
            .append(&records, Durability::Sync, AppendClass::Housekeeping)
            .expect("users left room");
        log.wal.wait_durable(range.start(), log.deadline()).expect("durable");
        contents.push((range.start(), payload.to_vec()));
        // Written and not synced: what a power cut leaves of it is the tail of the next round.
        log.wal.stage(&records, AppendClass::Housekeeping).expect("users left room");
        log.wal.stage(&records, AppendClass::Housekeeping).expect("users left room");
        log.wal.flush(range.end(), log.deadline()).expect("written");
        disk = if round % 2 == 0 { log.disk.crash_losing_all() } else { log.disk.crash() };
        let (tail, _) = Log::open(disk.crash_keeping_all(), options()).expect("sound");
        contents = tail.contents();
        assert!(contents.iter().any(|(lsn, _)| *lsn == range.start()), "acknowledged");
    }
    let (log, _) = Log::open(disk, options()).expect("no new file needed");
    let last = log.wal.durable().expect("there are records");
    log.wal.record_checkpoint(last, last, None).expect("no new file needed");
    let truncated = log.wal.truncate(log.wal.plan_truncation(&[])).expect("no new file needed");
    assert!(truncated.segments > 0);
    let bytes = record(b"resumed").encoded_len();
    log.wal.wait_room(bytes, AppendClass::User, log.deadline()).expect("there is room again");
    log.commit(b"resumed");
}

/// Housekeeping that has begun to write into the held-back file keeps an eighth of it.
#[test]
fn users_do_not_fill_the_file_that_housekeeping_has_opened() {
    let log = Log::create(SimFiles::new(3), options());
    log.fill_disk();
    fill_until_no_space(&log);
    let before = log.wal.segments().len();
    let housekeeping = |bytes: &[u8]| {
        log.wal.append(&[record(bytes)], Durability::Sync, AppendClass::Housekeeping)
    };
    housekeeping(&[9; 9000]).expect("the held-back file");
    fill_until_no_space(&log);
    assert_eq!(log.wal.segments().len(), before + 1);
    for _ in 0..3 {
        housekeeping(&[9; 1000]).expect("users left room");
    }
}

/// P10: a delete is a write, and nothing else of a user frees a byte of a full disk. Deletes use what users
/// leave, before and after reopens, and leave what the checkpoint needs.
#[test]
fn deletes_use_what_users_leave_and_leave_room_for_the_checkpoint() {
    let mut log = Log::create(SimFiles::new(6), options());
    log.fill_disk();
    for reopens in [false, true, true] {
        if reopens {
            let (reopened, _) = Log::open(killed(&log.disk), options()).expect("opens");
            log = reopened;
        }
        fill_until_no_space(&log);
        // Also a group of them that would take all of the held-back file.
        let group = vec![0; log.wal.group_bytes_max() - 64];
        let refused = log.wal.append(&[record(&group)], Durability::Sync, AppendClass::Freeing);
        assert!(matches!(refused, Err(AppendError::NoSpace)), "{refused:?}");
        let delete = [7; 100];
        let range = log.wal.append(&[record(&delete)], Durability::Sync, AppendClass::Freeing);
        let last = range.expect("users left room").start();
        log.wal.wait_durable(last, log.deadline()).expect("durable");
    }
    let users = log.wal.append(&[record(&[8; 1000])], Durability::Sync, AppendClass::User);
    assert!(matches!(users, Err(AppendError::NoSpace)), "{users:?}");
    let deletes = fill_as(&log, AppendClass::Freeing, &[7; 100]);
    assert!(deletes > 0, "those of three rounds did not take all of it");
    for _ in 0..3 {
        let checkpoint = record(&[9; 1000]);
        let range = log.wal.append(&[checkpoint], Durability::Sync, AppendClass::Housekeeping);
        let last = range.expect("deletes left room").start();
        log.wal.wait_durable(last, log.deadline()).expect("durable");
    }
    let last = log.wal.durable().expect("there are records");
    log.wal.record_checkpoint(last, last, None).expect("no new file needed");
    log.wal.truncate(log.wal.plan_truncation(&[])).expect("no new file needed");
    let bytes = record(b"resumed").encoded_len();
    log.wal.wait_room(bytes, AppendClass::User, log.deadline()).expect("room again");
    log.commit(b"resumed");
}

/// Appends as a user until nothing is taken any more.
fn fill_until_no_space(log: &Log) {
    fill_as(log, AppendClass::User, &[8; 1000]);
}

/// How many were taken.
fn fill_as(log: &Log, class: AppendClass, payload: &[u8]) -> usize {
    let mut taken = 0;
    loop {
        match log.wal.append(&[record(payload)], Durability::Sync, class) {
            Ok(range) => {
                log.wal.wait_durable(range.start(), log.deadline()).expect("durable");
                taken += 1;
            }
            Err(AppendError::NoSpace) => return taken,
            Err(AppendError::Backpressure) => {
                // The preparer has not met the full disk yet.
                crate::world::until("the disk is known to be full", || {
                    log.wal.health() == LogHealth::SpaceLow
                });
            }
            Err(other) => panic!("{other}"),
        }
    }
}
