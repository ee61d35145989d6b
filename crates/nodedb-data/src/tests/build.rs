//! Indexes that are added to a filled collection.

use super::world::{FIELD, NOTES, World, at, delete, options, put, put_vector, vshard, written};
use crate::{BuildSlice, Built, Change, DataError, Op, Outcome, Search, Write};
use bytes::Bytes;
use nodedb_engine::{
    CatalogChange, Index, IndexState, Metric, VectorChange, VectorIndex, VectorStorage,
};
use nodedb_testkit::SeededRandom;
use nodedb_types::{Durability, ErrorKind, IndexId};
use std::collections::BTreeMap;

const ADDED: IndexId = IndexId::new(2);

fn added() -> Index {
    Index::Vector(VectorIndex {
        id: ADDED,
        field: "w".to_owned(),
        dimensions: 1,
        metric: Metric::L2,
        storage: VectorStorage::default(),
        state: IndexState::Building,
    })
}

fn create() -> CatalogChange {
    CatalogChange::CreateIndex { collection: NOTES, index: added() }
}

fn ready() -> CatalogChange {
    CatalogChange::IndexReady { collection: NOTES, index: ADDED }
}

fn slice(world: &World, after: Option<Bytes>) -> Result<Built, DataError> {
    let slice = BuildSlice { collection: NOTES, index: ADDED, after };
    match world.ask(vshard(0), Op::BuildIndex(slice))? {
        Outcome::Built(built) => Ok(built),
        other => panic!("{other:?}"),
    }
}

/// Which keys the added index finds, with the number that is their vector.
fn found(world: &World) -> Result<BTreeMap<String, f32>, DataError> {
    let search = Search {
        collection: NOTES,
        index: ADDED,
        vector: vec![0.0],
        metric: Metric::L2,
        k: 10_000,
        filter: None,
        effort: crate::Effort::Exact,
    };
    let Outcome::Hits(hits) = world.ask(vshard(0), Op::Search(search))? else {
        panic!("hits");
    };
    let hit = |hit: &crate::Hit| {
        (String::from_utf8(hit.key.to_vec()).expect("text"), hit.distance.sqrt().round())
    };
    let found: BTreeMap<_, _> = hits.iter().map(hit).collect();
    assert_eq!(found.len(), hits.len(), "a key is found once");
    Ok(found)
}

/// A put as a caller with an old catalog sends it: of the first index only. The value is padded so that
/// a slice does not hold all documents.
fn write_of(key: &str, number: u32) -> Write {
    put(key, &format!("{{\"w\":[{number}],\"pad\":\"{}\"}}", "x".repeat(1000)))
}

fn ask_all(world: &World, writes: impl IntoIterator<Item = Write>) {
    let mut writes = writes.into_iter().peekable();
    while writes.peek().is_some() {
        let send = |write| world.send(vshard(0), Op::Write(write));
        // Few enough for the log to take at once.
        let under_way: Vec<_> = writes.by_ref().take(100).map(send).collect();
        for ticket in under_way {
            written(ticket.wait().expect("an answer"));
        }
    }
}

/// P12: every entry is of its document's newest version, whatever is written while the index is built,
/// and a kill in the middle leaves nothing that a build from the start does not put right.
#[test]
fn a_build_among_writes_and_kills_finds_every_document_once_as_it_is_now() {
    let random = SeededRandom::new(0x6275_696c);
    let mut world = World::new(1, options(1));
    let mut model: BTreeMap<String, f32> = BTreeMap::new();
    let key = |number: u64| format!("k{number:04}");
    let numbers = 0..2000_u32;
    ask_all(&world, numbers.map(|number| write_of(&key(u64::from(number)), number)));
    model.extend((0..2000_u16).map(|number| (key(u64::from(number)), f32::from(number))));
    world.flush(0).expect("flushed");
    world.change_catalog(&create());
    assert_eq!(found(&world).expect_err("half of it").kind(), ErrorKind::Busy);
    for round in 0..3 {
        let mut after = None;
        let mut slices = 0;
        loop {
            for _ in 0..20 {
                let chosen = key(random.below(2100));
                if random.below(4) == 0 {
                    written(world.ask(vshard(0), at(delete(&chosen), Durability::Sync)));
                    model.remove(&chosen);
                } else {
                    let number = u16::try_from(random.below(5000)).expect("small");
                    ask_all(&world, [write_of(&chosen, number.into())]);
                    model.insert(chosen, number.into());
                }
            }
            slices += 1;
            if random.below(4) == 0 {
                world.flush(0).expect("flushed");
            }
            after = slice(&world, after).expect("a slice").next;
            if after.is_none() || (round < 2 && slices == 3) {
                break;
            }
        }
        assert!(slices >= 3, "the collection is more than a slice");
        world = world.kill(1);
    }
    world.change_catalog(&ready());
    assert_eq!(found(&world).expect("ready"), model);
    let world = world.kill(1);
    assert_eq!(found(&world).expect("ready"), model);
    assert_eq!(slice(&world, None).expect("nothing to do").next, None);
}

#[test]
fn a_document_that_the_index_cannot_take_ends_its_build_and_is_named() {
    let world = World::new(1, options(1));
    ask_all(&world, [put("good", "{\"w\":[1]}"), put("poor", "{\"w\":[1,2]}")]);
    world.change_catalog(&create());
    let error = slice(&world, None).expect_err("two numbers");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("`poor`"), "{error}");
    let error = world.ask(vshard(0), at(put("late", "{\"w\":3}"), Durability::Sync));
    let error = error.expect_err("no vector");
    assert!(error.to_string().contains("`late`"), "{error}");
    world.change_catalog(&CatalogChange::DropIndex { collection: NOTES, index: ADDED });
    let error = slice(&world, None).expect_err("dropped");
    assert!(matches!(error, DataError::WrongIndex { .. }), "{error}");
    ask_all(&world, [put("late", "{\"w\":3}")]);
}

/// A put from a caller whose catalog is older or newer is completed where it is, so that it keeps its
/// place among the caller's others.
#[test]
fn a_put_of_another_catalog_gets_the_entries_of_its_value() {
    let world = World::new(1, options(1));
    let named = |indexes: &[(IndexId, f32)]| {
        let mut write = put_vector("k", "{\"field\":[1,2],\"w\":[3]}", Some(vec![1.0, 2.0]));
        if let Change::Put { vectors, .. } = &mut write.change {
            let change =
                |(index, at): &(_, _)| VectorChange { index: *index, vector: Some(vec![*at, *at]) };
            *vectors = indexes.iter().map(change).collect();
        }
        write
    };
    let hits = |world: &World| {
        let search = Search {
            collection: NOTES,
            index: FIELD,
            vector: vec![1.0, 2.0],
            metric: Metric::L2,
            k: 1,
            filter: None,
            effort: crate::Effort::Usual,
        };
        let Outcome::Hits(hits) = world.ask(vshard(0), Op::Search(search)).expect("hits") else {
            panic!("hits");
        };
        hits.iter().map(|hit| hit.distance).collect::<Vec<_>>()
    };
    for wrong in [&[][..], &[(ADDED, 9.0)], &[(FIELD, 9.0), (ADDED, 9.0)], &[(FIELD, 9.0); 2]] {
        ask_all(&world, [named(wrong)]);
        assert_eq!(hits(&world), [0.0], "{wrong:?}");
    }
    world.change_catalog(&create());
    world.change_catalog(&ready());
    ask_all(&world, [named(&[(FIELD, 1.0)])]);
    assert_eq!(found(&world).expect("ready"), BTreeMap::from([("k".to_owned(), 3.0)]));
}
