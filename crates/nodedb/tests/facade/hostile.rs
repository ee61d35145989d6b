//! Ways to lose data, to panic or to hang that a review found open; each is shut by a rule of the
//! facade that this test names.

use crate::world::{World, contents, copy, export};
use nodedb::{
    CheckpointRequest, CreateOptions, Database, ErrorKind, ImportOptions, NewCollection, OnError,
    OpenOptions, RestoreRequest, RestoreTarget, ScanOptions, Urgency, VerifyLevel, WriteOptions,
};
use std::{fs, thread, time::Duration};

const ARCHIVED: CheckpointRequest =
    CheckpointRequest { wait_archive: true, base: false, urgency: Urgency::Immediate };
const BASE: CheckpointRequest =
    CheckpointRequest { wait_archive: true, base: true, urgency: Urgency::Immediate };

fn filled(database: &Database, documents: u32) {
    database.create_collection(NewCollection::named("notes")).expect("created");
    let notes = database.collection("notes").expect("found");
    for key in 0..documents {
        notes.put(format!("{key:05}"), &key).expect("put");
    }
}

/// A failed open dropped its runtime, and a creation with an archive blocked on it, which both panic
/// on a thread of a caller's runtime. "Neither needs the caller's tokio" holds for failures too.
#[test]
fn every_call_works_inside_a_runtime_of_the_caller() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let error = Database::open_with(world.dir(), OpenOptions::existing()).expect_err("nothing");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let database = Database::create(world.dir(), world.archived()).expect("created");
        let error = Database::create(world.dir(), World::small()).expect_err("locked");
        assert_eq!(error.kind(), ErrorKind::Locked);
        filled(&database, 3);
        database.checkpoint(BASE).expect("archived");
        drop(database);
        let error = Database::create(world.dir(), World::small()).expect_err("exists");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let request = RestoreRequest {
            archive: world.archive_url(),
            into: world.path("restored"),
            target: RestoreTarget::Latest,
        };
        nodedb::restore(&request, &mut |_| ()).expect("restored");
        fs::write(world.path("restored").join("NODEDB"), "damaged").expect("written");
        let error = Database::open(world.path("restored")).expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    });
}

/// A kill between the identity and the removal of `CREATING` left the marker for ever; with it a lost
/// `NODEDB` made a later open sweep a log full of acknowledged writes as a failed creation.
#[test]
fn a_marker_left_behind_never_lets_acknowledged_data_be_swept() {
    let world = World::new();
    world.open(World::small()).close().expect("closed");
    fs::write(world.dir().join("CREATING"), "").expect("written");
    let database = world.reopen();
    filled(&database, 5);
    drop(database);
    fs::remove_file(world.dir().join("NODEDB")).expect("removed");
    let error = Database::open(world.dir()).expect_err("damaged, not new");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(world.dir().join("wal").exists());
}

/// I2: without its `ARCHIVE` file the database opened as one that never had an archive, and gave back
/// log that is nowhere else.
#[test]
fn a_missing_archive_file_is_damage_and_frees_no_log() {
    let world = World::new();
    let database = world.open(world.archived());
    filled(&database, 20);
    database.checkpoint(ARCHIVED).expect("archived");
    filled_more(&database, 20);
    database.checkpoint(CheckpointRequest::default()).expect("the position is in CONTROL");
    drop(database);
    let path = world.dir().join("ARCHIVE");
    fs::rename(&path, world.path("elsewhere")).expect("renamed");
    let error = Database::open(world.dir()).expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    fs::rename(world.path("elsewhere"), &path).expect("renamed");
    assert_eq!(export(&world.reopen(), "notes").lines().count(), 40);
}

fn filled_more(database: &Database, documents: u32) {
    let notes = database.collection("notes").expect("found");
    for key in 0..documents {
        notes.put(format!("more-{key:05}"), &key).expect("put");
    }
}

/// P9: an older state of the directory in the original's place (a disk snapshot put back keeps the
/// inode) that had written past the archive's end counted its own records as archived and went on
/// after those of the lost history: the archive mixed two histories and the log could be deleted.
#[test]
fn an_older_state_that_overtakes_its_archive_stops_uploading() {
    let world = World::new();
    let database = world.open(world.archived());
    filled(&database, 20);
    database.checkpoint(ARCHIVED).expect("archived");
    drop(database);
    copy(&world.dir(), &world.path("older"));
    let database = world.reopen();
    filled_more(&database, 5);
    let lost = database.checkpoint(ARCHIVED).expect("archived").archived_lsn;
    drop(database);
    put_back(&world);
    let database = world.reopen();
    let before = database.status().expect("status").archived_lsn;
    assert!(before < lost);
    filled_more(&database, 50);
    let error = database.checkpoint(ARCHIVED).expect_err("another history");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let status = database.status().expect("status");
    assert_eq!(status.archived_lsn, before, "the hold stays");
    assert_eq!(status.health.name(), "Degraded");
}

/// Puts the older files back without changing the inode of `LOCK`, as a snapshot of the disk does.
fn put_back(world: &World) {
    for (path, _) in contents(&world.dir()) {
        if !path.ends_with("LOCK") {
            fs::remove_file(path).expect("removed");
        }
    }
    for (path, bytes) in contents(&world.path("older")) {
        let target = world.dir().join(path.strip_prefix(world.path("older")).expect("below"));
        fs::write(target, bytes).expect("written");
    }
}

