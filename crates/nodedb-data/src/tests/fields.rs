//! Field indexes: entries of every write, unique values, plans of filters.

use super::world::{World, delete, options, put, vshard};
use crate::{BuildSlice, Change, DataError, DataOptions, Op, Outcome, Page, Scan, Write};
use bytes::Bytes;
use nodedb_document::{Filter, index::field_values};
use nodedb_engine::{CatalogChange, Collection, CollectionKind, FieldIndex, Index, IndexState};
use nodedb_types::{CollectionId, ErrorKind, IndexId, Lsn, Name, TenantId};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const PEOPLE: CollectionId = CollectionId::new(3);

fn index(id: u32, path: &str, unique: bool) -> FieldIndex {
    FieldIndex { id: IndexId::new(id), path: path.to_owned(), unique, state: IndexState::Ready }
}

fn indexes() -> Vec<FieldIndex> {
    vec![index(2, "email", true), index(3, "age", false)]
}

fn create(world: &World, fields: Vec<FieldIndex>) {
    world.change_catalog(&CatalogChange::CreateCollection(Collection {
        id: PEOPLE,
        tenant: TenantId::DEFAULT,
        name: Name::new("people").expect("a good name"),
        kind: CollectionKind::Document,
        partitions: 1,
        vectors: Vec::new(),
        fields,
    }));
}

fn people() -> World {
    let world = World::new(1, options(1));
    create(&world, indexes());
    world
}

fn person(key: &str, document: &str) -> Write {
    let fields = field_values(&indexes(), document.as_bytes()).expect("a document");
    let (key, value) = (key.to_owned().into(), Bytes::copy_from_slice(document.as_bytes()));
    let change = Change::Put { key, value, expires: None, vectors: Vec::new(), fields };
    Write { collection: PEOPLE, change, ..put("", "") }
}

