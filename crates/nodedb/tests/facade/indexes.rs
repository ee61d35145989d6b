//! Indexes that come and go while others write.

use crate::world::{World, copy};
use nodedb::{
    BatchOp, Collection, Database, ErrorKind, ImportOptions, IndexKind, IndexState, Metric,
    NewCollection, NewIndex, ScanOptions, SearchOptions, WriteOptions,
};
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

fn index() -> NewIndex {
    NewIndex::vector("v", 2, Metric::L2)
}

fn notes(world: &World) -> (Database, Collection) {
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("notes")).expect("created");
    let notes = database.collection("notes").expect("found");
    (database, notes)
}

fn json(number: u32) -> String {
    format!("{{\"v\":[{number},0],\"n\":{number}}}")
}

/// What a vector index over `v` finds: every key once, with the number in its document, which must be
/// what the distance says.
fn found(notes: &Collection) -> BTreeMap<Vec<u8>, u64> {
    let all = SearchOptions::vector("v", vec![0.0, 0.0]).with_k(10_000);
    let hits = notes.search(all).expect("found");
    let mut found = BTreeMap::new();
    for hit in hits {
        let value: serde_json::Value = hit.document.parse().expect("JSON");
        let number = value["n"].as_u64().expect("a number");
        let distance = f64::from(hit.distance).sqrt();
        assert!(
            (distance - value["v"][0].as_f64().expect("one")).abs() < 0.5,
            "{distance} {value}"
        );
        assert_eq!(found.insert(hit.document.key.to_vec(), number), None, "a key is found once");
    }
    found
}

fn stored(notes: &Collection) -> BTreeMap<Vec<u8>, u64> {
    let rows = notes.scan(ScanOptions::default()).expect("a scan");
    let row = |row: Result<nodedb::Document, nodedb::Error>| {
        let row = row.expect("a row");
        let value: serde_json::Value = row.parse().expect("JSON");
        (row.key.to_vec(), value["n"].as_u64().expect("a number"))
    };
    rows.map(row).collect()
}

#[test]
fn an_index_added_to_a_filled_collection_finds_everything_also_after_a_reopen() {
    let world = World::new();
    let (database, notes) = notes(&world);
    for number in 0..300_u32 {
        notes
            .put_raw(number.to_string(), json(number).as_bytes(), WriteOptions::default())
            .expect("put");
    }
    let mut last = 0;
    let added = notes
        .add_index_with(index(), &mut |now| {
            last = now.documents;
            ControlFlow::Continue(())
        })
        .expect("added");
    assert_eq!((last, added.state), (300, IndexState::Ready));
    assert_eq!(found(&notes), stored(&notes));
    assert_eq!(found(&notes).len(), 300);
    let twice = notes.add_index(index()).expect_err("there");
    assert_eq!(twice.kind(), ErrorKind::AlreadyExists);
    database.close().expect("closed");
    let database = world.reopen();
    let notes = database.collection("notes").expect("found");
    assert_eq!(notes.indexes().expect("open"), [added]);
    assert_eq!(found(&notes), stored(&notes));
    notes.drop_index("v").expect("dropped");
    assert_eq!(notes.drop_index("v").expect_err("gone").kind(), ErrorKind::NotFound);
    let search = notes.search(SearchOptions::vector("v", vec![0.0, 0.0]));
    assert_eq!(search.expect_err("gone").kind(), ErrorKind::NotFound);
    notes.put_raw("bare", b"{\"v\":\"no vector\"}", WriteOptions::default()).expect("put");
    let refused = notes.add_index(index()).expect_err("no vector");
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("`bare`"), "{refused}");
    assert_eq!(notes.indexes().expect("open"), []);
    notes.put_raw("bare", b"{\"v\":7}", WriteOptions::default()).expect("no index checks it");
}

/// What a kill in the middle of a build leaves, as a copy of the directory shows it.
#[test]
fn a_half_built_index_is_completed_at_the_next_open() {
    let world = World::new();
    let (database, notes) = notes(&world);
    for number in 0..300_u32 {
        let json = json(number);
        notes.put_raw(number.to_string(), json.as_bytes(), WriteOptions::default()).expect("put");
    }
    notes
        .add_index_with(index(), &mut |_| {
            copy(&world.dir(), &world.path("killed"));
            ControlFlow::Continue(())
        })
        .expect("added");
    let expected = stored(&notes);
    database.close().expect("closed");
    let database = Database::open_with(world.path("killed"), World::options(None)).expect("opened");
    let notes = database.collection("notes").expect("found");
    while notes.indexes().expect("open")[0].state == IndexState::Building {
        thread::yield_now();
    }
    assert_eq!(found(&notes), expected);
    assert_eq!(database.status().expect("a status").health.name(), "Ok");
}

