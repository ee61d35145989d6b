use crate::world::{World, copy, export};
use nodedb::{
    CheckpointRequest, Database, ErrorKind, Health, Lsn, NewCollection, RestoreRequest,
    RestoreTarget, Urgency, VerifyLevel, WriteOptions,
};
use std::fs;

const ARCHIVED: CheckpointRequest =
    CheckpointRequest { wait_archive: true, base: false, urgency: Urgency::Immediate };
const BASE: CheckpointRequest =
    CheckpointRequest { wait_archive: true, base: true, urgency: Urgency::Immediate };

fn filled(world: &World, documents: u32) -> Database {
    let database = world.open(world.archived());
    database.create_collection(NewCollection::named("notes")).expect("created");
    fill(&database, 0..documents);
    database
}

fn fill(database: &Database, keys: std::ops::Range<u32>) -> Vec<Lsn> {
    let notes = database.collection("notes").expect("found");
    keys.map(|key| notes.put(format!("{key:05}"), &key).expect("put").lsn).collect()
}

fn restore(world: &World, name: &str, target: RestoreTarget) -> Result<Database, nodedb::Error> {
    let request = RestoreRequest { archive: world.archive_url(), into: world.path(name), target };
    nodedb::restore(&request, &mut |_| ())?;
    Database::open_with(world.path(name), World::options(None))
}

#[test]
fn a_mistake_is_undone_by_a_restore_to_the_point_before_it() {
    let world = World::new();
    let database = filled(&world, 100);
    let before = export(&database, "notes");
    database.restore_point("before").expect("named");
    let notes = database.collection("notes").expect("found");
    for key in 0..50 {
        notes.delete(format!("{key:05}"), WriteOptions::default()).expect("deleted");
    }
    database.checkpoint(ARCHIVED).expect("archived");
    let point = RestoreTarget::Point(nodedb::Name::new("before").expect("a name"));
    let restored = restore(&world, "restored", point).expect("restored");
    assert_eq!(export(&restored, "notes"), before);
    assert_ne!(restored.id(), database.id());
    assert!(restored.status().expect("status").archive.is_none(), "no archive is attached");
    let latest = restore(&world, "latest", RestoreTarget::Latest).expect("restored");
    assert_eq!(export(&latest, "notes"), export(&database, "notes"));
    assert!(
        nodedb::verify_archive(&world.archive_url(), VerifyLevel::Content).expect("read").is_ok()
    );
}

/// I7: every position of the archived history can be restored, and is exactly what was there.
#[test]
fn every_position_restores_to_what_it_was() {
    let world = World::new();
    let database = filled(&world, 0);
    let lsns = fill(&database, 0..12);
    database.checkpoint(BASE).expect("archived");
    let later = fill(&database, 12..18);
    database.checkpoint(ARCHIVED).expect("archived");
    for (count, lsn) in lsns.iter().chain(&later).enumerate() {
        let name = format!("at-{lsn}");
        let restored = restore(&world, &name, RestoreTarget::Lsn(*lsn)).expect("restored");
        let keys = export(&restored, "notes").lines().count();
        assert_eq!(keys, count + 1, "at {lsn}");
    }
}

/// P4: a target inside an atomic batch is rounded down to the state before it; half a batch was never
/// a state of the database.
#[test]
fn a_target_inside_a_batch_restores_to_before_it() {
    let world = World::new();
    let database = filled(&world, 10);
    let put = |key: u32| nodedb::BatchOp::Put {
        collection: "notes".to_owned(),
        key: format!("batch-{key}").into_bytes(),
        value: b"1".to_vec(),
        expect: None,
    };
    let batch: Vec<_> = (0..8).map(put).collect();
    let last = database.batch(&batch).expect("written").lsn;
    database.checkpoint(BASE).expect("base");
    fill(&database, 10..12);
    database.checkpoint(ARCHIVED).expect("archived");
    for before in 0..4 {
        let target = Lsn::from_u64(last.get() - before).expect("not zero");
        let name = format!("at-{target}");
        let restored = restore(&world, &name, RestoreTarget::Lsn(target)).expect("restored");
        let keys = export(&restored, "notes").lines().count();
        assert_eq!(keys, if before == 0 { 18 } else { 10 }, "at {target}");
    }
}

#[test]
fn a_base_image_and_the_log_after_it_restore_together() {
    let world = World::new();
    let database = filled(&world, 300);
    database.checkpoint(BASE).expect("base");
    fill(&database, 300..400);
    database.checkpoint(ARCHIVED).expect("archived");
    let request = RestoreRequest {
        archive: world.archive_url(),
        into: world.path("restored"),
        target: RestoreTarget::Latest,
    };
    let plan = nodedb::plan_restore(&request).expect("planned");
    assert!(plan.base_lsn.is_some(), "{plan:?}");
    let report = nodedb::restore(&request, &mut |_| ()).expect("restored");
    assert_eq!(report.reached_lsn, report.target_lsn);
    let restored = Database::open_with(world.path("restored"), World::options(None));
    let restored = restored.expect("opened");
    assert_eq!(export(&restored, "notes"), export(&database, "notes"));
    // It lives on: what is written now survives.
    fill(&restored, 400..410);
    drop(restored);
    let again = Database::open_with(world.path("restored"), World::options(None)).expect("opened");
    assert_eq!(export(&again, "notes").lines().count(), 410);
}