/// All base images are linked together in one place: two at a time mixed their files, so that a base
/// was completed whose manifests and floors are of different moments.
#[test]
fn base_images_asked_for_together_are_all_whole() {
    let world = World::new();
    let database = world.open(world.archived());
    filled(&database, 50);
    thread::scope(|scope| {
        let base = |_| scope.spawn(|| database.checkpoint(BASE).expect("a base"));
        let bases: Vec<_> = (0..4).map(base).collect();
        for round in 0..20 {
            let notes = database.collection("notes").expect("found");
            notes.put(format!("during-{round}"), &round).expect("put");
        }
        for base in bases {
            base.join().expect("a base");
        }
    });
    database.checkpoint(ARCHIVED).expect("archived");
    let report = nodedb::verify_archive(&world.archive_url(), VerifyLevel::Content).expect("read");
    assert!(report.is_ok(), "{report:?}");
}

/// A key that is a number went through a float: long ids became each other's key and overwrote each
/// other, with every line reported as imported.
#[test]
fn long_numbers_are_keys_digit_for_digit() {
    let world = World::new();
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("rows")).expect("created");
    let rows = database.collection("rows").expect("found");
    let lines = "{\"id\":12345678901234567890123}\n{\"id\":12345678901234567890124}\n{\"id\":-1}\n";
    let options = ImportOptions::keyed_by("id");
    let report = rows.import(lines.as_bytes(), &options, &mut |_| ()).expect("imported");
    assert_eq!(report.imported, 3);
    assert_eq!(export(&database, "rows").lines().count(), 3);
    assert!(rows.get("12345678901234567890124").expect("read").is_some());
}

/// A line above the limit was taken for several: its tail was imported if it happened to be JSON, and
/// the numbers of all later lines were wrong.
#[test]
fn a_line_that_is_too_long_is_one_refused_line() {
    let world = World::new();
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("rows")).expect("created");
    let rows = database.collection("rows").expect("found");
    let mut lines = vec![b' '; 32 << 20];
    lines.extend_from_slice(b"{\"id\":1}\n{\"id\":2}\nbad\n");
    let mut options = ImportOptions::keyed_by("id");
    options.on_error = OnError::Skip;
    let report = rows.import(lines.as_slice(), &options, &mut |_| ()).expect("imported");
    assert_eq!((report.imported, report.skipped), (1, 2));
    let numbers: Vec<_> = report.errors.iter().map(|error| error.line).collect();
    assert_eq!(numbers, [1, 3]);
}

/// Waits that are nothing or for ever ended in a panic of the caller or of the checkpointer.
#[test]
fn waits_out_of_range_are_refused() {
    let world = World::new();
    let refused = |change: &dyn Fn(&mut OpenOptions)| {
        let mut options = World::options(Some(World::small()));
        change(&mut options);
        let error = Database::open_with(world.dir(), options).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    };
    for wait in [Duration::ZERO, Duration::MAX] {
        refused(&|options| options.request_deadline = wait);
        refused(&|options| options.checkpoint_deadline = wait);
        refused(&|options| options.checkpoint_interval = wait);
    }
    assert!(!world.dir().exists());
}

/// A schema change is one group over all vshards. A database whose segments have no room for one was
/// created and could never hold a collection.
#[test]
fn a_database_that_could_hold_no_collection_is_refused() {
    let world = World::new();
    let small = CreateOptions { vshards: 65, segment_bytes: 64 << 10, ..CreateOptions::default() };
    let error = Database::create(world.dir(), small).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let most = CreateOptions { vshards: 64, segment_bytes: 64 << 10, ..CreateOptions::default() };
    let database = Database::create(world.dir(), most).expect("created");
    filled(&database, 10);
    database.checkpoint(CheckpointRequest::default()).expect("checkpoint");
}

/// A full queue ended every blocking call in a panic (the pause before the next try was made outside
/// of a runtime), and scans, searches, counts and imports answered `Busy` in the middle.
#[test]
fn reads_and_imports_wait_for_room_in_full_queues() {
    let world = World::new();
    let database = world.open(World::small());
    filled(&database, 100);
    let notes = database.collection("notes").expect("found");
    let full = || {
        let put = |n: u32| notes.put_async("w", n.to_string().as_bytes(), WriteOptions::default());
        (0..100_000).map_while(|n| put(n).ok()).collect::<Vec<_>>()
    };
    let under_way = full();
    let scanned: Result<Vec<_>, _> = notes.scan(ScanOptions::default()).and_then(Iterator::collect);
    assert!(scanned.expect("scanned").len() >= 100);
    drop(under_way);
    let under_way = full();
    assert_eq!(database.collections().expect("listed").len(), 1);
    drop(under_way);
    let under_way = full();
    let line = "{\"id\":1}\n".as_bytes();
    let imported = notes.import(line, &ImportOptions::keyed_by("id"), &mut |_| ());
    assert_eq!(imported.expect("imported").imported, 1);
    drop(under_way);
}
