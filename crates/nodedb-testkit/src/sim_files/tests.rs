use super::*;
use crate::ManualClock;
use nodedb_env::{EntryKind, File, Files, Open};
use std::{collections::BTreeSet, io::ErrorKind, path::PathBuf, time::Duration};

fn at(path: &str) -> &Path {
    Path::new(path)
}

fn create(disk: &SimFiles, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = disk.open(at(path), Open::CreateNew).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => error.kind(),
    }
}

/// A disk with `/d/f`, both durable, of the bytes "old".
fn prepared() -> SimFiles {
    let disk = SimFiles::new(5);
    disk.create_dir(at("/d")).unwrap();
    create(&disk, "/d/f", b"old").sync_data().unwrap();
    disk.sync_dir(at("/d")).unwrap();
    disk.sync_dir(at("/")).unwrap();
    disk
}

#[test]
fn names_and_contents_are_synced_apart() {
    let disk = SimFiles::new(1);
    disk.create_dir(at("/d")).unwrap();
    create(&disk, "/d/named", b"bytes");
    create(&disk, "/d/late", b"bytes").sync_data().unwrap();
    assert!(disk.crash_losing_all().list(at("/")).unwrap().is_empty());
    disk.sync_dir(at("/d")).unwrap();
    // The directory's own name stands in its parent.
    assert!(disk.crash_losing_all().list(at("/")).unwrap().is_empty());
    disk.sync_dir(at("/")).unwrap();
    let after = disk.crash_losing_all();
    assert_eq!(after.read(at("/d/named")).unwrap(), b"");
    assert_eq!(after.read(at("/d/late")).unwrap(), b"bytes");
}

#[test]
fn a_kill_keeps_all_but_makes_nothing_durable() {
    let disk = prepared();
    let file = disk.open(at("/d/f"), Open::ReadWrite).unwrap();
    file.write_all_at(b"new", 0).unwrap();
    create(&disk, "/d/g", b"g");
    let held = disk.lock(at("/d/f")).unwrap();
    let after = disk.crash_keeping_all();
    assert_eq!(after.snapshot(), disk.snapshot());
    assert!(after.lock(at("/d/f")).is_ok());
    drop(held);
    let later = after.crash_losing_all();
    assert_eq!(later.read(at("/d/f")).unwrap(), b"old");
    assert_eq!(later.entry(at("/d/g")).unwrap(), None);
}

#[test]
fn crash_images_are_many_durable_and_by_seed() {
    let images = |seed: u64| -> Vec<Snapshot> {
        let disk = SimFiles::new(seed);
        for name in ["/a", "/b", "/c"] {
            create(&disk, name, &[1; 1_500]);
        }
        (0..100).map(|_| disk.crash().snapshot()).collect()
    };
    assert_eq!(images(1), images(1));
    assert_ne!(images(1), images(2));
    let counts: BTreeSet<usize> = images(1).iter().map(|image| image.files().len()).collect();
    assert_eq!(counts, BTreeSet::from([0, 1, 2, 3]));
    let disk = SimFiles::new(3);
    create(&disk, "/a", &[1; 1_500]);
    for _ in 0..50 {
        let after = disk.crash();
        assert_eq!(after.snapshot(), after.crash_losing_all().snapshot());
        assert_eq!(after.snapshot(), after.crash().snapshot());
    }
}

#[test]
fn a_replaced_file_is_old_or_new_at_every_crash_point() {
    let mut seen = BTreeSet::new();
    for point in 0.. {
        let disk = prepared();
        disk.crash_after(point);
        let done = disk.replace(at("/d/f"), b"newer").is_ok();
        for _ in 0..20 {
            let after = disk.crash();
            let bytes = after.read(at("/d/f")).unwrap();
            assert!(bytes == b"old" || bytes == b"newer", "{bytes:?} at {point}");
            assert!(!done || bytes == b"newer");
            seen.insert(bytes);
        }
        if done {
            break;
        }
        assert!(point < 20);
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_replacement_without_its_sync_is_caught() {
    let disk = prepared();
    create(&disk, "/d/f.tmp", b"newer");
    disk.rename(at("/d/f.tmp"), at("/d/f")).unwrap();
    disk.sync_dir(at("/d")).unwrap();
    let torn = (0..20).any(|_| disk.crash().read(at("/d/f")).unwrap() != b"newer");
    assert!(torn, "a rename does not sync what it names");
}

#[test]
fn a_failed_sync_fails_once_and_loses_for_ever() {
    let disk = prepared();
    let file = disk.open(at("/d/f"), Open::ReadWrite).unwrap();
    disk.fail_sync(2);
    file.sync_data().unwrap();
    file.write_all_at(b"new", 0).unwrap();
    let error = file.sync_data().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5));
    file.sync_data().unwrap();
    assert_eq!(disk.read(at("/d/f")).unwrap(), b"new");
    for after in [disk.crash(), disk.crash_losing_all()] {
        assert_eq!(after.read(at("/d/f")).unwrap(), b"old");
    }
    assert_eq!(disk.crash_keeping_all().read(at("/d/f")).unwrap(), b"new");
}

