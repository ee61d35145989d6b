//! Change feeds: whole groups, in order, nothing twice and nothing missed, over reopens and concurrent writers.

use crate::world::World;
use nodedb::{
    BatchOp, ChangeGroup, ChangeOp, CheckpointRequest, Collection, Database, Error, ErrorKind,
    NewCollection, Version, Watch, WatchFrom, WriteOptions, loro::LoroDoc,
};
use std::{thread, time::Duration};

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_mins(1);

fn notes(database: &Database) -> Collection {
    database.create_collection(NewCollection::named("notes")).expect("created");
    database.collection("notes").expect("found")
}

/// `key=op` of each change of all that is there now.
fn drain(watch: &mut Watch) -> Vec<Vec<String>> {
    let mut groups = Vec::new();
    while let Some(group) = watch.next(NOW).expect("read") {
        groups.push(words(&group));
    }
    groups
}

fn words(group: &ChangeGroup) -> Vec<String> {
    let word = |change: &nodedb::Change| {
        let key = String::from_utf8_lossy(&change.key).into_owned();
        match &change.op {
            ChangeOp::Put { value } => format!("{key}={}", String::from_utf8_lossy(value)),
            op @ (ChangeOp::Delete | _) => format!("{key} {}", op.name()),
        }
    };
    group.changes.iter().map(word).collect()
}

fn put(collection: &str, key: &str) -> BatchOp {
    let (collection, key) = (collection.to_owned(), key.as_bytes().to_vec());
    BatchOp::Put { collection, key, value: b"1".to_vec(), expect: None }
}

