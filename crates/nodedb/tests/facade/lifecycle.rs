use crate::world::{World, contents, copy};
use nodedb::{Database, ErrorKind, NewCollection};
use std::fs;

#[test]
fn what_was_acknowledged_is_there_after_a_reopen() {
    let world = World::new();
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("notes")).expect("created");
    let notes = database.collection("notes").expect("found");
    let written = notes.put("a", &serde_json::json!({"n": 1})).expect("put");
    drop((notes, database));
    let database = world.reopen();
    let found = database.collection("notes").expect("found").get("a").expect("read");
    let found = found.expect("there");
    assert_eq!((found.version, found.text().expect("text")), (written.version, r#"{"n":1}"#));
}

#[test]
fn a_second_open_is_locked_out_and_told_by_whom() {
    let world = World::new();
    let _database = world.open(World::small());
    let error = Database::open(world.dir()).expect_err("locked");
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
}

#[test]
fn a_foreign_directory_is_refused_unchanged() {
    let world = World::new();
    fs::create_dir(world.dir()).expect("a directory");
    fs::write(world.dir().join("thesis.txt"), "do not touch").expect("written");
    let before = contents(&world.dir());
    let error = Database::open(world.dir()).expect_err("foreign");
    assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
    assert_eq!(contents(&world.dir()), before);
}

#[test]
fn a_missing_identity_is_damage_never_an_empty_database() {
    let world = World::new();
    world.open(World::small()).close().expect("closed");
    fs::remove_file(world.dir().join("NODEDB")).expect("removed");
    let error = Database::open(world.dir()).expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(world.dir().join("wal").exists());
}

#[test]
fn an_interrupted_creation_is_swept_and_done_again() {
    let world = World::new();
    world.open(World::small()).close().expect("closed");
    // As a kill right before the identity was written leaves it.
    fs::remove_file(world.dir().join("NODEDB")).expect("removed");
    fs::write(world.dir().join("CREATING"), "").expect("written");
    let database = world.open(World::small());
    assert!(database.collections().expect("listed").is_empty());
}

#[test]
fn every_flipped_bit_of_the_identity_is_found() {
    let world = World::new();
    world.open(World::small()).close().expect("closed");
    let path = world.dir().join("NODEDB");
    let sound = fs::read(&path).expect("read");
    for bit in 0..sound.len() * 8 {
        let mut damaged = sound.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &damaged).expect("written");
        let error = Database::open(world.dir()).expect_err("damaged");
        let kind = error.kind();
        assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::UnsupportedFormat), "{error}");
    }
    fs::write(&path, sound).expect("written");
    world.reopen().close().expect("sound again");
}

#[test]
fn closed_handles_say_so() {
    let world = World::new();
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("notes")).expect("created");
    let notes = database.collection("notes").expect("found");
    database.close().expect("closed");
    database.close().expect("closing twice does nothing");
    let error = notes.get("a").expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(database.status().expect_err("closed").kind(), ErrorKind::Closed);
}

#[test]
fn a_missing_database_is_not_created_when_nothing_may_be() {
    let world = World::new();
    let error = Database::open_with(world.dir(), World::options(None)).expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!world.dir().exists());
}

#[test]
fn the_number_of_cores_may_change_at_every_open() {
    let world = World::new();
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("notes")).expect("created");
    let notes = database.collection("notes").expect("found");
    for key in 0..50 {
        notes.put(key.to_string(), &key).expect("put");
    }
    drop((notes, database));
    for cores in [1, 4, 3] {
        let options = nodedb::OpenOptions { cores: Some(cores), ..World::options(None) };
        let database = Database::open_with(world.dir(), options).expect("opened");
        let notes = database.collection("notes").expect("found");
        assert_eq!(database.collections().expect("listed")[0].documents, 50);
        notes.put("last", &cores).expect("put");
        notes.delete("last", nodedb::WriteOptions::default()).expect("deleted");
    }
}

/// D-45: a catalog of several rows was written one by one, and a restart after the first refused to boot. Here a
/// collection with all that belongs to it is one group of the log.
#[test]
fn a_collection_that_was_just_created_is_there_after_a_crash() {
    let world = World::new();
    let database = world.open(World::small());
    let tenant = database.tenant(Some("acme")).expect("a tenant");
    let new = NewCollection::named("notes").with_vector("embedding", 2, nodedb::Metric::Cosine);
    tenant.create_collection(new.with_index(nodedb::NewIndex::field("lang"))).expect("created");
    copy(&world.dir(), &world.path("crashed"));
    let crashed = Database::open_with(world.path("crashed"), World::options(None)).expect("opened");
    let tenant = crashed.tenant(Some("acme")).expect("a tenant");
    let collections = tenant.collections().expect("listed");
    assert_eq!((collections.len(), collections[0].indexes.len()), (1, 2), "{collections:?}");
    let notes = tenant.collection("notes").expect("found");
    notes.put("a", &serde_json::json!({"lang": "en", "embedding": [1, 0]})).expect("put");
}

/// D-32: the log and the memory of one key have one order, whoever writes it at the same time: recovery ends with
/// the same winner.
#[test]
fn the_last_of_concurrent_writers_of_a_key_is_the_last_after_a_crash_too() {
    let world = World::new();
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("notes")).expect("created");
    let notes = database.collection("notes").expect("found");
    let writers = [0, 1, 2, 3].map(|writer| {
        let notes = notes.clone();
        std::thread::spawn(move || {
            let put = |round: u32| notes.put("key", &(writer * 1000 + round)).expect("put").version;
            (0..100).map(put).max_by_key(|version| version.stamp().lsn)
        })
    });
    let last = writers.into_iter().filter_map(|writer| writer.join().expect("no panic"));
    let last = last.max_by_key(|version| version.stamp().lsn).expect("written");
    let winner = notes.get("key").expect("read").expect("there");
    assert_eq!(winner.version, last);
    copy(&world.dir(), &world.path("crashed"));
    let crashed = Database::open_with(world.path("crashed"), World::options(None)).expect("opened");
    let found = crashed.collection("notes").expect("found").get("key").expect("read");
    let found = found.expect("there");
    assert_eq!((found.version, found.value), (winner.version, winner.value));
}
