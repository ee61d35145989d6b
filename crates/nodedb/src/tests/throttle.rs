//! A log that outgrows its limits: writers are slowed down, then refused, and nothing is lost.

use super::*;
use crate::{ArchiveOptions, ArchivePolicy, WriteOptions};
use nodedb_wal::{PinPolicy, PinState};

const LIMIT: u64 = 256 << 10;
const PATIENCE: Duration = Duration::from_mins(1);

fn limited() -> OpenOptions {
    OpenOptions {
        log_bytes_max: LIMIT,
        checkpoint_deadline: DEADLINE,
        request_deadline: Duration::from_millis(200),
        ..OpenOptions::default()
    }
}

/// Puts until one is refused so, and answers how many were taken.
fn put_until(world: &World, database: &Database, kind: ErrorKind) -> (u32, Error) {
    let notes = database.collection("notes").expect("found");
    let (value, begun) = ("x".repeat(8 << 10), world.env.clock.now());
    let mut taken = 0;
    loop {
        match notes.put(format!("more-{taken}"), &value) {
            Ok(_) => taken += 1,
            Err(error) if error.kind() == kind => return (taken, error),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
        }
        let waited = world.env.clock.now().saturating_sub(begun);
        assert!(waited < PATIENCE, "{taken} were taken");
    }
}

/// I18: a vshard that cannot be flushed let the log grow for as long as the disk had room, and recovery
/// with it.
#[test]
fn a_log_that_no_checkpoint_gets_shorter_is_bounded_and_named() {
    let world = World::new();
    let database = world.open_with(&limited()).expect("created");
    database.create_collection(NewCollection::named("notes")).expect("created");
    fill(&database, 0..100);
    world.faults.fail_creates(Some("vshards/0002/documents"));
    let (taken, error) = put_until(&world, &database, ErrorKind::Busy);
    let bound = 2 * LIMIT;
    assert!(matches!(error, Error::CheckpointBehind { limit, .. } if limit == bound), "{error:?}");
    let status = database.status().expect("status");
    assert_eq!(status.health.name(), "ReadOnly");
    let named = status.health.reasons().iter().any(|reason| reason.contains("vshard 2"));
    assert!(named, "{status:?}");
    let redo = &status.holds[0];
    let least = "documents of vshard 2 has proved the least";
    assert!(redo.name == "redo" && redo.reason.contains(least), "{redo:?}");
    // By whole segments.
    assert!(status.wal_bytes < 3 * LIMIT, "{status:?}");
    let notes = database.collection("notes").expect("found");
    assert!(notes.get("99").expect("reads go on").is_some());
    world.faults.fail_creates(None);
    checkpoint(&database).expect("checkpoint");
    let begun = world.env.clock.now();
    while let Err(error) = notes.put("after", &1) {
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(world.env.clock.now() < begun + PATIENCE, "writes are taken again");
    }
    drop((notes, database));
    let database = world.open().expect("opened again");
    let documents = database.collections().expect("listed")[0].documents;
    assert_eq!(documents, u64::from(taken) + 101, "what was refused was not written");
}

/// D-18: an archive that is gone for good took the whole disk.
#[test]
fn a_log_that_a_dead_archive_keeps_is_bounded_and_named() {
    let world = World::new();
    let archive = world.root.path().join("archive");
    std::fs::create_dir(&archive).expect("created");
    let archive = ArchiveOptions {
        url: format!("file://{}", archive.display()),
        policy: ArchivePolicy::Required,
    };
    let create = CreateOptions {
        vshards: 4,
        segment_bytes: 64 << 10,
        archive: Some(archive),
        ..CreateOptions::default()
    };
    let options = OpenOptions {
        create: Some(create),
        log_disk_max: Some(LIMIT),
        request_deadline: Duration::from_millis(200),
        ..OpenOptions::default()
    };
    let path = world.root.path().join("db");
    let database = open(&world.env, &path, options, Existing::Open).expect("created");
    database.create_collection(NewCollection::named("notes")).expect("created");
    world.faults.fail_creates(Some("/archive/"));
    let (_, error) = put_until(&world, &database, ErrorKind::NoSpace);
    let Error::LogHeld { holder, .. } = &error else { panic!("{error:?}") };
    assert!(holder.contains("archive"), "{error}");
    let status = database.status().expect("status");
    assert_eq!(status.health.name(), "ReadOnly");
    // By whole segments.
    assert!(status.wal_bytes < 2 * LIMIT, "{status:?}");
    checkpoint(&database).expect("checkpoint");
    assert_eq!(database.status().expect("status").holds[0].name, "archive");
    world.faults.fail_creates(None);
    let request = CheckpointRequest { wait_archive: true, ..CheckpointRequest::default() };
    let begun = world.env.clock.now();
    let notes = database.collection("notes").expect("found");
    // The archiver tries again by itself, after a pause.
    let again = || database.checkpoint(request).and_then(|_| notes.put("after", &1));
    while let Err(error) = again() {
        assert!(world.env.clock.now() < begun + PATIENCE, "{error}");
    }
}

/// A follower that never came back kept the log for ever.
#[test]
fn a_log_that_a_stuck_pin_keeps_is_given_up_at_its_limit_and_named() {
    let world = World::new();
    let database = world.filled();
    let wal = database.inner.log.wal();
    let limit = 4 * (64 << 10);
    let policy = PinPolicy { max_bytes: Some(limit) };
    let pin = wal.pin_persistent("follower", wal.oldest(), policy).expect("pinned");
    let hold = |database: &Database| {
        let holds = database.status().expect("status").holds;
        holds.into_iter().find(|hold| hold.name == "follower")
    };
    let reason = hold(&database).expect("shown").reason;
    assert_eq!(reason, format!("pinned; given up above {limit} bytes"));
    for from in (1..20).map(|round| round * 300) {
        fill(&database, from..from + 300);
        checkpoint(&database).expect("checkpoint");
        let Some(now) = hold(&database) else {
            assert!(matches!(pin.state(), PinState::Invalidated { bytes, .. } if bytes > limit));
            return;
        };
        assert_eq!(now.lsn, pin.lsn());
        assert!(now.bytes <= limit + 3 * (64 << 10), "{now:?}");
    }
    panic!("the pin holds for ever");
}

/// Above the soft limit an answer takes as long as the log may take for its bytes.
#[test]
fn answers_are_held_back_above_the_soft_limit() {
    let world = World::new();
    let options = OpenOptions { request_deadline: Duration::from_secs(30), ..limited() };
    let database = world.open_with(&options).expect("created");
    database.create_collection(NewCollection::named("notes")).expect("created");
    let notes = database.collection("notes").expect("found");
    world.faults.fail_creates(Some("vshards/0002/documents"));
    let value = "x".repeat(8 << 10);
    let is_slowed = || {
        let health = database.status().expect("status").health;
        health.reasons().iter().any(|reason| reason.contains("slowed down"))
    };
    for key in 0.. {
        notes.put(format!("more-{key}"), &value).expect("taken");
        if is_slowed() {
            break;
        }
    }
    // At most 64 KiB in a second there.
    let least = Duration::from_millis(120);
    let clock = &world.env.clock;
    let begun = clock.now();
    notes.put("by wait", &value).expect("taken");
    assert!(clock.now() >= begun + least, "took {:?}", clock.now().saturating_sub(begun));
    let begun = clock.now();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let json = format!("\"{value}\"");
    let pending = notes.put_async("by await", json.as_bytes(), WriteOptions::default());
    runtime.block_on(pending.expect("sent")).expect("taken");
    assert!(clock.now() >= begun + least, "took {:?}", clock.now().saturating_sub(begun));
}
