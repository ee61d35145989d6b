//! The catalog passes the suite of all engines.

#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

mod sim_disk;

use bytes::Bytes;
use nodedb_engine::{
    Catalog, CatalogChange, CatalogEngine, Collection, CollectionKind, EngineError, Metric, Redo,
    VectorIndex,
    conformance::{Chance, Record, Subject, check},
};
use nodedb_env::Files;
use nodedb_types::{CollectionId, IndexId, Name, TenantId};
use sim_disk::SimDisk;
use std::{path::Path, sync::Arc};

#[derive(Debug)]
struct Catalogs;

impl Subject for Catalogs {
    type Engine = CatalogEngine;

    fn create(&self, files: Arc<dyn Files>, dir: &Path) -> Result<CatalogEngine, EngineError> {
        CatalogEngine::create(files, dir)
    }

    fn load(&self, files: Arc<dyn Files>, dir: &Path) -> Result<CatalogEngine, EngineError> {
        CatalogEngine::load(files, dir)
    }

    fn dump(&self, engine: &CatalogEngine) -> String {
        format!("{:#?}", engine.catalog())
    }

    fn model(&self, records: &[Record]) -> String {
        let mut catalog = Catalog::default();
        for record in records {
            if let Redo::Catalog(change) = &record.redo {
                catalog.apply(record.at.lsn, change);
            }
        }
        format!("{catalog:#?}")
    }

    fn history(&self, chance: &mut Chance, count: usize) -> Vec<Record> {
        let mut catalog = Catalog::default();
        let mut records = Vec::new();
        for number in 1..=count as u64 {
            let redo = redo(&catalog, chance, number);
            let record = Record::new(number, redo);
            if let Redo::Catalog(change) = &record.redo {
                catalog.check(change).expect("a valid change");
                catalog.apply(record.at.lsn, change);
            }
            records.push(record);
        }
        records
    }
}

fn name(number: u64) -> Name {
    Name::new(&format!("name-{number}")).expect("a good name")
}

fn redo(catalog: &Catalog, chance: &mut Chance, number: u64) -> Redo {
    let (tenant, id, index) = catalog.next_ids();
    match chance.below(5) {
        0 => Redo::Put {
            collection: CollectionId::new(1),
            key: Bytes::from_static(b"not of the catalog"),
            value: Bytes::new(),
            vectors: Vec::new(),
            expires: None,
            fields: Vec::new(),
        },
        1 => Redo::Catalog(CatalogChange::CreateTenant { id: tenant, name: name(number) }),
        2 if catalog.all().next().is_some() => {
            let count = u32::try_from(catalog.all().count()).expect("few");
            let place = usize::try_from(chance.below(count)).expect("few");
            let dropped = catalog.all().nth(place).expect("below the count");
            Redo::Catalog(CatalogChange::DropCollection {
                id: dropped.id,
                indexes: dropped.vectors.iter().map(|index| index.id).collect(),
            })
        }
        _ => Redo::Catalog(CatalogChange::CreateCollection(Collection {
            id,
            tenant: TenantId::DEFAULT,
            name: name(number),
            kind: CollectionKind::Document,
            partitions: 1,
            vectors: (0..chance.below(3))
                .map(|place| VectorIndex {
                    id: IndexId::new(index.get() + place),
                    field: format!("f{place}"),
                    dimensions: 4,
                    metric: Metric::L2,
                    storage: nodedb_engine::VectorStorage::default(),
                    state: nodedb_engine::IndexState::default(),
                })
                .collect(),
            fields: Vec::new(),
        })),
    }
}

#[test]
fn the_catalog_engine_conforms() {
    check::<_, SimDisk>(&Catalogs);
}
