//! Full disks of the kernel. What the simulated disk cannot show: the blocks of prepared files are really
//! there, so no write into one ever fails, and no map of one ever ends the process.

use crate::{
    sandbox::{Sandbox, Volume, system},
    world::Log,
};
use nodedb_types::{ErrorKind, Lsn};
use nodedb_wal::{AppendClass, AppendError, LogHealth, Wal, inspect};
use std::{io::Write, path::Path, time::Duration};

/// Fills a file system to its last byte.
fn fill(volume: &Path) {
    let path = volume.join("filler");
    let mut filler =
        std::fs::OpenOptions::new().create(true).append(true).open(path).expect("a name is free");
    for block in [65_536, 4096, 512, 1] {
        while filler.write_all(&vec![1; block]).is_ok() {}
    }
    // What is delayed until it is written back must be taken, too.
    let _full = filler.sync_all();
}

fn make_room(volume: &Path) {
    std::fs::remove_file(volume.join("filler")).expect("there");
}

/// Fills disk and log; answers the last record.
fn fill_with_log(volume: &Path, log: &Log) -> Option<Lsn> {
    fill(volume);
    log.append_until_full();
    // What the log gave back while it failed to prepare a file.
    fill(volume);
    log.append_until_full();
    let appended = log.wal.appended();
    assert!(matches!(log.append(AppendClass::User), Err(AppendError::NoSpace)));
    assert_eq!(log.wal.appended(), appended, "a refused append takes no number");
    assert_eq!(log.wal.health(), LogHealth::SpaceLow);
    assert_eq!(log.last_read(), appended, "reading goes on");
    appended
}

fn within_a_second(log: &Log) {
    let bytes = crate::world::record(&[7; 2000]).encoded_len();
    let deadline = log.within(Duration::from_secs(1));
    log.wal.wait_room(bytes, AppendClass::User, deadline).expect("room within a second");
    log.append(AppendClass::User).expect("there is room");
}

fn refuse_and_resume(volume: &Path) {
    let dir = volume.join("log");
    let log = Log::create(&dir);
    fill_with_log(volume, &log);
    make_room(volume);
    within_a_second(&log);

    fill_with_log(volume, &log);
    let record = log.append(AppendClass::Housekeeping).expect("room is held back for it");
    log.wal.record_checkpoint(record, record, None).expect("CONTROL is written in place");
    let truncated = log.wal.truncate(log.wal.plan_truncation(&[])).expect("it only frees");
    assert!(truncated.recycled > 0, "{truncated:?}");
    within_a_second(&log);

    let last = fill_with_log(volume, &log);
    let room = log.append(AppendClass::Housekeeping).expect("room is held back again");
    assert_eq!(Some(room), last.map(Lsn::next));
    log.wal.close().expect("CONTROL is written in place");
    inspect::verify(&log.env, &dir).expect("sound");
}

fn reopen(volume: &Path, times: usize) {
    let dir = volume.join("log");
    let log = Log::create(&dir);
    let mut last = fill_with_log(volume, &log);
    drop(log);
    for time in 1..=times {
        let (log, report) = Log::open(&dir).unwrap_or_else(|error| panic!("open {time}: {error}"));
        assert_eq!(report.last, last, "open {time}");
        last = fill_with_log(volume, &log);
    }
    make_room(volume);
    let (log, report) = Log::open(&dir).expect("room again");
    assert_eq!(report.last, last);
    within_a_second(&log);
}

/// Runs the test of this name on a full disk of a kind.
fn on(kind: Volume, test: &str, body: impl FnOnce(&Path)) {
    Sandbox::Mounts.run(&format!("full_disk::{test}"), |scratch| {
        let volume = kind.mount(scratch).unwrap_or_else(|reason| panic!("{kind:?}: {reason}"));
        body(&volume);
    });
}

#[test]
fn a_full_ext4_refuses_and_resumes() {
    on(Volume::Ext4, "a_full_ext4_refuses_and_resumes", refuse_and_resume);
}

#[test]
fn a_full_tmpfs_refuses_and_resumes() {
    on(Volume::Tmpfs, "a_full_tmpfs_refuses_and_resumes", refuse_and_resume);
}

#[test]
fn a_log_on_a_full_ext4_opens_again_and_again() {
    on(Volume::Ext4, "a_log_on_a_full_ext4_opens_again_and_again", |volume| reopen(volume, 3));
}

#[test]
fn a_log_on_a_full_tmpfs_opens_again_and_again() {
    on(Volume::Tmpfs, "a_log_on_a_full_tmpfs_opens_again_and_again", |volume| reopen(volume, 3));
}

#[test]
fn a_log_on_a_read_only_mount_is_verified_and_not_opened() {
    on(Volume::Ext4, "a_log_on_a_read_only_mount_is_verified_and_not_opened", |volume| {
        let dir = volume.join("log");
        let log = Log::create(&dir);
        let last = log.append(AppendClass::User).expect("there is room");
        drop(log);
        system(&["mount", "-o", "remount,ro"], &[volume]).expect("nobody writes");
        let env = nodedb_env::Env::real();
        let refused = Wal::open(&env, &dir, crate::world::options()).expect_err("read-only");
        assert_eq!(refused.kind(), ErrorKind::Io, "{refused}");
        assert_eq!(inspect::verify(&env, &dir).expect("it only reads").last, Some(last));
        system(&["mount", "-o", "remount,rw"], &[volume]).expect("allowed");
        assert_eq!(Log::open(&dir).expect("writable again").1.last, Some(last));
    });
}
