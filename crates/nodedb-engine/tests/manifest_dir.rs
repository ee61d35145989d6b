//! The switch of an engine's manifest, its damage and its refusals.
#![cfg(feature = "conformance")]
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

use nodedb_engine::{EngineError, EngineKind, Manifest, ManifestDir, conformance::TestLog};
use nodedb_env::Files;
use nodedb_testkit::SimFiles;
use nodedb_types::{ErrorKind, Lsn};
use std::{path::Path, sync::Arc};

const DIR: &str = "/engine";
const KIND: EngineKind = EngineKind::Vectors;

fn lsn(value: u64) -> Option<Lsn> {
    Lsn::from_u64(value)
}

fn create(disk: &SimFiles) -> ManifestDir {
    let dir = ManifestDir::create(Arc::new(disk.clone()), Path::new(DIR), KIND);
    disk.sync_dir(Path::new("/")).expect("the disk works");
    dir.expect("a fresh disk").0
}

fn open(disk: &SimFiles) -> Result<ManifestDir, EngineError> {
    ManifestDir::open(Arc::new(disk.clone()), Path::new(DIR), KIND).map(|(dir, _)| dir)
}

/// Writes one file and switches to it alone.
fn switch(dir: &mut ManifestDir, floor: u64, name: &str) -> Result<(), EngineError> {
    let file = dir.write_file(name, name.as_bytes())?;
    let next = Manifest { floor: lsn(floor), files: vec![file], extra: vec![7] };
    dir.switch(next, &TestLog::new()).map(|_| ())
}

fn images(disk: &SimFiles) -> Vec<SimFiles> {
    let mut images = vec![disk.crash_losing_all(), disk.crash_keeping_all()];
    images.extend((0..6).map(|_| disk.crash()));
    images
}

#[test]
fn a_switch_is_found_again_and_the_old_files_are_gone() {
    let disk = SimFiles::new(1);
    let mut dir = create(&disk);
    assert_eq!(dir.manifest(), &Manifest::default());
    switch(&mut dir, 5, "a.ndb").expect("the disk works");
    switch(&mut dir, 9, "b.ndb").expect("the disk works");
    for image in images(&disk) {
        let dir = open(&image).expect("whole");
        assert_eq!((dir.manifest().floor, &*dir.manifest().extra), (lsn(9), &[7][..]));
        let [file] = &*dir.manifest().files else {
            panic!("one file");
        };
        assert_eq!((file.name(), file.bytes()), ("b.ndb", 5));
        assert_eq!(dir.read_file(file).expect("whole"), b"b.ndb");
    }
    assert!(!disk.snapshot().files().contains_key(Path::new("/engine/a.ndb")));
}

#[test]
fn a_stranger_survives_the_sweep_and_litter_does_not() {
    let disk = SimFiles::new(1);
    let mut dir = create(&disk);
    disk.plant("/engine/notes.txt", b"mine");
    disk.plant("/engine/litter.ndb", b"of a crash");
    disk.plant("/engine/a.ndb", b"of a crash, with a name that is needed again");
    disk.plant("/engine/sub.ndb/inner.ndb", b"mine");
    switch(&mut dir, 5, "a.ndb").expect("the disk works");
    let snapshot = disk.snapshot();
    let paths: Vec<_> = snapshot.files().keys().filter_map(|path| path.to_str()).collect();
    let expected =
        ["/engine/MANIFEST", "/engine/a.ndb", "/engine/notes.txt", "/engine/sub.ndb/inner.ndb"];
    assert_eq!(paths, expected);
    assert_eq!(snapshot.files()[Path::new("/engine/a.ndb")], b"a.ndb");
}