/// P8: values that a restored database writes never look like those of the history it came from.
#[test]
fn a_restored_database_is_another_history() {
    let world = World::new();
    let database = filled(&world, 10);
    let notes = database.collection("notes").expect("found");
    let version = notes.get("00003").expect("read").expect("there").version;
    database.checkpoint(BASE).expect("base");
    let restored = restore(&world, "restored", RestoreTarget::Latest).expect("restored");
    let notes = restored.collection("notes").expect("found");
    let expect = Some(nodedb::Expect::Version(version));
    let options = WriteOptions { expect, ..WriteOptions::default() };
    let error = notes.put_raw("00003", b"1", options).expect_err("another history");
    assert_eq!(error.kind(), ErrorKind::WrongHistory);
}

/// D-17, S3: with the archive gone nothing unarchived is deleted, and `status` says what holds it.
#[test]
fn required_keeps_what_the_archive_has_not_taken() {
    let world = World::new();
    let database = filled(&world, 10);
    database.checkpoint(ARCHIVED).expect("archived");
    fs::rename(world.path("archive"), world.path("gone")).expect("renamed");
    let value = format!("\"{}\"", "x".repeat(500));
    let notes = database.collection("notes").expect("found");
    for key in 0..600 {
        notes.put_raw(format!("b{key}"), value.as_bytes(), WriteOptions::default()).expect("put");
    }
    let archived = database.status().expect("status").archived_lsn;
    let report = database.checkpoint(CheckpointRequest::default()).expect("checkpoint");
    assert_eq!(report.archived_lsn, archived);
    assert_eq!(report.held_by, ["archive"], "{report:?}");
    let status = database.status().expect("status");
    assert!(status.oldest_lsn <= Lsn::after(archived));
    assert_eq!(status.holds[0].name, "archive");
    drop((notes, database));
    fs::rename(world.path("gone"), world.path("archive")).expect("renamed");
    let database = world.reopen();
    let report = database.checkpoint(ARCHIVED).expect("archived");
    assert!(report.archived_lsn > archived);
    let restored = restore(&world, "restored", RestoreTarget::Latest).expect("restored");
    assert_eq!(export(&restored, "notes").lines().count(), 610);
}

/// P9: a copied directory never writes into the original's archive, and keeps its log.
#[test]
fn a_copied_directory_uploads_nothing_and_keeps_its_hold() {
    let world = World::new();
    let database = filled(&world, 10);
    database.checkpoint(ARCHIVED).expect("archived");
    database.close().expect("closed");
    copy(&world.dir(), &world.path("copy"));
    let original = world.reopen();
    let copied = Database::open_with(world.path("copy"), World::options(None)).expect("opened");
    let Health::Degraded { reasons } = copied.status().expect("status").health else {
        panic!("a copy is degraded");
    };
    assert!(reasons.iter().any(|reason| reason.contains("copied directory")), "{reasons:?}");
    fill(&copied, 100..110);
    let archived = copied.status().expect("status").archived_lsn;
    copied.close().expect("closed");
    fill(&original, 200..210);
    let report = original.checkpoint(ARCHIVED).expect("the original goes on");
    assert!(report.archived_lsn > archived);
    assert!(
        nodedb::verify_archive(&world.archive_url(), VerifyLevel::Content).expect("read").is_ok()
    );
}

#[test]
fn a_gap_names_the_range_and_is_never_a_shorter_result() {
    let world = World::new();
    let database = filled(&world, 10);
    for start in [10, 20, 30] {
        database.checkpoint(ARCHIVED).expect("archived");
        fill(&database, start..start + 10);
    }
    database.checkpoint(ARCHIVED).expect("archived");
    let mut objects: Vec<_> = crate::world::contents(&world.path("archive"))
        .into_keys()
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    objects.sort();
    fs::remove_file(&objects[1]).expect("removed");
    let error = restore(&world, "restored", RestoreTarget::Latest).expect_err("a gap");
    assert_eq!(error.kind(), ErrorKind::Gap, "{error}");
    assert!(!world.path("restored").exists());
    let report = nodedb::verify_archive(&world.archive_url(), VerifyLevel::Chain).expect("read");
    assert!(report.problems.iter().any(|problem| problem.kind == ErrorKind::Gap), "{report:?}");
}

#[test]
fn an_unreachable_archive_is_refused_at_creation() {
    let world = World::new();
    let mut options = world.archived();
    for url in ["s3://bucket/prefix", "file://relative", "gopher://x", ""] {
        if let Some(archive) = &mut options.archive {
            archive.url = url.to_owned();
        }
        let error = Database::create(world.dir(), options.clone()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}: {error}");
    }
    let database = Database::create(world.dir(), World::small()).expect("nothing is left behind");
    assert_eq!(
        database.checkpoint(ARCHIVED).expect_err("no archive").kind(),
        ErrorKind::InvalidInput
    );
}

/// P13: an idle database archives nothing, however often it is opened and closed.
#[test]
fn an_idle_database_uploads_nothing() {
    let world = World::new();
    filled(&world, 10).close().expect("closed");
    world.reopen().close().expect("closed");
    let objects = crate::world::contents(&world.path("archive")).len();
    for _ in 0..3 {
        world.reopen().close().expect("closed");
    }
    assert_eq!(crate::world::contents(&world.path("archive")).len(), objects);
}
