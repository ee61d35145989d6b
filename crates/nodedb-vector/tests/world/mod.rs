//! Records of vectors, their model, and an engine that rebuilds as it is flushed.
#![expect(dead_code, reason = "each test binary uses a part of it")]

use bytes::Bytes;
use nodedb_engine::{
    CatalogChange, Collection, CollectionKind, Dirty, Engine, EngineKind, Flushed, Frozen, Index,
    IndexEntry, IndexRow, IndexState, Metric, Redo, VectorChange, VectorIndex, VectorStorage,
    conformance::{Chance, Record},
};
use nodedb_types::{CollectionId, IndexId, Lsn, Name, Stamp, TenantId};
use nodedb_vector::{FrozenVectors, PersistedVectors, RebuildStep, VectorEngine};
use std::{collections::BTreeMap, fmt::Write};

/// What the catalog says of an index.
pub(crate) fn index(id: u32, dimensions: u32, metric: Metric) -> VectorIndex {
    VectorIndex {
        id: IndexId::new(id),
        field: format!("f{id}"),
        dimensions,
        metric,
        storage: VectorStorage::Bf16,
        state: IndexState::Ready,
    }
}

/// The creation of a collection.
pub(crate) fn collection(id: u32, vectors: Vec<VectorIndex>) -> Redo {
    Redo::Catalog(CatalogChange::CreateCollection(Collection {
        id: CollectionId::new(id),
        tenant: TenantId::DEFAULT,
        name: Name::new(&format!("c{id}")).expect("a good name"),
        kind: CollectionKind::Document,
        partitions: 1,
        vectors,
        fields: Vec::new(),
    }))
}

/// The row of a key in one index is set, or taken away.
pub(crate) fn put(index: IndexId, key: &str, vector: Option<Vec<f32>>) -> Redo {
    Redo::Put {
        collection: CollectionId::new(1),
        key: key.to_owned().into(),
        value: Bytes::new(),
        vectors: vec![VectorChange { index, vector }],
        expires: None,
        fields: Vec::new(),
    }
}

type Rows = BTreeMap<(IndexId, Bytes), (Stamp, Vec<f32>)>;

fn text(indexes: &[IndexId], rows: &Rows) -> String {
    let mut out = format!("{indexes:?}\n");
    for ((index, key), (stamp, vector)) in rows {
        writeln!(out, "{index} {key:?} {stamp:?} {vector:?}").expect("a string takes all");
    }
    out
}

/// Every row of every index.
pub(crate) fn dump(engine: &VectorEngine) -> String {
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
    text(&engine.indexes().collect::<Vec<_>>(), &rows)
}

/// What [`dump`] must say.
pub(crate) fn model(records: &[Record]) -> String {
    let mut rows = Rows::new();
    let mut indexes = std::collections::BTreeSet::new();
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
            Redo::IndexRows { index, rows: new, .. } => {
                for row in new {
                    if let IndexEntry::Vector(vector) = &row.entry {
                        rows.insert((*index, row.key.clone()), (record.at, vector.clone()));
                    }
                }
            }
            Redo::Catalog(change) => {
                let gone = match change {
                    CatalogChange::CreateCollection(collection) => {
                        indexes.extend(collection.vectors.iter().map(|index| index.id));
                        Vec::new()
                    }
                    CatalogChange::CreateIndex { index: Index::Vector(index), .. } => {
                        indexes.insert(index.id);
                        Vec::new()
                    }
                    CatalogChange::DropCollection { indexes, .. } => indexes.clone(),
                    CatalogChange::DropIndex { index, .. } => vec![*index],
                    CatalogChange::CreateIndex { .. }
                    | CatalogChange::CreateTenant { .. }
                    | CatalogChange::IndexReady { .. } => Vec::new(),
                };
                indexes.retain(|index| !gone.contains(index));
                rows.retain(|(index, _), _| !gone.contains(index));
            }
            Redo::Idempotency(_) | Redo::CrdtMerge { .. } | Redo::CrdtSnapshot { .. } => {}
        }
    }
    text(&indexes.into_iter().collect::<Vec<_>>(), &rows)
}

/// Two collections with two indexes each; a drop makes way for the next ones. The second index of a
/// collection comes later, with the rows from before, or goes earlier.
pub(crate) fn history(chance: &mut Chance, count: usize) -> Vec<Record> {
    let mut world = Makers { collections: [None, None], next: 1 };
    (1..=count as u64).map(|number| Record::new(number, world.redo(chance))).collect()
}

struct Makers {
    /// The collections and whether they have their second index.
    collections: [Option<(u32, bool)>; 2],
    next: u32,
}