fn mail(key: &str, email: &str) -> Write {
    person(key, &format!(r#"{{"email":"{email}","age":1}}"#))
}

fn remove(key: &str) -> Write {
    Write { collection: PEOPLE, ..delete(key) }
}

/// The keys that a filter matches, over all pages.
fn found_at(world: &World, filter: &str, snapshot: Lsn) -> String {
    let filter = Some(Arc::new(Filter::parse(filter).expect("a filter")));
    let mut scan = Scan { filter, rows: 3, ..Scan::all(PEOPLE, snapshot) };
    let mut found = Vec::new();
    loop {
        let Ok(Outcome::Page(Page { rows, next })) = world.ask(vshard(0), Op::Scan(scan.clone()))
        else {
            panic!("a page");
        };
        found.extend(rows.iter().map(|row| String::from_utf8_lossy(&row.key).into_owned()));
        match next {
            Some(next) => scan.after = Some(next),
            None => return found.join(" "),
        }
    }
}

fn found(world: &World, filter: &str) -> String {
    found_at(world, filter, world.wal.durable().expect("durable"))
}

fn write(world: &World, write: Write) -> Result<(), DataError> {
    world.ask(vshard(0), Op::Write(write)).map(drop)
}

fn batch(world: &World, writes: Vec<Write>) -> Result<(), DataError> {
    world.send_group(vec![(0, writes)]).wait().expect("an answer").map(drop)
}

/// The key that holds the value already.
fn refused(result: Result<(), DataError>) -> String {
    let error = result.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let DataError::NotUnique { path, key } = error else { panic!("{error}") };
    assert_eq!(path, "email");
    String::from_utf8_lossy(&key).into_owned()
}

#[test]
fn a_document_is_found_by_its_newest_values_only() {
    let world = people();
    write(&world, person("a", r#"{"email":"x","age":30}"#)).expect("written");
    let before = world.wal.durable().expect("durable");
    let snapshot =
        world.data.snapshot_for_scan(world.deadline()).expect("open").expect("a snapshot");
    write(&world, person("a", r#"{"email":"x","age":31}"#)).expect("written");
    write(&world, person("b", r#"{"age":30}"#)).expect("written");
    assert_eq!(found(&world, "age = 30"), "b");
    assert_eq!(found(&world, "age >= 30"), "a b");
    assert_eq!(found_at(&world, "age = 30", before), "a");
    drop(snapshot);
    write(&world, remove("a")).expect("deleted");
    world.flush(0).expect("flushed");
    assert_eq!(found(&world, "age >= 30 OR email = 'x'"), "b");
    let world = world.kill(1);
    assert_eq!(found(&world, "age >= 30"), "b");
}

/// One that does not, of a caller with another catalog, gets what its value has (decision 0006).
#[test]
fn a_put_names_each_index_once() {
    let world = people();
    let with = |fields| {
        let mut write = mail("a", "x");
        if let Change::Put { fields: named, .. } = &mut write.change {
            *named = fields;
        }
        write
    };
    let values = field_values(&indexes(), br#"{"email":"x"}"#).expect("a document");
    let foreign = field_values(&[index(9, "z", false)], b"{}").expect("a document");
    for fields in [
        Vec::new(),
        values[..1].to_vec(),
        [&values[..], &values[..1]].concat(),
        [&values[..], &foreign].concat(),
        [&values[..1], &foreign].concat(),
    ] {
        write(&world, with(fields)).expect("completed");
        assert_eq!(found(&world, "email = 'x'"), "a");
        write(&world, remove("a")).expect("deleted");
        assert_eq!(found(&world, "email = 'x'"), "");
    }
    let reversed = values.into_iter().rev().collect();
    write(&world, with(reversed)).expect("written");
    assert_eq!(found(&world, "email = 'x'"), "a");
}

#[test]
fn a_unique_value_belongs_to_one_document() {
    let world = people();
    write(&world, mail("a", "x")).expect("written");
    assert_eq!(refused(write(&world, mail("b", "x"))), "a");
    // Over itself, with the same value and with another one.
    write(&world, mail("a", "x")).expect("written");
    write(&world, mail("a", "y")).expect("written");
    write(&world, mail("b", "x")).expect("written");
    // Nothing is unique about nothing.
    for key in ["c", "d"] {
        write(&world, person(key, r#"{"email":null}"#)).expect("written");
    }
    write(&world, remove("a")).expect("deleted");
    write(&world, mail("c", "y")).expect("written");
    assert_eq!(found(&world, "email = 'y'"), "c");
}

#[test]
fn a_batch_is_judged_by_the_state_that_it_leaves() {
    let world = people();
    assert_eq!(refused(batch(&world, vec![mail("a", "x"), mail("b", "x")])), "a");
    assert_eq!(found(&world, "age = 1"), "");
    batch(&world, vec![mail("a", "x"), mail("b", "y")]).expect("written");
    batch(&world, vec![mail("a", "y"), mail("b", "x")]).expect("exchanged");
    assert_eq!(found(&world, "email = 'y'"), "a");
    batch(&world, vec![remove("a"), mail("c", "y")]).expect("written");
    assert_eq!(found(&world, "email = 'y'"), "c");
    // One that keeps its value takes part in the batch, too.
    assert_eq!(refused(batch(&world, vec![mail("b", "x"), mail("d", "x")])), "b");
    assert_eq!(refused(batch(&world, vec![mail("d", "y"), mail("b", "z")])), "c");
    // The same key twice: what counts is the last.
    batch(&world, vec![mail("d", "y"), mail("d", "w")]).expect("written");
    assert_eq!(found(&world, "email >= ''"), "b c d");
}

/// An index that is complete from a record on has no entry of what an older snapshot shows.
#[test]
fn a_snapshot_from_before_an_index_does_not_use_it() {
    let world = World::new(1, options(1));
    create(&world, Vec::new());
    let bare = |key: &str| {
        let mut write = mail(key, "x");
        if let Change::Put { fields, .. } = &mut write.change {
            fields.clear();
        }
        write
    };
    write(&world, bare("a")).expect("written");
    let old = world.data.snapshot_for_scan(world.deadline()).expect("open").expect("a snapshot");
    write(&world, remove("a")).expect("deleted");
    for index in indexes() {
        let index = Index::Field(index);
        world.change_catalog(&CatalogChange::CreateIndex { collection: PEOPLE, index });
    }
    write(&world, mail("b", "x")).expect("written");
    assert_eq!(found_at(&world, "email = 'x'", old.lsn()), "a");
    assert_eq!(found(&world, "email = 'x'"), "b");
}

#[test]
fn counts_and_explanations_use_the_indexes() {
    let world = people();
    for n in 0..300 {
        write(&world, person(&format!("{n:03}"), &format!(r#"{{"age":{n}}}"#))).expect("written");
    }
    let filter = |text| Arc::new(Filter::parse(text).expect("a filter"));
    let snapshot = world.wal.durable().expect("durable");
    let count = |text| {
        let filter = Some(filter(text));
        let op = Op::Count { collection: PEOPLE, filter, snapshot, now_ms: 0 };
        match world.ask(vshard(0), op) {
            Ok(Outcome::Count(count)) => count,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(count("age < 100"), 100);
    assert_eq!(count("age < 100 AND email IS NULL"), 100);
    assert_eq!(count("email IS NULL"), 300);
    let explain = |text| {
        let filter = filter(text);
        match world.ask(vshard(0), Op::Explain { collection: PEOPLE, filter }) {
            Ok(Outcome::Explained(explain)) => (explain.access, explain.range),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(explain("age < 100"), ("index", Some("age < 100".to_owned())));
    assert_eq!(explain("email IS NULL"), ("scan", None));
}

/// A small generator, so that a failing run can be repeated by its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// Email and age.
type Person = (Option<u64>, u64);
type Model = BTreeMap<String, Person>;

/// A random write, done to the model as well.
fn step(chance: &mut Chance, model: &mut Model) -> Write {
    let key = format!("k{}", chance.below(8));
    if chance.below(4) == 0 {
        model.remove(&key);
        return remove(&key);
    }
    let (email, age) = (Some(chance.below(6)).filter(|email| *email > 0), chance.below(4));
    model.insert(key.clone(), (email, age));
    let email = email.map_or("null".to_owned(), |email| format!("\"m{email}\""));
    person(&key, &format!(r#"{{"email":{email},"age":{age}}}"#))
}

fn is_unique(model: &Model) -> bool {
    let mut emails: Vec<_> = model.values().filter_map(|(email, _)| *email).collect();
    let all = emails.len();
    emails.sort_unstable();
    emails.dedup();
    emails.len() == all
}

fn check(world: &World, model: &Model, seed: u64) {
    let keys = |wanted: &dyn Fn(&Person) -> bool| {
        let keys = model.iter().filter(|(_, person)| wanted(person)).map(|(key, _)| &**key);
        keys.collect::<Vec<_>>().join(" ")
    };
    for n in 1..6 {
        let expected = keys(&|(email, _)| *email == Some(n));
        assert_eq!(found(world, &format!("email = 'm{n}'")), expected, "seed {seed}");
        let expected = keys(&|(_, age)| *age >= n);
        assert_eq!(found(world, &format!("age >= {n}")), expected, "seed {seed}");
        let expected = keys(&|(email, age)| *email == Some(n) || *age == n);
        let filter = format!("email = 'm{n}' OR age = {n}");
        assert_eq!(found(world, &filter), expected, "seed {seed}");
    }
}

#[test]
fn batches_with_unique_values_equal_the_model() {
    for seed in 1..4 {
        let mut chance = Chance(seed);
        let mut model = Model::new();
        let memtable = DataOptions { memtable_bytes: 8 << 10, ..options(1) };
        let mut world = World::new(1, memtable);
        create(&world, indexes());
        let mut refusals = 0;
        for _ in 0..2 {
            for round in 0..250 {
                let mut next = model.clone();
                let count = chance.below(4) + 1;
                let writes: Vec<_> = (0..count).map(|_| step(&mut chance, &mut next)).collect();
                let result = match <[Write; 1]>::try_from(writes) {
                    Ok([alone]) => write(&world, alone),
                    Err(writes) => batch(&world, writes),
                };
                if is_unique(&next) {
                    result.expect("every value has one document");
                    model = next;
                } else {
                    refused(result);
                    refusals += 1;
                }
                if round % 25 == 0 {
                    check(&world, &model, seed);
                }
                if chance.below(40) == 0 {
                    world.flush(0).expect("flushed");
                }
            }
            world = world.kill(1);
            check(&world, &model, seed);
        }
        assert!(refusals > 50, "the seed makes conflicts: {refusals}");
    }
}

fn until(mut write: Write, time: u64) -> Write {
    if let Change::Put { expires, .. } = &mut write.change {
        *expires = Some(time);
    }
    write
}

/// An expired document is hidden at once, while its delete is logged when the sweeper gets to it, or not
/// at all while the sweeper halts: until then its value must not be held against others.
#[test]
fn an_expired_document_holds_no_unique_value() {
    let world = people();
    let soon = world.data.commit_ms() + 400;
    write(&world, until(mail("a", "x"), soon)).expect("written");
    write(&world, until(mail("b", "y"), soon)).expect("written");
    // A sweeper that halts at once.
    let strict = DataOptions { clock_jump_max: Duration::ZERO, ..options(1) };
    let world = World::open(world.die(), 1, strict, Vec::new()).expect("opens");
    let deadline = world.deadline();
    while !found(&world, "email >= ''").is_empty() {
        assert!(world.env.clock.now() < deadline, "time goes on");
    }
    batch(&world, vec![mail("c", "x"), mail("d", "w")]).expect("written");
    write(&world, mail("e", "y")).expect("written");
    assert_eq!(refused(write(&world, mail("f", "x"))), "c");
    assert_eq!(found(&world, "email >= ''"), "c d e");
    let world = world.kill(1);
    assert_eq!(found(&world, "email >= ''"), "c d e");
    assert_eq!(refused(write(&world, mail("f", "y"))), "e");
}

/// A world of people whose sweeper halts as soon as there is something to sweep: any time between the last
/// write and this open is more than its limit allows.
fn without_sweeper(world: World) -> World {
    let strict = DataOptions { clock_jump_max: Duration::ZERO, ..options(1) };
    World::open(world.die(), 1, strict, Vec::new()).expect("opens")
}

#[test]
fn a_put_over_an_expired_document_takes_its_entries_along() {
    let world = people();
    write(&world, mail("other", "o")).expect("written");
    let past = world.data.commit_ms();
    let world = without_sweeper(world);
    for flushed in [false, true] {
        write(&world, until(mail("a", "x"), past)).expect("written");
        write(&world, until(mail("b", "y"), past)).expect("written");
        if flushed {
            world.flush(0).expect("flushed");
        }
        // By an index, by a look at every document, and counted.
        for filter in
            ["email = 'x'", "email IS NOT NULL AND email <> 'o'", "age = 1 AND email <> 'o'"]
        {
            assert_eq!(found(&world, filter), "", "{filter}");
        }
        write(&world, mail("a", "z")).expect("written");
        write(&world, mail("c", "x")).expect("free");
        assert_eq!(found(&world, "email = 'x'"), "c");
        assert_eq!(found(&world, "email >= ''"), "a c other");
        batch(&world, vec![mail("b", "z"), mail("a", "y")]).expect("exchanged");
        assert_eq!(found(&world, "email = 'y' OR email = 'z'"), "a b");
        batch(&world, vec![remove("a"), remove("b"), remove("c")]).expect("deleted");
        assert_eq!(found(&world, "email >= ''"), "other");
    }
    let world = world.kill(1);
    assert_eq!(found(&world, "email >= ''"), "other");
    for key in ["d", "e", "f"] {
        write(&world, mail(key, key)).expect("every value is free");
    }
}

/// An expired document that the sweeper has not got to made the build of a unique index fail, and the
/// index was dropped for a document that nobody can see.
#[test]
fn a_unique_index_is_built_past_expired_documents() {
    let world = World::new(1, options(1));
    create(&world, Vec::new());
    write(&world, mail("b", "x")).expect("written");
    let past = world.data.commit_ms();
    let world = without_sweeper(world);
    let email = FieldIndex { state: IndexState::Building, ..index(2, "email", true) };
    let id = email.id;
    let index = Index::Field(email);
    world.change_catalog(&CatalogChange::CreateIndex { collection: PEOPLE, index });
    write(&world, until(mail("a", "x"), past)).expect("written");
    let slice = BuildSlice { collection: PEOPLE, index: id, after: None };
    let built = world.ask(vshard(0), Op::BuildIndex(slice)).expect("built past the expired one");
    assert!(matches!(built, Outcome::Built(built) if built.documents == 1 && built.next.is_none()));
    world.change_catalog(&CatalogChange::IndexReady { collection: PEOPLE, index: id });
    assert_eq!(found(&world, "email = 'x'"), "b");
    assert_eq!(refused(write(&world, mail("c", "x"))), "b");
    write(&world, mail("a", "y")).expect("written");
    assert_eq!(found(&world, "email >= ''"), "a b");
}

#[test]
fn the_delete_of_an_expired_document_takes_its_entries_along() {
    let world = people();
    let past = world.data.commit_ms();
    write(&world, until(mail("a", "x"), past)).expect("written");
    for _ in 0..2 {
        // The sweeper goes to work at the end of a turn.
        world.status(0);
    }
    assert_eq!(found(&world, "email = 'x'"), "");
    write(&world, mail("a", "y")).expect("written");
    assert_eq!(found(&world, "email >= ''"), "a");
}