#[test]
fn a_watch_answers_whole_groups_in_order_and_goes_on_where_it_ended() {
    let world = World::new();
    let database = world.open(World::small());
    let notes = notes(&database);
    database.create_collection(NewCollection::named("others")).expect("created");
    notes.put("before", &0).expect("put");
    let mut all =
        database.tenant(None).expect("a tenant").watch(WatchFrom::Oldest).expect("a watch");
    let mut own = notes.watch(WatchFrom::Now).expect("a watch");
    assert_eq!(own.position(), None);
    notes.put("a", &1).expect("put");
    let group: Vec<_> = (0..8).map(|key| put("notes", &format!("g{key}"))).collect();
    let group = [group, vec![put("others", "o")]].concat();
    database.batch(&group).expect("written");
    notes.delete("a", WriteOptions::default()).expect("deleted");
    let first = own.next(LONG).expect("read").expect("a change");
    assert_eq!(words(&first), ["a=1"]);
    let second = own.next(LONG).expect("read").expect("a change");
    assert_eq!(second.changes.len(), 8, "the others are not watched: {second:?}");
    assert_eq!(drain(&mut own), [["a delete"]]);
    let mut groups = drain(&mut all);
    assert_eq!(groups.len(), 4);
    assert_eq!((groups[0].clone(), groups[2].len()), (vec!["before=0".to_owned()], 9));

    // From each position on, also after a reopen.
    let (end, names) = (own.position().expect("read"), "g0=1");
    drop((own, all, notes));
    database.close().expect("closed");
    let database = world.reopen();
    let notes = database.collection("notes").expect("found");
    let mut again = notes.watch(WatchFrom::After(first.version)).expect("a watch");
    groups = drain(&mut again);
    assert_eq!(groups.len(), 2);
    assert!(groups[0].contains(&names.to_owned()), "{groups:?}");
    assert_eq!(
        drain(&mut notes.watch(WatchFrom::At(second.version.stamp().lsn)).expect("a watch")).len(),
        2
    );
    // In the middle of a group comes the rest of it.
    let middle = second.changes[5].version;
    let mut rest = notes.watch(WatchFrom::After(middle)).expect("a watch");
    assert_eq!(drain(&mut rest).iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    let mut rest = notes.watch(WatchFrom::After(end)).expect("a watch");
    assert_eq!(rest.next(NOW).expect("read"), None);
    let token: Version = Version::parse(&end.to_string()).expect("its own text");
    notes.put("late", &2).expect("put");
    let mut rest = notes.watch(WatchFrom::After(token)).expect("a watch");
    assert_eq!(drain(&mut rest), [["late=2"]]);
}

/// Writers and watchers at once, by threads and by futures: every acknowledged write comes once.
#[test]
fn concurrent_writes_come_once_each() {
    let world = World::new();
    let database = world.open(World::small());
    let notes = notes(&database);
    let (mut watch, mut awaited) = (
        notes.watch(WatchFrom::Now).expect("a watch"),
        notes.watch(WatchFrom::Now).expect("a watch"),
    );
    let writers = [0, 1, 2].map(|writer| {
        let notes = notes.clone();
        thread::spawn(move || {
            for key in 0..100 {
                notes.put(format!("{writer}-{key:03}"), &key).expect("put");
            }
        })
    });
    let mut seen = Vec::new();
    while seen.len() < 300 {
        seen.extend(words(&watch.next(LONG).expect("read").expect("a change")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut other = Vec::new();
    while other.len() < 300 {
        other.extend(words(&runtime.block_on(awaited.next_async()).expect("a change")));
    }
    for writer in writers {
        writer.join().expect("no panic");
    }
    assert_eq!(seen, other, "in the same order");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 300);
    assert_eq!(watch.next(NOW).expect("read"), None);
}

/// Whoever falls behind what the log has is told so, and can go on from now.
#[test]
fn a_watch_that_fell_behind_is_told() {
    let world = World::new();
    let database = world.open(World::small());
    let notes = notes(&database);
    let mut slow = notes.watch(WatchFrom::Oldest).expect("a watch");
    notes.put("first", &0).expect("put");
    let first = slow.next(LONG).expect("read").expect("a change").version;
    let value = "x".repeat(1000);
    for round in 0.. {
        for key in 0..100 {
            notes.put(key.to_string(), &value).expect("put");
        }
        database.checkpoint(CheckpointRequest::default()).expect("checkpoint");
        if database.status().expect("status").oldest_lsn > first.stamp().lsn.next() {
            break;
        }
        assert!(round < 20, "the log does not get shorter");
    }
    let error = notes.watch(WatchFrom::After(first)).expect_err("reclaimed");
    assert!(
        matches!(error, Error::WatchBehind { .. }) && error.kind() == ErrorKind::Gap,
        "{error}"
    );
    assert_eq!(
        notes.watch(WatchFrom::At(first.stamp().lsn)).expect_err("too").kind(),
        ErrorKind::Gap
    );
    // A watch that is open may have what it mapped, but never a hole.
    let mut last = first.stamp().lsn;
    loop {
        match slow.next(NOW) {
            Ok(Some(group)) => {
                let distance = group.changes[0].version.stamp().lsn.get() - last.get();
                assert!(distance <= 3, "a checkpoint at most lies between");
                last = group.version.stamp().lsn;
            }
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Gap);
                break;
            }
        }
    }
    let mut fresh = notes.watch(WatchFrom::Now).expect("a watch");
    notes.put("after", &1).expect("put");
    assert_eq!(drain(&mut fresh), [["after=1"]]);
}

/// D-8: a consumer of the log is a floor of it like any other, with a limit, so that one that never comes back
/// does not block truncation for ever. One that comes back after checkpoints and reopens goes on where it ended, for as long as it may.
#[test]
fn a_held_log_is_there_when_a_follower_comes_back() {
    let world = World::new();
    let database = world.open(World::small());
    notes(&database);
    let value = "x".repeat(1000);
    let fill = |database: &Database, from: u32| {
        let notes = database.collection("notes").expect("found");
        for key in from..from + 200 {
            notes.put(format!("{key:05}"), &value).expect("put");
        }
        database.checkpoint(CheckpointRequest::default()).expect("checkpoint");
    };
    let limit = 4 << 20;
    let hold = database.hold_log("follower", Some(limit)).expect("held");
    assert_eq!(database.hold_log("follower", None).expect_err("out").kind(), ErrorKind::Locked);
    for name in ["redo", "archive", "", "A b"] {
        let refused = database.hold_log(name, None).expect_err(name);
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    }
    fill(&database, 0);
    drop(hold);
    database.close().expect("closed");
    let mut seen = 0;
    for round in 1..4 {
        let database = world.reopen();
        fill(&database, round * 200);
        let hold = database.hold_log("follower", Some(limit)).expect("held");
        let notes = database.collection("notes").expect("found");
        let mut watch = notes.watch(hold.from()).expect("nothing is missing");
        while let Some(group) = watch.next(NOW).expect("read") {
            assert_eq!(group.changes[0].key, format!("{seen:05}"));
            seen += 1;
            // Not the last one: a follower that dies before this meets it again.
            if seen % 50 == 0 {
                hold.advance(group.version).expect("advanced");
            }
        }
        assert_eq!(seen, (round + 1) * 200);
        database.close().expect("closed");
    }
    let database = world.reopen();
    let hold = database.hold_log("follower", Some(64 << 10)).expect("held");
    (10..14).for_each(|round| fill(&database, round * 200));
    let notes = database.collection("notes").expect("found");
    assert_eq!(notes.watch(hold.from()).expect_err("given up").kind(), ErrorKind::Gap);
    let version = notes.put("a", &1).expect("put").version;
    assert_eq!(hold.advance(version).expect_err("given up").kind(), ErrorKind::Gap);
    hold.release().expect("released");
    assert!(database.hold_log("follower", None).is_ok(), "anew");
}

#[test]
fn positions_of_another_history_are_refused_and_close_ends_a_watch() {
    let (world, other) = (World::new(), World::new());
    let database = world.open(World::small());
    let notes = notes(&database);
    let elsewhere = self::notes(&other.open(World::small()));
    let foreign = elsewhere.put("a", &1).expect("put").version;
    let error = notes.watch(WatchFrom::After(foreign)).expect_err("of another database");
    assert_eq!(error.kind(), ErrorKind::WrongHistory);
    let mut watch = notes.watch(WatchFrom::Now).expect("a watch");
    let waiting = thread::spawn(move || watch.next(LONG));
    database.close().expect("closed");
    let ended = waiting.join().expect("no panic").expect_err("closed");
    assert_eq!(ended.kind(), ErrorKind::Closed);
    assert_eq!(notes.watch(WatchFrom::Now).expect_err("closed").kind(), ErrorKind::Closed);
}

/// A replica that merges what a watch answers has the same document, also over compactions of its rows.
#[test]
fn merges_are_answered_as_they_came() {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("drafts").with_kind(nodedb::CollectionKind::Crdt);
    database.create_collection(new).expect("created");
    let drafts = database.collection("drafts").expect("found");
    let mut watch = drafts.watch(WatchFrom::Now).expect("a watch");
    let author = LoroDoc::new();
    let text = author.get_text("text");
    for round in 0..200 {
        let before = author.oplog_vv();
        text.insert(0, &format!("{round} ")).expect("inserted");
        author.commit();
        let update = author.export(nodedb::loro::ExportMode::updates(&before)).expect("exported");
        drafts.merge("a", &update).expect("merged");
    }
    let replica = LoroDoc::new();
    let mut merges = 0;
    while let Some(group) = watch.next(NOW).expect("read") {
        for change in group.changes {
            let ChangeOp::Merge { update } = change.op else { panic!("{change:?}") };
            replica.import(&update).expect("imported");
            merges += 1;
        }
    }
    assert_eq!(merges, 200);
    assert_eq!(replica.get_deep_value(), author.get_deep_value());
}