#[test]
fn power_lost_at_any_step_leaves_the_old_or_the_new() {
    let mut seen = [false; 2];
    for step in 0.. {
        let disk = SimFiles::new(step);
        let mut dir = create(&disk);
        switch(&mut dir, 5, "a.ndb").expect("the disk works");
        disk.crash_after(step);
        let result = switch(&mut dir, 9, "b.ndb");
        for image in images(&disk) {
            let floor = open(&image).expect("whole").manifest().floor;
            assert!(floor == lsn(5) || floor == lsn(9), "{floor:?} at step {step}");
            assert!(result.is_err() || floor == lsn(9), "an answered switch is durable");
            seen[usize::from(floor == lsn(9))] = true;
        }
        if result.is_ok() {
            break;
        }
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn damage_is_refused_by_file_and_changes_nothing() {
    let disk = SimFiles::new(1);
    switch(&mut create(&disk), 5, "a.ndb").expect("the disk works");
    let snapshot = disk.snapshot();
    for (path, bytes) in snapshot.files() {
        for at in 0..bytes.len() as u64 {
            let flipped = disk.crash_keeping_all();
            flipped.corrupt(path, at, 0x10);
            let cut = disk.crash_keeping_all();
            cut.truncate(path, at);
            for damaged in [flipped, cut] {
                let before = damaged.snapshot();
                let error = open(&damaged).expect_err("damaged");
                assert!(error.to_string().contains(path.to_str().expect("text")), "{error}");
                let verified = ManifestDir::verify(&damaged, Path::new(DIR), KIND);
                assert_eq!(verified.expect_err("damaged").kind(), error.kind());
                assert_eq!(damaged.snapshot(), before);
            }
        }
    }
    for path in snapshot.files().keys() {
        let missing = disk.crash_keeping_all();
        missing.remove(path);
        assert!(matches!(
            open(&missing),
            Err(EngineError::Corrupt { path: named, .. }) if named == *path
        ));
    }
}

#[test]
fn another_engine_and_another_version_are_refused() {
    let disk = SimFiles::new(1);
    create(&disk);
    let other = ManifestDir::open(Arc::new(disk.clone()), Path::new(DIR), EngineKind::Catalog);
    assert!(matches!(other, Err(EngineError::Corrupt { .. })));
    let manifest = Path::new("/engine/MANIFEST");
    let mut bytes = disk.read(manifest).expect("there");
    bytes[8] = 2;
    disk.plant(manifest, &bytes);
    assert!(matches!(
        open(&disk),
        Err(EngineError::UnsupportedFormat { found: 2, supported: 1, .. })
    ));
    disk.remove(manifest);
    disk.plant_dir(manifest);
    assert_eq!(open(&disk).expect_err("a directory").kind(), ErrorKind::Corrupt);
}

#[test]
fn the_floor_never_falls() {
    let disk = SimFiles::new(1);
    let mut dir = create(&disk);
    switch(&mut dir, 9, "a.ndb").expect("the disk works");
    switch(&mut dir, 9, "b.ndb").expect("the same floor is no fall");
    let fallen =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| switch(&mut dir, 8, "c.ndb")));
    assert!(fallen.is_err());
    assert_eq!(open(&disk).expect("whole").manifest().floor, lsn(9));
}

#[test]
fn a_full_disk_is_survived_and_a_failed_directory_sync_is_not_trusted() {
    let disk = SimFiles::new(1);
    let mut dir = create(&disk);
    disk.set_quota(Some(60));
    let error = switch(&mut dir, 5, "a.ndb").expect_err("full");
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert!(!dir.is_in_doubt());
    disk.set_quota(None);
    switch(&mut dir, 5, "b.ndb").expect("there is room again");
    disk.fail_dir_sync(2);
    let error = switch(&mut dir, 9, "c.ndb").expect_err("the second sync is the one of the switch");
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(dir.is_in_doubt());
    let error = switch(&mut dir, 9, "d.ndb").expect_err("in doubt");
    assert!(matches!(error, EngineError::InDoubt { .. }));
    for image in images(&disk) {
        let floor = open(&image).expect("the old or the new").manifest().floor;
        assert!(floor == lsn(5) || floor == lsn(9), "{floor:?}");
    }
}