impl Makers {
    fn redo(&mut self, chance: &mut Chance) -> Redo {
        let place = usize::try_from(chance.below(2)).expect("small");
        let Some((id, second)) = self.collections[place] else {
            let id = self.next;
            self.next += 1;
            self.collections[place] = Some((id, false));
            return collection(id, vec![index(2 * id, dimensions(2 * id), metric(2 * id))]);
        };
        let ids: Vec<_> = (2 * id..=2 * id + u32::from(second)).map(IndexId::new).collect();
        let key = || Bytes::from(format!("key-{}", u32::from(second) + id % 3));
        match chance.below(48) {
            0..28 => Redo::Put {
                collection: CollectionId::new(id),
                key: random_key(chance),
                value: Bytes::new(),
                vectors: ids
                    .into_iter()
                    .map(|index| VectorChange { index, vector: maybe_vector(index, chance) })
                    .collect(),
                expires: None,
                fields: Vec::new(),
            },
            28..42 => Redo::Delete {
                collection: CollectionId::new(id),
                key: random_key(chance),
                vectors: ids,
                crdt: None,
                fields: Vec::new(),
            },
            42 => Redo::CrdtMerge {
                collection: CollectionId::new(99),
                key: key(),
                update: Bytes::new(),
                earlier: nodedb_engine::CrdtRows::default(),
            },
            43..46 => self.change_second(place, chance),
            46 => Redo::Catalog(CatalogChange::DropIndex {
                collection: CollectionId::new(id),
                // A field index, of which this engine knows nothing.
                index: IndexId::new(1000),
            }),
            _ => {
                self.collections[place] = None;
                Redo::Catalog(CatalogChange::DropCollection {
                    id: CollectionId::new(id),
                    indexes: ids,
                })
            }
        }
    }

    fn change_second(&mut self, place: usize, chance: &mut Chance) -> Redo {
        let Some((id, second)) = self.collections[place] else {
            unreachable_place();
        };
        let of = CollectionId::new(id);
        let added = 2 * id + 1;
        if !second {
            self.collections[place] = Some((id, true));
            let mut index = index(added, dimensions(added), metric(added));
            index.state = IndexState::Building;
            let index = Index::Vector(index);
            return Redo::Catalog(CatalogChange::CreateIndex { collection: of, index });
        }
        if chance.below(4) > 0 {
            let rows = (0..4).filter(|_| chance.below(2) > 0).collect::<Vec<u32>>();
            let entry = |key: u32, chance: &mut Chance| IndexRow {
                key: Bytes::from(format!("key-{key}")),
                entry: IndexEntry::Vector(vector(IndexId::new(added), chance)),
            };
            let rows = rows.into_iter().map(|key| entry(key, chance)).collect();
            return Redo::IndexRows { collection: of, index: IndexId::new(added), rows };
        }
        // Gone with its collection later: an id is never used twice.
        self.collections[place] = None;
        Redo::Catalog(CatalogChange::DropCollection {
            id: of,
            indexes: vec![IndexId::new(2 * id), IndexId::new(added)],
        })
    }
}

#[expect(clippy::panic, reason = "this is test code")]
fn unreachable_place() -> ! {
    panic!("the collection is there")
}

fn random_key(chance: &mut Chance) -> Bytes {
    Bytes::from(format!("key-{}", chance.below(9)))
}

fn dimensions(index: u32) -> u32 {
    index % 5 + 1
}

fn metric(index: u32) -> Metric {
    [Metric::L2, Metric::Dot][usize::try_from(index % 2).expect("small")]
}

fn vector(index: IndexId, chance: &mut Chance) -> Vec<f32> {
    let mut number = || u8::try_from(chance.below(200)).map(f32::from).expect("small");
    (0..dimensions(index.get())).map(|_| number()).collect()
}

fn maybe_vector(index: IndexId, chance: &mut Chance) -> Option<Vec<f32>> {
    let vector = vector(index, chance);
    (chance.below(4) > 0).then_some(vector)
}

/// An engine that begins what is due whenever it is frozen, and ends it at some later freeze, so that
/// rows die meanwhile. What fails is given up, as the product does.
#[derive(Debug)]
pub(crate) struct Rebuilding {
    pub(crate) inner: VectorEngine,
    pub(crate) rebuilds: u64,
    begun: Vec<nodedb_vector::Rebuild>,
    freezes: u64,
}

impl Rebuilding {
    pub(crate) fn new(inner: VectorEngine) -> Self {
        Self { inner, rebuilds: 0, begun: Vec::new(), freezes: 0 }
    }

    fn rebuild(&mut self) {
        self.freezes += 1;
        while let Some(rebuild) = self.inner.begin_rebuild() {
            self.rebuilds += 1;
            self.begun.push(rebuild);
        }
        if self.freezes.is_multiple_of(3) {
            return;
        }
        for rebuild in std::mem::take(&mut self.begun) {
            finish(&mut self.inner, rebuild);
        }
    }
}

/// Runs a rebuild to its end.
pub(crate) fn finish(engine: &mut VectorEngine, begun: nodedb_vector::Rebuild) {
    let number = begun.number();
    let mut rest = begun;
    loop {
        match rest.step() {
            Ok(RebuildStep::More(more)) => rest = more,
            Ok(RebuildStep::Done(rebuilt)) => return engine.end_rebuild(rebuilt),
            Err(_) => return engine.give_up_rebuild(number),
        }
    }
}

impl Engine for Rebuilding {
    type Frozen = FrozenVectors;

    const KIND: EngineKind = EngineKind::Vectors;

    fn apply(&mut self, at: Stamp, tenant: TenantId, redo: &Redo) {
        self.inner.apply(at, tenant, redo);
    }

    fn flushed(&self) -> Flushed {
        self.inner.flushed()
    }

    fn dirty(&self) -> Option<Dirty> {
        self.inner.dirty()
    }

    fn freeze(&mut self, watermark: Lsn) -> Option<FrozenVectors> {
        // An idle engine may have something to merge and still has nothing to flush.
        self.inner.dirty()?;
        self.rebuild();
        let frozen = self.inner.freeze(watermark)?;
        assert!(frozen.watermark() <= watermark);
        Some(frozen)
    }

    fn install(&mut self, persisted: PersistedVectors) {
        self.inner.install(persisted);
        drop(self.inner.take_garbage());
    }
}
