//! The engine passes the suite of all engines, on a simulated disk.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

#[path = "../../nodedb-engine/tests/sim_disk/mod.rs"]
mod sim_disk;
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use bytes::Bytes;
use nodedb_document::{DocumentEngine, Place, PlainTables, Ports, ReadAt, ScanRange};
use nodedb_engine::{
    CatalogChange, CrdtRows, EngineError, Idempotency, IoBudget, Redo, Snapshots,
    conformance::{Chance, Record, Subject, check},
};
use nodedb_env::{Files, RealClock};
use nodedb_types::{CollectionId, Lsn, TenantId};
use sim_disk::SimDisk;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
    sync::Arc,
};
use world::{TestLog, lsn};

/// Plain documents in collection 1, CRDT documents in 2, and 3 is dropped once.
const COLLECTIONS: [CollectionId; 3] =
    [CollectionId::new(1), CollectionId::new(2), CollectionId::new(3)];
const CRDT: CollectionId = COLLECTIONS[1];

#[derive(Debug)]
struct Documents;

/// The suite says itself what is durable; a load finds the log complete.
fn ports(files: Arc<dyn Files>) -> Ports {
    let log = TestLog::new();
    log.set_durable(1 << 20);
    let clock = Arc::new(RealClock::new());
    Ports {
        files,
        snapshots: Snapshots::new(Arc::<RealClock>::clone(&clock)),
        log,
        tables: Arc::new(PlainTables),
        budget: IoBudget::new(clock, None),
    }
}

impl Subject for Documents {
    type Engine = DocumentEngine;

    fn create(&self, files: Arc<dyn Files>, dir: &Path) -> Result<DocumentEngine, EngineError> {
        DocumentEngine::create(&ports(files), dir)
    }

    fn load(&self, files: Arc<dyn Files>, dir: &Path) -> Result<DocumentEngine, EngineError> {
        DocumentEngine::load(&ports(files), dir)
    }

    fn dump(&self, engine: &DocumentEngine) -> String {
        let mut out = String::new();
        for collection in COLLECTIONS {
            let range = ScanRange::all(TenantId::DEFAULT, collection);
            let page = engine.scan(&range, ReadAt::Latest).expect("readable");
            for (key, stored) in page.rows {
                let mut blobs = vec![stored.value];
                let place = Place { tenant: TenantId::DEFAULT, collection, key: &key };
                if collection == CRDT {
                    let rows = engine.crdt_rows(&place, ReadAt::Latest).expect("readable");
                    let (_, rows) = rows.expect("scanned");
                    let (snapshot, updates) =
                        engine.crdt_blobs(&place, &rows, ReadAt::Latest).expect("whole");
                    blobs = snapshot.into_iter().chain(updates).collect();
                }
                let at = stored.stamp.lsn;
                writeln!(out, "{collection} {key:?} {at} {blobs:?}").expect("memory");
            }
        }
        let remembered = engine.idempotency_keys(TenantId::DEFAULT).expect("readable");
        for (issued, key) in remembered.keys {
            let found = engine.idempotency(TenantId::DEFAULT, &key).expect("readable");
            let found = found.expect("listed");
            assert_eq!(found.issued, issued);
            let (at, digest, outcome) = (found.stamp.lsn, found.digest, found.outcome);
            writeln!(out, "once {key:?} {at} {issued} {digest} {outcome:?}").expect("memory");
        }
        writeln!(out, "horizon {}", remembered.horizon).expect("memory");
        out
    }

