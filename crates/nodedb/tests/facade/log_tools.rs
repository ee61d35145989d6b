//! The last resort for a damaged log never makes a database that does not open.

use crate::world::{World, contents, copy};
use nodedb::{
    CheckpointRequest, CreateOptions, Database, DumpRange, Error, ErrorKind, Lsn, NewCollection,
    Urgency, dump_log, log_segments, plan_log_truncation, record_name, truncate_log,
    verify_database, verify_log,
};
use std::fs;

const ARCHIVED: CheckpointRequest =
    CheckpointRequest { wait_archive: true, base: false, urgency: Urgency::Immediate };

/// A database whose files are ahead of its log: the log is as it was before the last checkpoint.
fn ahead_of_its_log(world: &World, create: CreateOptions) -> Lsn {
    let archived = create.archive.is_some();
    let database = world.open(create);
    database.create_collection(NewCollection::named("notes")).expect("created");
    let notes = database.collection("notes").expect("found");
    for key in 0..20 {
        notes.put(format!("{key:05}"), &key).expect("put");
    }
    let (log, earlier) = (world.dir().join("wal"), world.path("earlier"));
    copy(&log, &earlier);
    notes.put("later", &0).expect("put");
    if archived {
        database.checkpoint(ARCHIVED).expect("archived");
    }
    database.close().expect("closed with a checkpoint");
    fs::remove_dir_all(&log).expect("removed");
    copy(&earlier, &log);
    let dump = dump_log(world.dir(), DumpRange::default()).expect("a log");
    let records = dump.flat_map(|batch| batch.records);
    let puts = records.filter(|record| record_name(record.kind) == Some("put"));
    puts.map(|record| record.lsn).nth(9).expect("the tenth")
}

#[test]
fn a_log_is_not_cut_below_what_files_and_archive_hold() {
    for (with_archive, holder) in [(false, "the documents files"), (true, "the archive")] {
        let world = World::new();
        let create = if with_archive { world.archived() } else { World::small() };
        let at = ahead_of_its_log(&world, create);
        let before = contents(&world.dir());
        let planned = plan_log_truncation(world.dir(), at).map(|_| ());
        let cut = truncate_log(world.dir(), at, None).map(|_| ());
        for result in [planned, cut] {
            let error = result.expect_err("such a database does not open");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains(holder), "{error}");
            assert!(matches!(error, Error::LogNeeded { kept, needed, .. } if kept == Some(at)
                && needed > at));
        }
        assert_eq!(contents(&world.dir()), before, "a refusal changes nothing");
        // What the cut would have left is what this is.
        let error = Database::open(world.dir()).expect_err("the files are ahead of the log");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[test]
fn tools_for_the_log_want_a_database() {
    let world = World::new();
    let missing = dump_log(world.dir(), DumpRange::default()).map(|_| ());
    assert_eq!(missing.expect_err("nothing there").kind(), ErrorKind::NotFound);
    let missing = truncate_log(world.dir(), Lsn::FIRST, None).map(|_| ());
    assert_eq!(missing.expect_err("nothing there").kind(), ErrorKind::NotFound);
    assert!(!world.dir().exists());
    fs::create_dir(world.dir()).expect("a directory");
    fs::write(world.dir().join("thesis.txt"), "years of work").expect("written");
    let foreign = dump_log(world.dir(), DumpRange::default()).map(|_| ());
    assert_eq!(foreign.expect_err("not ours").kind(), ErrorKind::UnsupportedFormat);
}

/// The lock file was made anew, in a directory of which the tools promise to change no byte; where it could
/// not be, as on a read-only file system, nothing could be looked at.
#[test]
fn looking_at_a_database_makes_no_file() {
    let world = World::new();
    world.open(World::small()).close().expect("closed");
    fs::remove_file(world.path("db/LOCK")).expect("removed");
    let before = contents(&world.dir());
    assert!(verify_database(world.dir()).expect("looked at").is_ok());
    assert!(verify_log(world.dir()).expect("looked at").is_ok());
    assert!(!log_segments(world.dir()).expect("looked at").is_empty());
    assert!(contents(&world.dir()) == before, "nothing was made or changed");
    let database = world.reopen();
    let refused = verify_database(world.dir()).expect_err("open in this process");
    assert_eq!(refused.kind(), ErrorKind::Locked);
    database.close().expect("closed");
}
