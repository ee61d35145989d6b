//! The vector engine passes the suite of all engines.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

#[path = "../../nodedb-engine/tests/sim_disk/mod.rs"]
mod sim_disk;

use bytes::Bytes;
use nodedb_engine::{
    CatalogChange, EngineError, Redo, VectorChange,
    conformance::{Chance, Record, Subject, check},
};
use nodedb_env::Files;
use nodedb_types::{CollectionId, IndexId, Stamp};
use nodedb_vector::VectorEngine;
use sim_disk::SimDisk;
use std::{collections::BTreeMap, fmt::Write, path::Path, sync::Arc};

#[derive(Debug)]
struct Vectors;

type Rows = BTreeMap<(IndexId, Bytes), (Stamp, Vec<f32>)>;

fn text(rows: &Rows) -> String {
    let mut out = String::new();
    for ((index, key), (stamp, vector)) in rows {
        writeln!(out, "{index} {key:?} {stamp:?} {vector:?}").expect("a string takes all");
    }
    out
}

impl Subject for Vectors {
    type Engine = VectorEngine;

    fn create(&self, files: Arc<dyn Files>, dir: &Path) -> Result<VectorEngine, EngineError> {
        VectorEngine::create(files, dir)
    }

    fn load(&self, files: Arc<dyn Files>, dir: &Path) -> Result<VectorEngine, EngineError> {
        let before = nodedb_vector::verify(&*files, dir)?;
        let engine = VectorEngine::load(files, dir)?;
        assert!(before.floor == nodedb_engine::Engine::flushed(&engine).floor());
        Ok(engine)
    }

    fn dump(&self, engine: &VectorEngine) -> String {
        let mut rows = Rows::new();
        for index in engine.indexes() {
            assert_eq!(engine.keys(index).count(), engine.len(index));
            for key in engine.keys(index) {
                let vector = engine.vector(index, key).expect("its keys are there");
                let stamp = engine.stamp(index, key).expect("its keys are there");
                let key = Bytes::copy_from_slice(key);
                rows.insert((index, key), (stamp, vector.to_vec()));
            }
        }
        text(&rows)
    }

    fn model(&self, records: &[Record]) -> String {
        let mut rows = Rows::new();
        for record in records {
            match &record.redo {
                Redo::Put { key, vectors, .. } => {
                    for change in vectors {
                        let place = (change.index, key.clone());
                        rows.remove(&place);
                        if let Some(vector) = &change.vector {
                            rows.insert(place, (record.at, vector.clone()));
                        }
                    }
                }
                Redo::Delete { key, vectors, .. } => {
                    rows.retain(|(index, other), _| !vectors.contains(index) || other != key);
                }
                Redo::Catalog(CatalogChange::DropCollection { indexes, .. }) => {
                    rows.retain(|(index, _), _| !indexes.contains(index));
                }
                Redo::Catalog(_)
                | Redo::IndexRows { .. }
                | Redo::Idempotency(_)
                | Redo::CrdtMerge { .. }
                | Redo::CrdtSnapshot { .. } => {}
            }
        }
        text(&rows)
    }

    fn history(&self, chance: &mut Chance, count: usize) -> Vec<Record> {
        // Two collections with two indexes each; a drop makes way for the next ones.
        let mut collections = [1, 2];
        let mut next = 3;
        let mut redo = |number| {
            let place = usize::try_from(chance.below(2)).expect("small");
            let collection = collections[place];
            let indexes = [2 * collection, 2 * collection + 1].map(IndexId::new);
            let key = Bytes::from(format!("key-{}", chance.below(9)));
            let redo = match chance.below(24) {
                0..14 => Redo::Put {
                    collection: CollectionId::new(collection),
                    key,
                    value: Bytes::new(),
                    vectors: indexes
                        .map(|index| VectorChange { index, vector: vector(index, chance) })
                        .into(),
                    expires: None,
                    fields: Vec::new(),
                },
                14..22 => Redo::Delete {
                    collection: CollectionId::new(collection),
                    key,
                    vectors: indexes.into(),
                    crdt: None,
                    fields: Vec::new(),
                },
                22 => Redo::CrdtMerge {
                    collection: CollectionId::new(99),
                    key,
                    update: Bytes::new(),
                    slot: 0,
                    rows: nodedb_engine::CrdtRows::default(),
                },
                _ => {
                    collections[place] = next;
                    next += 1;
                    Redo::Catalog(CatalogChange::DropCollection {
                        id: CollectionId::new(collection),
                        indexes: indexes.into(),
                    })
                }
            };
            Record::new(number, redo)
        };
        (1..=count as u64).map(&mut redo).collect()
    }
}

fn vector(index: IndexId, chance: &mut Chance) -> Option<Vec<f32>> {
    let dimensions = index.get() % 5 + 1;
    let mut number = || u8::try_from(chance.below(200)).map(f32::from).expect("small");
    let vector: Vec<f32> = (0..dimensions).map(|_| number()).collect();
    (chance.below(4) > 0).then_some(vector)
}

#[test]
fn the_vector_engine_conforms() {
    check::<_, SimDisk>(&Vectors);
}