/// A copy of a database that was killed while it built an index that one document does not fit.
fn killed_in_a_build_that_must_fail(world: &World) -> (Database, Collection) {
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("notes").with_partitions(1)).expect("created");
    let notes = database.collection("notes").expect("found");
    let line =
        |number: u32| format!("{{\"id\":\"{number:04}\",\"v\":[{number},0],\"n\":{number}}}\n");
    let lines: String = (0..1_200).map(line).collect();
    let options = ImportOptions::keyed_by("id");
    notes.import(lines.as_bytes(), &options, &mut |_| {}).expect("imported");
    let wrong = br#"{"v":"no vector","n":7}"#;
    notes.put_raw("zzz", wrong, WriteOptions::default()).expect("no index checks it");
    let mut copied = false;
    let refused = notes.add_index_with(index(), &mut |_| {
        if !copied {
            copy(&world.dir(), &world.path("killed"));
            copied = true;
        }
        ControlFlow::Continue(())
    });
    assert_eq!(refused.expect_err("one does not fit").kind(), ErrorKind::InvalidInput);
    assert!(copied, "the build took more than one slice");
    database.close().expect("closed");
    let database = Database::open_with(world.path("killed"), World::options(None)).expect("opened");
    let notes = database.collection("notes").expect("found");
    while notes.indexes().expect("open")[0].failure.is_none() {
        thread::yield_now();
    }
    (database, notes)
}

/// The building at an open has no caller to tell. What it cannot complete was dropped with nothing but a
/// line in a log that is off by default.
#[test]
fn a_build_that_fails_at_open_is_shown_and_completed_once_the_document_is_mended() {
    let world = World::new();
    let (database, notes) = killed_in_a_build_that_must_fail(&world);
    let [shown] = &*notes.indexes().expect("open") else { panic!("one index") };
    assert_eq!(shown.state, IndexState::Building);
    assert!(shown.failure.as_ref().is_some_and(|why| why.contains("`zzz`")), "{shown:?}");
    assert_eq!(database.collections().expect("listed")[0].indexes[0], *shown);
    let health = database.status().expect("a status").health;
    let [reason] = health.reasons() else { panic!("one reason: {health:?}") };
    for part in ["`v`", "`notes`", "`zzz`", "drop the index"] {
        assert!(reason.contains(part), "{reason}");
    }
    let search = notes.search(SearchOptions::vector("v", vec![0.0, 0.0]));
    assert_eq!(search.expect_err("half of it").kind(), ErrorKind::Busy);
    notes.put_raw("zzz", json(7).as_bytes(), WriteOptions::default()).expect("mended");
    while notes.indexes().expect("open")[0].state == IndexState::Building {
        thread::yield_now();
    }
    assert_eq!(found(&notes), stored(&notes));
    while database.status().expect("a status").health.name() != "Ok" {
        thread::yield_now();
    }
    assert_eq!(notes.indexes().expect("open")[0].failure, None);
}

#[test]
fn a_build_that_fails_at_open_may_be_dropped() {
    let world = World::new();
    let (database, notes) = killed_in_a_build_that_must_fail(&world);
    notes.drop_index("v").expect("dropped");
    assert_eq!(notes.indexes().expect("open"), []);
    assert_eq!(database.status().expect("a status").health.name(), "Ok");
    notes.add_index(NewIndex::field("n")).expect("another");
    database.close().expect("closed");
}

#[test]
fn an_index_that_is_given_up_leaves_nothing() {
    let world = World::new();
    let (_database, notes) = notes(&world);
    notes.put_raw("a", json(1).as_bytes(), WriteOptions::default()).expect("put");
    let given_up = notes.add_index_with(index(), &mut |_| ControlFlow::Break(()));
    assert_eq!(given_up.expect_err("given up").kind(), ErrorKind::Closed);
    assert_eq!(notes.indexes().expect("open"), []);
    notes.add_index(index()).expect("from the start");
    assert_eq!(found(&notes), stored(&notes));
}

/// Searches and a second drop while an index is half-built: the index is taken away from under its
/// build, which says so.
#[test]
fn a_half_built_index_is_not_searched_and_may_be_dropped() {
    let world = World::new();
    let (database, notes) = notes(&world);
    notes.put_raw("a", json(1).as_bytes(), WriteOptions::default()).expect("put");
    let other = database.collection("notes").expect("found");
    let dropped = notes.add_index_with(index(), &mut |_| {
        assert_eq!(other.indexes().expect("open")[0].state, IndexState::Building);
        let search = other.search(SearchOptions::vector("v", vec![0.0, 0.0]));
        assert_eq!(search.expect_err("half of it").kind(), ErrorKind::Busy);
        other.drop_index("v").expect("dropped");
        ControlFlow::Continue(())
    });
    assert_eq!(dropped.expect_err("dropped").kind(), ErrorKind::NotFound);
    assert_eq!(notes.indexes().expect("open"), []);
}

