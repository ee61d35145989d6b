//! Entries of field indexes pass the suite of all engines, on a simulated disk.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

#[path = "../../nodedb-engine/tests/sim_disk/mod.rs"]
mod sim_disk;
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use bytes::Bytes;
use nodedb_document::{DocumentEngine, Place};
use nodedb_engine::{
    CatalogChange, EngineError, FieldChange, IndexEntry, IndexRow, Redo,
    conformance::{Chance, Record, Subject, check},
};
use nodedb_env::Files;
use nodedb_types::IndexId;
use sim_disk::SimDisk;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
    sync::Arc,
};
use world::{NOTES, TENANT, plain_ports};

/// An index that every write keeps, one that is dropped after two thirds, and one that is built.
const INDEXES: [IndexId; 3] = [IndexId::new(7), IndexId::new(8), IndexId::new(9)];
const DROPPED: IndexId = INDEXES[1];
const BUILT: IndexId = INDEXES[2];
/// False and true.
const VALUES: [&[u8]; 2] = [&[1, 0], &[1, 1]];

type Entries = BTreeMap<(IndexId, Bytes), BTreeSet<Bytes>>;

#[derive(Debug)]
struct Fields;

fn print(mut keys: impl FnMut(IndexId, &'static [u8]) -> BTreeSet<Bytes>) -> String {
    let mut out = String::new();
    for index in INDEXES {
        for value in VALUES {
            writeln!(out, "{index} {value:?} {:?}", keys(index, value)).expect("memory");
        }
    }
    out
}

impl Subject for Fields {
    type Engine = DocumentEngine;

    fn create(&self, files: Arc<dyn Files>, dir: &Path) -> Result<DocumentEngine, EngineError> {
        DocumentEngine::create(&plain_ports(files), dir)
    }

    fn load(&self, files: Arc<dyn Files>, dir: &Path) -> Result<DocumentEngine, EngineError> {
        DocumentEngine::load(&plain_ports(files), dir)
    }

    fn dump(&self, engine: &DocumentEngine) -> String {
        print(|index, value| {
            let place = Place { tenant: TENANT, collection: NOTES, key: b"" };
            let keys = RefCell::new(BTreeSet::new());
            // Every holder is noted and passed over.
            let note = |key: &[u8]| keys.borrow_mut().insert(Bytes::copy_from_slice(key));
            assert_eq!(engine.holder(&place, index, value, note).expect("readable"), None);
            keys.into_inner()
        })
    }

    fn model(&self, records: &[Record]) -> String {
        let mut entries = Entries::new();
        for record in records {
            match &record.redo {
                Redo::Put { key, fields, .. } | Redo::Delete { key, fields, .. } => {
                    for FieldChange { index, before, after } in fields {
                        if let Some(before) = before {
                            entries.entry((*index, before.clone())).or_default().remove(key);
                        }
                        if let Some(after) = after {
                            let keys = entries.entry((*index, after.clone())).or_default();
                            keys.insert(key.clone());
                        }
                    }
                }
                Redo::IndexRows { index, rows, .. } => {
                    for IndexRow { key, entry } in rows {
                        let IndexEntry::Field(value) = entry else { continue };
                        entries.entry((*index, value.clone())).or_default().insert(key.clone());
                    }
                }
                Redo::Catalog(CatalogChange::DropIndex { index, .. }) => {
                    entries.retain(|(of, _), _| of != index);
                }
                Redo::CrdtMerge { .. }
                | Redo::CrdtSnapshot { .. }
                | Redo::Idempotency(_)
                | Redo::Catalog(_) => {}
            }
        }
        print(|index, value| {
            entries.get(&(index, Bytes::from_static(value))).cloned().unwrap_or_default()
        })
    }

    fn history(&self, chance: &mut Chance, count: usize) -> Vec<Record> {
        let mut values = BTreeMap::new();
        let drop_at = count as u64 * 2 / 3;
        let numbers = 1..=count as u64;
        numbers
            .map(|number| {
                let redo = if number == drop_at {
                    let index = DROPPED;
                    Redo::Catalog(CatalogChange::DropIndex { collection: NOTES, index })
                } else {
                    redo(&mut values, chance, number > drop_at)
                };
                Record::new(number, redo)
            })
            .collect()
    }
}

fn redo(values: &mut BTreeMap<Bytes, Bytes>, chance: &mut Chance, dropped: bool) -> Redo {
    let (collection, key) = (NOTES, Bytes::from(format!("key{}", chance.below(5))));
    let value = VALUES.into_iter().nth(usize::from(chance.below(2) == 0)).unwrap_or_default();
    let value = Bytes::from_static(value);
    if chance.below(5) == 0 {
        let rows = vec![IndexRow { key, entry: IndexEntry::Field(value) }];
        return Redo::IndexRows { collection, index: BUILT, rows };
    }
    let after = Some(value).filter(|_| chance.below(4) > 0);
    let before = match after.clone() {
        Some(after) => values.insert(key.clone(), after),
        None => values.remove(&key),
    };
    let kept = INDEXES.into_iter().filter(|index| *index != BUILT);
    let kept = kept.filter(|index| !(dropped && *index == DROPPED) && before != after);
    let entry = |index| FieldChange { index, before: before.clone(), after: after.clone() };
    let (fields, vectors) = (kept.map(entry).collect(), Vec::new());
    if after.is_none() {
        return Redo::Delete { collection, key, vectors: Vec::new(), fields, crdt: None };
    }
    Redo::Put { collection, key, value: Bytes::from_static(b"{}"), expires: None, vectors, fields }
}

#[test]
fn field_entries_pass_the_suite() {
    check::<Fields, SimDisk>(&Fields);
}