#[test]
fn a_failed_directory_sync_fails_once_and_stays_in_doubt() {
    let disk = prepared();
    disk.fail_dir_sync(1);
    create(&disk, "/d/g", b"g");
    assert!(disk.sync_dir(at("/d")).is_err());
    disk.sync_dir(at("/d")).unwrap();
    assert!(disk.entry(at("/d/g")).unwrap().is_some());
    assert_eq!(disk.crash_losing_all().entry(at("/d/g")).unwrap(), None);
}

#[test]
fn a_failed_write_leaves_a_part() {
    let disk = SimFiles::new(2);
    let mut lengths = BTreeSet::new();
    for name in 0..40 {
        disk.fail_write(1);
        let path = PathBuf::from(format!("/{name}"));
        let file = disk.open(&path, Open::CreateNew).unwrap();
        assert!(file.write_all_at(b"0123456789", 0).is_err());
        let bytes = disk.read(&path).unwrap();
        assert!(b"0123456789".starts_with(&bytes[..]));
        lengths.insert(bytes.len());
        file.write_all_at(b"0123456789", 0).unwrap();
    }
    assert!(lengths.len() > 5, "{lengths:?}");
}

#[test]
fn a_bad_sector_outlives_the_crash_but_not_the_test() {
    let disk = prepared();
    disk.fail_read("/d/f").unwrap();
    assert!(disk.read(at("/d/f")).is_err());
    let after = disk.crash();
    assert!(after.read(at("/d/f")).is_err());
    after.clear_faults();
    assert_eq!(after.read(at("/d/f")).unwrap(), b"old");
}

#[test]
fn the_quota_is_over_all_files_and_frees_with_the_last_handle() {
    let disk = prepared();
    disk.set_quota(Some(1_000));
    assert_eq!(disk.available_bytes(at("/")).unwrap(), 997);
    let file = disk.open(at("/d/g"), Open::CreateNew).unwrap();
    assert_eq!(kind(file.allocate(2_000)), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 997);
    file.write_all_at(b"within", 990).unwrap();
    assert_eq!(kind(file.write_all_at(b"beyond", 994)), ErrorKind::StorageFull);
    disk.remove_file(at("/d/g")).unwrap();
    assert_eq!(disk.available_bytes(at("/")).unwrap(), 0);
    drop(file);
    assert_eq!(disk.available_bytes(at("/")).unwrap(), 997);
}

#[test]
fn a_dead_machine_answers_nothing() {
    let disk = prepared();
    let before = disk.operations();
    assert_eq!(before, 6);
    disk.crash_after(1);
    assert_eq!(disk.read(at("/d/f")).unwrap(), b"old");
    let file = create_ok(&disk);
    assert!(file.write_all_at(b"x", 0).is_err());
    assert!(file.len().is_err() && disk.list(at("/")).is_err());
    assert_eq!(disk.operations(), before + 1);
    assert!(disk.crash().list(at("/")).is_ok());
}

fn create_ok(disk: &SimFiles) -> Arc<dyn File> {
    disk.open(at("/d/g"), Open::CreateNew).unwrap()
}

#[test]
fn an_unlinked_file_lives_as_long_as_its_handle() {
    let disk = prepared();
    let file = disk.open(at("/d/f"), Open::Read).unwrap();
    disk.remove_file(at("/d/f")).unwrap();
    disk.sync_dir(at("/d")).unwrap();
    let mut bytes = [0; 3];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"old");
    assert_eq!(disk.crash().entry(at("/d/f")).unwrap(), None);
}

#[test]
fn one_of_many_links_wins_and_shares_its_bytes() {
    let disk = prepared();
    disk.hard_link(at("/d/f"), at("/d/g")).unwrap();
    assert_eq!(kind(disk.hard_link(at("/d/f"), at("/d/g"))), ErrorKind::AlreadyExists);
    assert_eq!(disk.identity(at("/d/f")).unwrap(), disk.identity(at("/d/g")).unwrap());
    let file = disk.open(at("/d/f"), Open::ReadWrite).unwrap();
    file.write_all_at(b"n", 0).unwrap();
    assert_eq!(disk.read(at("/d/g")).unwrap(), b"nld");
    disk.remove_file(at("/d/f")).unwrap();
    assert_eq!(disk.read(at("/d/g")).unwrap(), b"nld");
}

