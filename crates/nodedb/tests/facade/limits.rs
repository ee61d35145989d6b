//! Every limit of what callers may send: at the limit it is done, above it is refused before anything is
//! logged. docs/limits.md is the table.

use crate::world::World;
use nodedb::{
    BatchOp, Collection, CollectionKind, CreateOptions, Database, Error, ErrorKind, IdempotencyId,
    ImportOptions, Metric, NewCollection, NewIndex, ScanOptions, SearchOptions, WriteOptions,
    limits,
};
use std::fmt::Debug;

/// With log segments that hold the largest batch.
fn wide(world: &World) -> Database {
    world.open(CreateOptions { vshards: 1, ..CreateOptions::default() })
}

fn collection(database: &Database, name: &str, kind: CollectionKind) -> Collection {
    let new = NewCollection { kind, ..NewCollection::named(name) };
    database.create_collection(new).expect("created");
    database.collection(name).expect("found")
}

fn refused<T: Debug>(database: &Database, call: impl FnOnce() -> Result<T, Error>) {
    let durable = || database.status().expect("a status").durable_lsn;
    let before = durable();
    let error = call().expect_err("above the limit");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert_eq!(durable(), before, "something was logged: {error}");
}

fn put(collection: &str, key: impl Into<Vec<u8>>, value: Vec<u8>) -> BatchOp {
    BatchOp::Put { collection: collection.to_owned(), key: key.into(), value, expect: None }
}

fn name(bytes: usize) -> String {
    "n".repeat(bytes)
}

#[test]
fn names_at_the_limit_are_taken_and_longer_ones_refused() {
    let world = World::new();
    let database = world.open(World::small());
    let (longest, longer) = (name(limits::NAME_BYTES_MAX), name(limits::NAME_BYTES_MAX + 1));
    database.create_collection(NewCollection::named(&longest)).expect("created");
    refused(&database, || database.create_collection(NewCollection::named(&longer)));
    database.restore_point(&longest).expect("named");
    refused(&database, || database.restore_point(&longer));
    let tenant = database.tenant(Some(&longest)).expect("a tenant");
    tenant.create_collection(NewCollection::named("own")).expect("created");
    refused(&database, || database.tenant(Some(&longer)).map(drop));
    for empty in ["", "two words", "a/b"] {
        refused(&database, || database.create_collection(NewCollection::named(empty)));
    }
}

#[test]
fn keys_and_values_at_the_limit_come_back_and_larger_ones_are_refused() {
    let world = World::new();
    let database = wide(&world);
    let blobs = collection(&database, "blobs", CollectionKind::Bytes);
    let options = WriteOptions::default();
    let key = vec![b'k'; limits::KEY_BYTES_MAX];
    let value = vec![7; limits::VALUE_BYTES_MAX];
    blobs.put_raw(key.clone(), &value, options).expect("both at the limit");
    let found = blobs.get(key.clone()).expect("read").expect("there");
    assert!(found.value[..] == value[..], "byte for byte");
    refused(&database, || blobs.put_raw([&key[..], b"k"].concat(), b"1", options));
    refused(&database, || blobs.put_raw("k", &[&value[..], &[7]].concat(), options));
    refused(&database, || blobs.put_raw("", b"1", options));
}

#[test]
fn documents_nest_to_the_limit() {
    let world = World::new();
    let database = world.open(World::small());
    let notes = collection(&database, "notes", CollectionKind::Document);
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let put = |levels| notes.put_raw("k", nested(levels).as_bytes(), WriteOptions::default());
    put(limits::NESTING_MAX - 1).expect("at the limit");
    refused(&database, || put(limits::NESTING_MAX));
}

/// The bytes of a batch are those of its log records, so the last value is what is left of them.
#[test]
fn batches_at_the_limit_are_done_and_larger_ones_refused() {
    let world = World::new();
    let database = wide(&world);
    let blobs = collection(&database, "blobs", CollectionKind::Bytes);
    let batch = |ops: Vec<BatchOp>| database.batch(&ops);
    let many = |operations: usize| {
        (0..operations).map(|key| put("blobs", key.to_string(), b"1".to_vec())).collect()
    };
    batch(many(limits::BATCH_OPERATIONS_MAX)).expect("at the limit");
    refused(&database, || batch(many(limits::BATCH_OPERATIONS_MAX + 1)));

    let large = |second: usize| {
        let first = vec![1; limits::VALUE_BYTES_MAX];
        vec![put("blobs", "a", first), put("blobs", "b", vec![2; second])]
    };
    let rest = limits::BATCH_BYTES_MAX - limits::VALUE_BYTES_MAX;
    refused(&database, || batch(large(rest)));
    assert!(blobs.get("a").expect("read").is_none(), "all or nothing");
    // What the heads of the records take is less than that.
    let mut at_most = (rest - 1024, rest);
    while at_most.1 - at_most.0 > 1 {
        let middle = at_most.0.midpoint(at_most.1);
        match batch(large(middle)) {
            Ok(_) => at_most.0 = middle,
            Err(_) => at_most.1 = middle,
        }
    }
    batch(large(at_most.0)).expect("at the limit");
    refused(&database, || batch(large(at_most.1)));
    let found = blobs.get("b").expect("read").expect("there");
    assert_eq!(found.value.len(), at_most.0);
    refused(&database, || batch(vec![]));
}