    fn model(&self, records: &[Record]) -> String {
        let mut rows: BTreeMap<(CollectionId, Bytes), (Lsn, Vec<Bytes>)> = BTreeMap::new();
        let mut dropped = BTreeSet::new();
        let mut remembered = BTreeMap::new();
        let mut pushed_out = 0;
        for record in records {
            let at = record.at.lsn;
            match &record.redo {
                Redo::Put { collection, key, value, .. } => {
                    let row = (*collection, key.clone());
                    rows.insert(row, (at, vec![value.clone()]));
                }
                Redo::Delete { collection, key, .. } => {
                    drop(rows.remove(&(*collection, key.clone())));
                }
                Redo::CrdtMerge { collection, key, update, .. } => {
                    let row = (*collection, key.clone());
                    let (last, blobs) = rows.entry(row).or_insert((at, Vec::new()));
                    *last = at;
                    blobs.push(update.clone());
                }
                Redo::CrdtSnapshot { collection, key, snapshot, .. } => {
                    let row = (*collection, key.clone());
                    rows.insert(row, (at, vec![snapshot.clone()]));
                }
                Redo::Catalog(CatalogChange::DropCollection { id, .. }) => {
                    dropped.insert(*id);
                }
                Redo::Idempotency(once) => {
                    let Idempotency { key, issued, digest, outcome, evicted, horizon } = once;
                    let line = format!("{at} {issued} {digest} {outcome:?}");
                    remembered.insert(key.clone(), line);
                    for key in evicted {
                        remembered.remove(key);
                        pushed_out = *horizon;
                    }
                }
                Redo::Catalog(_) | Redo::IndexRows { .. } => {}
            }
        }
        let mut out = String::new();
        for ((collection, key), (at, blobs)) in rows {
            if !dropped.contains(&collection) {
                writeln!(out, "{collection} {key:?} {at} {blobs:?}").expect("memory");
            }
        }
        for (key, line) in remembered {
            writeln!(out, "once {key:?} {line}").expect("memory");
        }
        writeln!(out, "horizon {pushed_out}").expect("memory");
        out
    }

    fn history(&self, chance: &mut Chance, count: usize) -> Vec<Record> {
        let mut crdt = BTreeMap::new();
        let number = 1..=count as u64;
        number
            .map(|number| Record::new(number, redo(&mut crdt, chance, number, count as u64)))
            .collect()
    }
}

fn redo(crdt: &mut BTreeMap<u32, CrdtRows>, chance: &mut Chance, number: u64, count: u64) -> Redo {
    let which = chance.below(4);
    let key = Bytes::from(format!("key{which}"));
    let blob = Bytes::from(format!("blob {number}"));
    // Collection 3 lives in the first half.
    let plain =
        if number * 2 < count && chance.below(2) == 0 { COLLECTIONS[2] } else { COLLECTIONS[0] };
    if number * 2 == count {
        let id = COLLECTIONS[2];
        let indexes = Vec::new();
        return Redo::Catalog(CatalogChange::DropCollection { id, indexes });
    }
    match chance.below(9) {
        8 => Redo::Idempotency(Idempotency {
            key,
            issued: number,
            digest: u128::from(number) << 64,
            outcome: blob,
            evicted: vec![Bytes::from(format!("key{}", (which + 1) % 4))],
            horizon: number - 1,
        }),
        0 => Redo::Delete {
            collection: plain,
            key,
            vectors: Vec::new(),
            fields: Vec::new(),
            crdt: None,
        },
        1 => Redo::Delete {
            collection: CRDT,
            key,
            vectors: Vec::new(),
            crdt: Some(crdt.remove(&which).unwrap_or_default()),
            fields: Vec::new(),
        },
        2 | 3 => {
            let rows = crdt.entry(which).or_default();
            let earlier = rows.clone();
            rows.updates.push(lsn(number));
            Redo::CrdtMerge { collection: CRDT, key, update: blob, earlier }
        }
        4 if crdt.contains_key(&which) => {
            let rows = CrdtRows { snapshot: true, updates: Vec::new() };
            Redo::CrdtSnapshot {
                collection: CRDT,
                key,
                snapshot: blob,
                replaced: crdt.insert(which, rows).unwrap_or_default(),
            }
        }
        _ => Redo::Put {
            collection: plain,
            key,
            value: blob,
            expires: None,
            vectors: Vec::new(),
            fields: Vec::new(),
        },
    }
}

#[test]
fn the_documents_pass_the_suite() {
    check::<Documents, SimDisk>(&Documents);
}
