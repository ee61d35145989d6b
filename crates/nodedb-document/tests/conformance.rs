//! The engine passes the suite of all engines, on a simulated disk.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

#[path = "../../nodedb-engine/tests/sim_disk/mod.rs"]
mod sim_disk;
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use bytes::Bytes;
use nodedb_document::{DocumentEngine, Expiring, ExpiryPlace, Place, ReadAt, ScanRange};
use nodedb_engine::{
    CatalogChange, CrdtRows, EngineError, Idempotency, IssuedKey, Redo,
    conformance::{Chance, Record, Subject, check},
};
use nodedb_env::Files;
use nodedb_types::{CollectionId, Lsn, TenantId};
use sim_disk::SimDisk;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
    sync::Arc,
};
use world::plain_ports;

/// Plain documents in collection 1, CRDT documents in 2, and 3 is dropped once.
const COLLECTIONS: [CollectionId; 3] =
    [CollectionId::new(1), CollectionId::new(2), CollectionId::new(3)];
const CRDT: CollectionId = COLLECTIONS[1];

#[derive(Debug)]
struct Documents;

impl Subject for Documents {
    type Engine = DocumentEngine;

    fn create(&self, files: Arc<dyn Files>, dir: &Path) -> Result<DocumentEngine, EngineError> {
        DocumentEngine::create(&plain_ports(files), dir)
    }