#[test]
fn a_load_syncs_what_it_read_before_it_proves_it() {
    let disk = SimFiles::new(1);
    let mut dir = create(&disk);
    switch(&mut dir, 5, "a.ndb").expect("the disk works");
    // Killed between the rename and the sync of the directory: the new manifest is in the cache.
    let killed = (0..100)
        .map(|step| {
            let disk = disk.crash_keeping_all();
            let mut dir = open(&disk).expect("whole");
            disk.crash_after(step);
            assert!(switch(&mut dir, 9, "b.ndb").is_err(), "the rename comes before the end");
            disk.crash_keeping_all()
        })
        .find(|disk| {
            let manifest = ManifestDir::verify(disk, Path::new(DIR), KIND).expect("whole");
            manifest.floor == lsn(9)
        })
        .expect("some step follows the rename");
    let old = open(&killed.crash_losing_all()).expect("whole");
    assert_eq!(old.manifest().floor, lsn(5), "nothing but the cache has it");
    let loaded = open(&killed).expect("whole");
    assert_eq!(loaded.manifest().floor, lsn(9));
    let after = open(&killed.crash_losing_all()).expect("whole");
    assert_eq!(after.manifest().floor, lsn(9), "the load has made it durable");
}

/// Writes a file in pieces, with a switch of another file in between.
fn make_slowly(dir: &mut ManifestDir) -> Result<nodedb_engine::SyncedFile, EngineError> {
    let mut file = dir.begin_file("slow.ndb")?;
    file.append(b"piece by ")?;
    switch(dir, 6, "b.ndb")?;
    file.append(b"piece")?;
    file.sync()
}

#[test]
fn a_file_in_the_making_survives_switches_and_is_adopted_whole() {
    let disk = SimFiles::new(1);
    let mut dir = create(&disk);
    switch(&mut dir, 5, "a.ndb").expect("the disk works");
    let made = make_slowly(&mut dir).expect("the disk works");
    assert_eq!(disk.read(made.path()).expect("there"), b"piece by piece");
    switch(&mut dir, 7, "c.ndb").expect("the disk works");
    let adopted = dir.adopt(&made).expect("still there");
    assert_eq!(dir.adopt(&made).expect("again"), adopted, "a repeated flush adopts again");
    let next = Manifest { floor: lsn(8), files: vec![adopted], extra: Vec::new() };
    dir.switch(next, &TestLog::new()).expect("the disk works");
    drop(made);
    for image in images(&disk) {
        let dir = open(&image).expect("whole");
        let [file] = &*dir.manifest().files else {
            panic!("one file");
        };
        assert_eq!(dir.read_file(file).expect("whole"), b"piece by piece");
    }
}

#[test]
fn what_is_given_up_in_the_making_goes_at_once_or_with_the_next_sweep() {
    let disk = SimFiles::new(1);
    let mut dir = create(&disk);
    let temporary = Path::new("/engine/slow.ndb.tmp");
    drop(make_slowly(&mut dir).expect("the disk works"));
    assert!(!disk.snapshot().files().contains_key(temporary));
    disk.plant(temporary, b"of a process that was killed");
    disk.plant("/engine/mine.txt.tmp", b"not of an engine");
    switch(&mut dir, 9, "c.ndb").expect("the disk works");
    let snapshot = disk.snapshot();
    assert!(!snapshot.files().contains_key(temporary));
    assert!(snapshot.files().contains_key(Path::new("/engine/mine.txt.tmp")));
}

#[test]
fn power_lost_at_any_step_of_a_file_in_the_making_leaves_the_old_or_the_new() {
    let mut adoptions = 0;
    for step in 0.. {
        let disk = SimFiles::new(step);
        let mut dir = create(&disk);
        switch(&mut dir, 5, "a.ndb").expect("the disk works");
        disk.crash_after(step);
        let result = make_slowly(&mut dir).and_then(|made| {
            let adopted = dir.adopt(&made)?;
            let next = Manifest { floor: lsn(8), files: vec![adopted], extra: Vec::new() };
            dir.switch(next, &TestLog::new())
        });
        for image in images(&disk) {
            let floor = open(&image).expect("whole").manifest().floor;
            assert!([5, 6, 8].map(lsn).contains(&floor), "{floor:?} at step {step}");
            assert!(result.is_err() || floor == lsn(8), "an answered switch is durable");
            adoptions += u32::from(floor == lsn(8));
        }
        if result.is_ok() {
            break;
        }
    }
    assert!(adoptions > 8, "also images of a switch that had no answer");
}