#[test]
fn idempotency_names_at_the_limit_are_taken_and_longer_ones_refused() {
    let longest = IdempotencyId::new(&name(limits::IDEMPOTENCY_BYTES_MAX)).expect("at the limit");
    let world = World::new();
    let database = world.open(World::small());
    let notes = collection(&database, "notes", CollectionKind::Document);
    let once = WriteOptions { idempotency: Some(longest), ..WriteOptions::default() };
    let first = notes.put_raw("k", b"1", once).expect("put");
    let again = notes.put_raw("k", b"1", once).expect("answered again");
    assert_eq!(first, again);
    for other in [name(limits::IDEMPOTENCY_BYTES_MAX + 1), String::new()] {
        refused(&database, || IdempotencyId::new(&other));
    }
}

#[test]
fn vectors_and_hits_at_the_limit_are_found_and_more_refused() {
    let world = World::new();
    let database = wide(&world);
    let most = u32::try_from(limits::VECTOR_DIMENSIONS_MAX).expect("small");
    let with = |name: &str, dimensions| {
        NewCollection::named(name).with_vector("v", dimensions, Metric::L2)
    };
    database.create_collection(with("notes", most)).expect("at the limit");
    refused(&database, || database.create_collection(with("wider", most + 1)));
    refused(&database, || database.create_collection(with("none", 0)));
    let notes = database.collection("notes").expect("found");
    let vector = vec![0.5_f32; limits::VECTOR_DIMENSIONS_MAX];
    notes.put("k", &serde_json::json!({ "v": vector })).expect("put");
    let search = |k| notes.search(SearchOptions::vector("v", vector.clone()).with_k(k));
    assert_eq!(search(limits::SEARCH_RESULTS_MAX).expect("at the limit").len(), 1);
    refused(&database, || search(limits::SEARCH_RESULTS_MAX + 1));
    refused(&database, || search(0));
}

#[test]
fn indexes_at_the_limit_are_built_and_more_refused() {
    let world = World::new();
    let database = world.open(World::small());
    let notes = collection(&database, "notes", CollectionKind::Document);
    notes.put("k", &serde_json::json!({"a": 1})).expect("put");
    notes.add_index(NewIndex::field(name(limits::INDEX_PATH_BYTES_MAX))).expect("at the limit");
    let longer = name(limits::INDEX_PATH_BYTES_MAX + 1);
    refused(&database, || notes.add_index(NewIndex::field(&longer)));
    for number in 1..limits::INDEXES_MAX {
        notes.add_index(NewIndex::field(format!("f{number}"))).expect("up to the limit");
    }
    refused(&database, || notes.add_index(NewIndex::field("more")));
    assert_eq!(notes.indexes().expect("a list").len(), limits::INDEXES_MAX);
}

#[test]
fn filters_at_the_limit_are_answered_and_longer_ones_refused() {
    let world = World::new();
    let database = world.open(World::small());
    let notes = collection(&database, "notes", CollectionKind::Document);
    notes.put("k", &serde_json::json!({"a": "x"})).expect("put");
    let rows = |filter: String| {
        let options = ScanOptions { filter: Some(filter), ..ScanOptions::default() };
        notes.scan(options)?.collect::<Result<Vec<_>, _>>()
    };
    let long = |bytes: usize| {
        let head = "a <> '";
        format!("{head}{}'", "y".repeat(bytes - head.len() - 1))
    };
    assert_eq!(rows(long(limits::FILTER_BYTES_MAX)).expect("at the limit").len(), 1);
    refused(&database, || rows(long(limits::FILTER_BYTES_MAX + 1)));
}

#[test]
fn imports_commit_a_bounded_number_of_lines_together() {
    let world = World::new();
    let database = world.open(World::small());
    let notes = collection(&database, "notes", CollectionKind::Document);
    let import = |batch| {
        let options = ImportOptions { batch, ..ImportOptions::keyed_by("id") };
        notes.import(&b"{\"id\":1}\n"[..], &options, &mut |_| ())
    };
    assert_eq!(import(100_000).expect("at the limit").imported, 1);
    refused(&database, || import(100_001));
    refused(&database, || import(0));
}

#[test]
fn databases_are_made_within_their_limits() {
    let refused = |create: CreateOptions| {
        let world = World::new();
        let error = Database::create(world.dir(), create).expect_err("outside of the limits");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(!world.dir().exists(), "nothing was made");
    };
    let small = World::small;
    refused(CreateOptions { vshards: 0, ..small() });
    refused(CreateOptions { vshards: limits::VSHARDS_MAX + 1, ..small() });
    refused(CreateOptions { segment_bytes: limits::SEGMENT_BYTES_MIN - 1, ..small() });
    refused(CreateOptions { segment_bytes: limits::SEGMENT_BYTES_MAX + 1, ..small() });
    let world = World::new();
    let create = CreateOptions { segment_bytes: limits::SEGMENT_BYTES_MIN, ..small() };
    world.open(create).close().expect("the smallest segments");
    let world = World::new();
    // A checkpoint's record has the floors of all vshards, and must fit.
    let most = CreateOptions { vshards: limits::VSHARDS_MAX, ..small() };
    refused(most.clone());
    let database = world.open(CreateOptions { segment_bytes: 1 << 20, ..most });
    let vshards = database.status().expect("a status").vshards.len();
    assert_eq!(vshards, usize::from(limits::VSHARDS_MAX));
    database.close().expect("closed");
}
