//! How much collections and indexes hold, and how searches are answered.

use crate::world::World;
use nodedb::{
    CollectionStatistics, Consistency, Durability, Effort, Error, ErrorKind, Metric, NewCollection,
    NewIndex, OpenOptions, ScanOptions, SearchOptions, SearchPlan, WriteOptions,
};
use std::time::Duration;

#[test]
fn statistics_name_documents_bytes_and_what_each_index_holds() -> Result<(), Error> {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("c")
        .with_index(NewIndex::field("n"))
        .with_vector("v", 2, Metric::L2)
        .with_index(NewIndex::field("none"));
    database.create_collection(new)?;
    let collection = database.collection("c")?;
    let counts = |of: &CollectionStatistics| {
        let index = |one: &nodedb::IndexStatistics| (one.info.over.clone(), one.entries);
        (of.documents, of.indexes.iter().map(index).collect::<Vec<_>>())
    };
    let indexed = |n, v| vec![("n".to_owned(), n), ("v".to_owned(), v), ("none".to_owned(), 0)];
    assert_eq!(counts(&collection.statistics()?), (0, indexed(0, 0)));
    for number in 0..40_u32 {
        let value = match number % 4 {
            0 => format!("{{\"n\":{number},\"v\":[{number},0]}}"),
            1 => format!("{{\"n\":{number}}}"),
            _ => "{}".to_owned(),
        };
        collection.put_raw(format!("{number:02}"), value.as_bytes(), WriteOptions::default())?;
    }
    let found = collection.statistics()?;
    assert_eq!(counts(&found), (40, indexed(20, 10)));
    let listed = &database.collections()?[0];
    assert_eq!((found.key_bytes, found.value_bytes), (80, listed.value_bytes));
    assert_eq!(found.indexes[1].segments, 0, "ten vectors stay in the heads");
    for number in 0..20_u32 {
        collection.delete(format!("{number:02}"), WriteOptions::default())?;
    }
    assert_eq!(counts(&collection.statistics()?), (20, indexed(10, 5)));
    database.close()?;
    let collection = world.reopen().collection("c")?;
    assert_eq!(counts(&collection.statistics()?), (20, indexed(10, 5)));
    Ok(())
}

/// More entries than one slice counts.
#[test]
fn entries_are_counted_over_many_slices() -> Result<(), Error> {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("c").with_partitions(1).with_index(NewIndex::field("n"));
    database.create_collection(new)?;
    let collection = database.collection("c")?;
    let line = |n: u32| format!("{{\"id\":{n},\"n\":{}}}\n", n % 7);
    let lines: String = (0..9_000).map(line).collect();
    let options = nodedb::ImportOptions::keyed_by("id");
    collection.import(lines.as_bytes(), &options, &mut |_| {})?;
    let found = collection.statistics()?;
    assert_eq!((found.documents, found.indexes[0].entries), (9_000, 9_000));
    Ok(())
}

#[test]
fn a_search_says_how_each_partition_answers_it() -> Result<(), Error> {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("c")
        .with_partitions(2)
        .with_vector("v", 2, Metric::L2)
        .with_index(NewIndex::field("n"));
    database.create_collection(new)?;
    let collection = database.collection("c")?;
    for number in 0..50_u32 {
        let value = serde_json::json!({"v": [number, 0], "n": number});
        collection.put(number.to_string(), &value)?;
    }
    let near = || SearchOptions::vector("v", vec![0.0, 0.0]).with_k(2);
    let plain = collection.explain_search(near())?;
    assert_eq!(plain.len(), 2);
    assert!(plain.iter().all(|part| part.plan == SearchPlan::Exact && part.segments == 0));
    assert_eq!(plain.iter().map(|part| part.vectors).sum::<u64>(), 50);
    let filtered = collection.explain_search(near().with_filter("n = 7"))?;
    let matches = |part: &nodedb::SearchExplain| {
        let SearchPlan::Among { matches } = part.plan else {
            panic!("the index leads to the matches: {part:?}");
        };
        matches
    };
    assert_eq!(filtered.iter().map(matches).sum::<usize>(), 1);
    let exact = collection.explain_search(near().with_effort(Effort::Exact))?;
    assert!(exact.iter().all(|part| part.plan == SearchPlan::Exact));
    let none = collection.explain_search(SearchOptions::vector("w", vec![0.0])).expect_err("none");
    assert_eq!(none.kind(), ErrorKind::NotFound);
    let text = none.to_string();
    assert!(text.contains("no vector index over `w`") && !text.contains("`n`"), "{text}");
    Ok(())
}

/// A scan shows nothing that can be lost, and with a bound it need not wait for a sync.
#[test]
fn a_scan_is_as_fresh_as_it_is_told() -> Result<(), Error> {
    let world = World::new();
    let database = world.open(World::small());
    database.create_collection(NewCollection::named("c"))?;
    let collection = database.collection("c")?;
    collection.put("a", &1)?;
    let weak = WriteOptions { durability: Some(Durability::Buffered), ..WriteOptions::default() };
    collection.put_raw("b", b"2", weak)?;
    let keys = |consistency| {
        let scan = collection.scan(ScanOptions { consistency, ..ScanOptions::default() })?;
        scan.map(|row| row.map(|row| row.key)).collect::<Result<Vec<_>, Error>>()
    };
    let eventual = keys(Consistency::Eventual)?;
    assert!(eventual == ["a"] || eventual == ["a", "b"], "{eventual:?}");
    assert_eq!(keys(Consistency::BoundedStaleness(Duration::ZERO))?, ["a", "b"]);
    assert_eq!(keys(Consistency::Strong)?, ["a", "b"]);
    assert_eq!(keys(Consistency::Eventual)?, ["a", "b"], "it is durable by now");
    Ok(())
}

#[test]
fn every_option_is_checked_against_its_range() {
    let breaks: [fn(&mut OpenOptions); 8] = [
        |options| options.cores = Some(0),
        |options| options.memtable_bytes = 1,
        |options| options.memory_bytes_per_core = options.memtable_bytes - 1,
        |options| options.io_bytes_per_second = Some(1),
        |options| options.clock_jump_max = Duration::ZERO,
        |options| options.clock_jump_max = Duration::MAX,
        |options| options.tenant_limits.bytes = Some(0),
        |options| options.tenant_limits.in_flight = 0,
    ];
    assert!(OpenOptions::default().validate().is_ok());
    for spoil in breaks {
        let mut options = OpenOptions::default();
        spoil(&mut options);
        let error = options.validate().expect_err("out of range");
        assert!(matches!(error, Error::InvalidOption { .. }), "{error}");
    }
}

/// The limits reach the data plane: a database with the least of each still works.
#[test]
fn a_database_works_within_small_budgets() -> Result<(), Error> {
    let world = World::new();
    let options = OpenOptions {
        memtable_bytes: 64 << 10,
        memory_bytes_per_core: 1 << 20,
        io_bytes_per_second: Some(1 << 20),
        clock_jump_max: Duration::from_secs(1),
        ..World::options(Some(World::small()))
    };
    let database = nodedb::Database::open_with(world.dir(), options)?;
    database.create_collection(NewCollection::named("c"))?;
    let collection = database.collection("c")?;
    let value = "x".repeat(8 << 10);
    for number in 0..500 {
        collection.put(number.to_string(), &value)?;
    }
    assert_eq!(collection.count(None)?, 500);
    Ok(())
}