#[test]
fn calls_are_refused_as_linux_refuses_them() {
    let disk = prepared();
    disk.create_dir(at("/e")).unwrap();
    let refusals = [
        (kind(disk.open(at("/d/f"), Open::CreateNew)), ErrorKind::AlreadyExists),
        (kind(disk.open(at("/d/g"), Open::Read)), ErrorKind::NotFound),
        (kind(disk.open(at("/d"), Open::Read)), ErrorKind::InvalidInput),
        (kind(disk.open(at("/d/f/g"), Open::CreateNew)), ErrorKind::NotADirectory),
        (kind(disk.create_dir(at("/d"))), ErrorKind::AlreadyExists),
        (kind(disk.create_dir(at("/x/y"))), ErrorKind::NotFound),
        (kind(disk.rename(at("/d/f"), at("/e"))), ErrorKind::IsADirectory),
        (kind(disk.rename(at("/e"), at("/d"))), ErrorKind::DirectoryNotEmpty),
        (kind(disk.rename(at("/d"), at("/d/d"))), ErrorKind::InvalidInput),
        (kind(disk.rename_new(at("/e"), at("/d"))), ErrorKind::AlreadyExists),
        (kind(disk.remove_file(at("/d"))), ErrorKind::IsADirectory),
        (kind(disk.remove_dir_all(at("/d/f"))), ErrorKind::NotADirectory),
        (kind(disk.sync_dir(at("/x"))), ErrorKind::NotFound),
        (kind(disk.list(at("/d/f"))), ErrorKind::NotADirectory),
        (kind(disk.list(at("/d/../d"))), ErrorKind::InvalidInput),
    ];
    for (index, (got, expected)) in refusals.into_iter().enumerate() {
        assert_eq!(got, expected, "call {index}");
    }
    let file = disk.open(at("/d/f"), Open::Read).unwrap();
    assert_eq!(file.write_all_at(b"x", 0).unwrap_err().raw_os_error(), Some(9));
    let file = disk.open(at("/d/f"), Open::ReadWrite).unwrap();
    assert!(file.write_all_at(b"x", u64::MAX).is_err());
    assert!(file.as_fd().is_none());
}

#[test]
fn directories_are_listed_renamed_and_removed() {
    let disk = prepared();
    disk.create_dir(at("/d/sub")).unwrap();
    create(&disk, "/d/sub/x", b"x");
    let entries = disk.list(at("d")).unwrap();
    let listed: Vec<_> = entries.iter().map(|entry| (entry.kind, entry.len)).collect();
    assert_eq!(listed, [(EntryKind::File, 3), (EntryKind::Directory, 0)]);
    disk.rename(at("/d"), at("/e")).unwrap();
    assert_eq!(disk.read(at("/e/sub/x")).unwrap(), b"x");
    assert_eq!(disk.entry(at("/d")).unwrap(), None);
    disk.remove_dir_all(at("/e")).unwrap();
    assert!(disk.list(at("/")).unwrap().is_empty());
    // Not synced, so the worst cut brings it back under its durable name.
    assert_eq!(disk.crash_losing_all().read(at("/d/f")).unwrap(), b"old");
}

#[test]
fn a_lock_is_exclusive_until_dropped() {
    let disk = prepared();
    let held = disk.lock(at("/d/lock")).unwrap();
    assert_eq!(kind(disk.lock(at("/d/lock"))), ErrorKind::WouldBlock);
    assert!(disk.lock(at("/d/other")).is_ok());
    drop(held);
    assert!(disk.lock(at("/d/lock")).is_ok());
}

#[test]
fn damage_is_durable_and_a_snapshot_tells_where() {
    let disk = prepared();
    let before = disk.snapshot();
    disk.corrupt("/d/f", 1, 0x20);
    disk.copy("/d", "/copy");
    let after = disk.crash_losing_all();
    assert_eq!(after.read(at("/copy/f")).unwrap(), b"oLd");
    assert_ne!(after.identity(at("/copy/f")).unwrap(), after.identity(at("/d/f")).unwrap());
    let changed = after.snapshot().differences(&before);
    assert_eq!(changed, ["/copy", "/copy/f", "/d/f"].map(PathBuf::from));
    disk.truncate("/d/f", 2);
    assert_eq!(disk.crash().read(at("/d/f")).unwrap(), b"oL");
    disk.remove("/copy");
    disk.plant("/d/sub/p", b"p");
    let image = disk.crash_losing_all().snapshot();
    assert_eq!(image.files().len(), 2);
    assert_eq!(image.files()[at("/d/sub/p")], b"p");
    assert!(!format!("{image:?}").contains("oL"));
}

#[test]
fn the_environment_is_made_of_the_parts_given() {
    let disk = prepared();
    let clock = Arc::new(ManualClock::new());
    let env = disk.env_with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    clock.advance(Duration::from_secs(1));
    assert_eq!(env.clock.now(), Duration::from_secs(1));
    assert_eq!(env.files.read(at("/d/f")).unwrap(), b"old");
    let same = prepared().env();
    assert_eq!(env.random.id().unwrap(), same.random.id().unwrap());
}

#[test]
fn a_disk_has_exactly_its_files_and_bytes() {
    let disk = SimFiles::new(1);
    disk.plant("/d/f", b"abc");
    disk.plant("/g", b"");
    let files = disk.snapshot().files().clone();
    assert!(disk.has_exactly(&files));
    disk.overwrite("/d/f", 1, b"x");
    assert!(!disk.has_exactly(&files));
    disk.overwrite("/d/f", 1, b"b");
    assert!(disk.has_exactly(&files));
    disk.plant("/h", b"");
    assert!(!disk.has_exactly(&files));
    disk.remove("/h");
    disk.remove("/g");
    assert!(!disk.has_exactly(&files));
}