    fn load(&self, files: Arc<dyn Files>, dir: &Path) -> Result<DocumentEngine, EngineError> {
        DocumentEngine::load(&plain_ports(files), dir)
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
                    blobs = engine.crdt_blobs(&place, &rows, ReadAt::Latest).expect("whole");
                }
                let at = stored.stamp.lsn;
                writeln!(out, "{collection} {key:?} {at} {blobs:?}").expect("memory");
            }
        }
        let remembered = engine.idempotency_keys(TenantId::DEFAULT).expect("readable");
        let oldest =
            engine.oldest_idempotency_keys(TenantId::DEFAULT, &remembered.horizon, usize::MAX);
        let oldest = oldest.expect("readable");
        assert_eq!(oldest.len() as u64, remembered.kept, "each key has an entry by its age");
        for IssuedKey { issued, key } in oldest {
            let found = engine.idempotency(TenantId::DEFAULT, &key).expect("readable");
            let found = found.expect("listed");
            assert_eq!(found.issued, issued);
            let (at, digest, outcome) = (found.stamp.lsn, found.digest, found.outcome);
            writeln!(out, "once {key:?} {at} {issued} {digest} {outcome:?}").expect("memory");
        }
        writeln!(out, "horizon {:?}", remembered.horizon).expect("memory");
        let all = engine.expiring(&ExpiryPlace::first(), u64::MAX, usize::MAX).expect("readable");
        assert_eq!(all.next, None);
        for Expiring { time_ms, collection, key, .. } in all.due {
            writeln!(out, "expires {time_ms} {collection} {key:?}").expect("memory");
        }
        out
    }

    fn model(&self, records: &[Record]) -> String {
        let mut rows: BTreeMap<(CollectionId, Bytes), (Lsn, Vec<Bytes>)> = BTreeMap::new();
        let mut dropped = BTreeSet::new();
        let mut remembered = BTreeMap::new();
        let mut pushed_out = IssuedKey::NONE;
        let mut expiring = BTreeSet::new();
        for record in records {
            let at = record.at.lsn;
            match &record.redo {
                Redo::Put { collection, key, value, expires, .. } => {
                    let row = (*collection, key.clone());
                    if let Some(time_ms) = expires.filter(|_| !dropped.contains(collection)) {
                        expiring.insert((time_ms, *collection, key.clone()));
                    }
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
                Redo::CrdtSnapshot { collection, key, snapshot, rows: left, .. } => {
                    let row = (*collection, key.clone());
                    let (last, blobs) = rows.entry(row).or_insert((at, Vec::new()));
                    *last = at;
                    blobs.truncate(left.slots.len() - 1);
                    blobs.push(snapshot.clone());
                }
                Redo::Catalog(CatalogChange::DropCollection { id, .. }) => {
                    dropped.insert(*id);
                }
                Redo::Idempotency(once) => {
                    let Idempotency { key, issued, digest, outcome, evicted, horizon, .. } = once;
                    let line = format!("once {key:?} {at} {issued} {digest} {outcome:?}");
                    let issued = IssuedKey { issued: *issued, key: key.clone() };
                    remembered.insert(issued, line);
                    for key in evicted {
                        remembered.remove(key);
                    }
                    pushed_out = horizon.clone();
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
        for line in remembered.into_values() {
            writeln!(out, "{line}").expect("memory");
        }
        writeln!(out, "horizon {pushed_out:?}").expect("memory");
        for (time_ms, collection, key) in expiring {
            writeln!(out, "expires {time_ms} {collection} {key:?}").expect("memory");
        }
        out
    }

    fn history(&self, chance: &mut Chance, count: usize) -> Vec<Record> {
        let mut past = Past::default();
        let number = 1..=count as u64;
        number
            .map(|number| Record::new(number, redo(&mut past, chance, number, count as u64)))
            .collect()
    }
}

/// The lowest slot that the document does not use at the moment.
fn take_slot(rows: &mut CrdtRows) -> u8 {
    let slot = (0..=u8::MAX).find(|slot| !rows.slots.contains(slot)).expect("a free slot");
    rows.slots.push(slot);
    rows.used = rows.used.max(slot + 1);
    slot
}

/// What a history has come to.
#[derive(Default)]
struct Past {
    crdt: BTreeMap<u32, CrdtRows>,
    /// Idempotency keys that are remembered, and the last that was pushed out.
    keys: BTreeSet<IssuedKey>,
    horizon: Option<IssuedKey>,
}

/// Idempotency keys that are remembered.
const KEYS_MAX: usize = 3;

impl Past {
    /// A key of its own for each record; two records have the same time.
    fn remember(&mut self, number: u64, outcome: Bytes) -> Redo {
        let key = Bytes::from(format!("once{number}"));
        let issued = number / 2;
        let mut evicted = Vec::new();
        while self.keys.len() >= KEYS_MAX {
            evicted.extend(self.keys.pop_first());
        }
        self.horizon = evicted.last().cloned().or(self.horizon.take());
        self.keys.insert(IssuedKey { issued, key: key.clone() });
        Redo::Idempotency(Idempotency {
            key,
            issued,
            digest: u128::from(number) << 64,
            outcome,
            evicted,
            horizon: self.horizon.clone().unwrap_or(IssuedKey::NONE),
            kept: self.keys.len() as u64,
        })
    }
}

fn redo(past: &mut Past, chance: &mut Chance, number: u64, count: u64) -> Redo {
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
        8 => past.remember(number, blob),
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
            crdt: Some(past.crdt.remove(&which).unwrap_or_default()),
            fields: Vec::new(),
        },
        2 | 3 => {
            let rows = past.crdt.entry(which).or_default();
            let slot = take_slot(rows);
            Redo::CrdtMerge { collection: CRDT, key, slot, update: blob, rows: rows.clone() }
        }
        4 if past.crdt.contains_key(&which) => {
            // All of them by a snapshot, or the latest by one update that packs them.
            let rows = past.crdt.get_mut(&which).expect("just seen");
            let count = u32::try_from(rows.slots.len()).expect("few");
            let kept = usize::try_from(chance.below(count)).expect("small");
            let mut freed: Vec<_> = rows.slots.drain(kept..).collect();
            let slot = take_slot(rows);
            freed.retain(|freed| *freed != slot && chance.below(2) == 0);
            let (snapshot, rows) = (blob, rows.clone());
            Redo::CrdtSnapshot { collection: CRDT, key, slot, snapshot, rows, freed }
        }
        _ => Redo::Put {
            collection: plain,
            key,
            value: blob,
            // Later than the time that a test's log says.
            expires: (chance.below(3) == 0).then(|| 100 + u64::from(chance.below(4))),
            vectors: Vec::new(),
            fields: Vec::new(),
        },
    }
}

#[test]
fn the_documents_pass_the_suite() {
    check::<Documents, SimDisk>(&Documents);
}