/// Writers of a collection whose indexes come and go.
struct Writers {
    database: Database,
    notes: Collection,
    stop: AtomicBool,
}

impl Writers {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn put_one_by_one(&self) {
        for number in (0..20_000_u32).take_while(|_| !self.stopped()) {
            let (key, json) = (format!("blocking{}", number % 40), json(number % 1000));
            self.notes.put_raw(key, json.as_bytes(), WriteOptions::default()).expect("put");
        }
    }

    /// Two values of a key are under way at a time: the second must win.
    fn put_ahead(&self) {
        for number in (0..20_000_u32).take_while(|_| !self.stopped()) {
            let key = format!("ahead{}", number % 40);
            let (first, second) = (json(number % 1000), json(number % 1000 + 1));
            let options = WriteOptions::default();
            let first = self.notes.put_async(&key, first.as_bytes(), options).expect("begun");
            let second = self.notes.put_async(&key, second.as_bytes(), options).expect("begun");
            let answers = [first.wait(), second.wait()];
            let busy = |answer: &Result<_, nodedb::Error>| {
                answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Busy)
            };
            if answers.iter().any(busy) {
                // Nothing was done of it, and this caller knows which value comes last.
                let second = json(number % 1000 + 1);
                self.notes.put_raw(&key, second.as_bytes(), options).expect("put");
            } else {
                for answer in answers {
                    let _written = answer.expect("put");
                }
            }
            let value = self.notes.get(&key).expect("read").expect("there");
            let value: serde_json::Value = value.parse().expect("JSON");
            assert_eq!(value["n"], number % 1000 + 1, "the later put of a key wins");
        }
    }

    fn put_batches(&self) {
        for number in (0..20_000_u32).take_while(|_| !self.stopped()) {
            let put = |step: u32| BatchOp::Put {
                collection: "notes".to_owned(),
                key: format!("batch{}", (number + step * 7) % 40).into_bytes(),
                value: json(number % 1000).into_bytes(),
                expect: None,
            };
            self.database.batch(&[put(0), put(1), put(2)]).expect("written");
        }
    }

    fn import(&self) {
        for round in (0..2000_u32).take_while(|_| !self.stopped()) {
            let line = |number: u32| {
                format!("{{\"id\":\"i{}\",\"v\":[{number},0],\"n\":{number}}}\n", number % 150)
            };
            let lines: String = (round..round + 200).map(line).collect();
            let options = ImportOptions::keyed_by("id");
            self.notes.import(lines.as_bytes(), &options, &mut |_| {}).expect("imported");
        }
    }
}

/// Handles, batches, imports and futures whose catalog is older than the cores' are none the wiser, and
/// every document ends up in every index exactly once, as it is now.
#[test]
fn writes_of_every_kind_go_on_while_indexes_come_and_go() {
    let world = World::new();
    let (database, notes) = notes(&world);
    let stop = AtomicBool::new(false);
    let writers = Writers { database: database.clone(), notes: notes.clone(), stop };
    thread::scope(|scope| {
        scope.spawn(|| writers.put_one_by_one());
        scope.spawn(|| writers.put_ahead());
        scope.spawn(|| writers.put_batches());
        scope.spawn(|| writers.import());
        for _ in 0..8 {
            notes.add_index(index()).expect("added");
            notes.add_index(NewIndex::vector("none", 3, Metric::Dot)).expect("added");
            notes.drop_index("none").expect("dropped");
            notes.add_index(NewIndex::field("n")).expect("added");
            notes.drop_index("n").expect("dropped");
            notes.drop_index("v").expect("dropped");
        }
        notes.add_index(index()).expect("added");
        notes.add_index(NewIndex::field("n")).expect("added");
        writers.stop.store(true, Ordering::SeqCst);
    });
    drop(writers);
    let expected = stored(&notes);
    assert!(expected.len() >= 80, "{}", expected.len());
    assert_eq!(found(&notes), expected);
    check_field_index(&notes, &expected);
    drop(notes);
    database.close().expect("closed");
    let database = world.reopen();
    let notes = database.collection("notes").expect("found");
    assert_eq!(found(&notes), expected);
    check_field_index(&notes, &expected);
}

/// An index over `n` finds what the documents say, each once.
fn check_field_index(notes: &Collection, stored: &BTreeMap<Vec<u8>, u64>) {
    for number in stored.values().step_by(stored.len() / 10 + 1) {
        let filter = format!("n = {number}");
        assert_eq!(notes.explain(&filter).expect("explained").access, "index");
        let options = ScanOptions { filter: Some(filter), ..ScanOptions::default() };
        let rows = notes.scan(options).expect("a scan");
        let rows: Vec<_> = rows.map(|row| row.expect("a row").key.to_vec()).collect();
        let expected = stored.iter().filter(|(_, other)| *other == number);
        assert_eq!(rows, expected.map(|(key, _)| key.clone()).collect::<Vec<_>>());
    }
}

#[test]
fn a_unique_index_is_built_or_names_who_has_a_value_twice() {
    let world = World::new();
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("spread")).expect("created");
    let spread = database.collection("spread").expect("found");
    let refused = spread.add_index(NewIndex::unique("mail")).expect_err("several partitions");
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let users = NewCollection::named("users").with_partitions(1);
    database.create_collection(users).expect("created");
    let users = database.collection("users").expect("found");
    let put = |key: u32, mail: u32| {
        let json = format!("{{\"mail\":\"{mail}@example.org\"}}");
        users.put_raw(key.to_string(), json.as_bytes(), WriteOptions::default())
    };
    for key in 0..1500 {
        put(key, key % 1400).expect("put");
    }
    let refused = users.add_index(NewIndex::unique("mail")).expect_err("some twice");
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(users.indexes().expect("open"), []);
    for key in 1400..1500 {
        put(key, key).expect("put");
    }
    let added = users.add_index(NewIndex::unique("mail")).expect("each once");
    assert_eq!(added.kind, IndexKind::Field { unique: true });
    let refused = put(1, 2).expect_err("taken");
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert!(refused.to_string().contains("`2`"), "{refused}");
    put(2, 5000).expect("free");
    put(1, 2).expect("free now");
}

#[test]
fn indexes_of_a_new_collection_are_ready_at_once() {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("c").with_index(index()).with_index(NewIndex::field("a.b"));
    let made = database.create_collection(new).expect("created");
    assert!(made.indexes.iter().all(|index| index.state == IndexState::Ready));
    let collection = database.collection("c").expect("found");
    for number in 0..20_u32 {
        let json = serde_json::json!({"v": [number, 0], "a": {"b": number % 5}});
        collection.put(number.to_string(), &json).expect("put");
    }
    let hybrid = SearchOptions::vector("v", vec![11.0, 0.0]).with_k(2).with_filter("a.b = 3");
    let hits = collection.search(hybrid).expect("hits");
    let keys: Vec<_> = hits.iter().map(|hit| hit.document.key.clone()).collect();
    assert_eq!(keys, ["13", "8"]);
    for wrong in ["", "a..b", ".a"] {
        let error = collection.add_index(NewIndex::field(wrong)).expect_err("no path");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
    }
}

#[test]
fn counts_and_explanations_agree_with_scans() {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("c").with_index(NewIndex::field("n"));
    database.create_collection(new).expect("created");
    let collection = database.collection("c").expect("found");
    assert_eq!(collection.count(None).expect("counted"), 0);
    for number in 0..200_u32 {
        let json = serde_json::json!({"n": number, "even": number % 2 == 0});
        collection.put(number.to_string(), &json).expect("put");
    }
    for (filter, access, expected) in [
        ("n < 50", "index", 50),
        ("n < 50 AND even", "index", 25),
        ("n >= 190 OR n = 3", "index", 11),
        ("even", "scan", 100),
        ("n IS NULL", "scan", 0),
        ("n = NULL", "index", 0),
    ] {
        assert_eq!(collection.explain(filter).expect("explained").access, access, "{filter}");
        assert_eq!(collection.count(Some(filter)).expect("counted"), expected, "{filter}");
        let options = ScanOptions { filter: Some(filter.to_owned()), ..ScanOptions::default() };
        let rows = collection.scan(options).expect("a scan").map(|row| row.expect("a row"));
        assert_eq!(rows.count() as u64, expected, "{filter}");
    }
    assert_eq!(collection.count(None).expect("counted"), 200);
    for wrong in ["n <", "f(n)"] {
        let error = collection.count(Some(wrong)).expect_err("no filter");
        assert_eq!(error.kind(), collection.explain(wrong).expect_err("no filter").kind());
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

/// A member behind a nested one whose path was followed early made the put fail.
#[test]
fn indexes_over_nested_and_later_members_take_every_document() {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("c")
        .with_index(NewIndex::field("a.b.c"))
        .with_index(NewIndex::field("d"));
    database.create_collection(new).expect("created");
    let collection = database.collection("c").expect("found");
    let text = br#"{"a":{"b":{"c":1,"x":2},"y":3},"d":4}"#;
    collection.put_raw("k", text, WriteOptions::default()).expect("put");
    for filter in ["d = 4", "a.b.c = 1 AND d = 4", "a.b.c = 1 AND a.y = 3 AND d = 4"] {
        assert_eq!(collection.count(Some(filter)).expect("counted"), 1, "{filter}");
    }
}
