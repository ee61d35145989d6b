//! Tenants who have the same names and keys, and nothing else in common.

use crate::world::World;
use nodedb::{
    BatchOp, CheckpointRequest, Collection, CollectionKind, Database, Document, Error, ErrorKind,
    IdempotencyId, Metric, NewCollection, NewIndex, OpenOptions, ScanOptions, SearchOptions,
    Tenant, TenantLimits, WriteOptions,
};
use nodedb_testkit::SeededRandom;
use std::collections::BTreeMap;

const TENANTS: [Option<&str>; 3] = [None, Some("acme"), Some("zenith")];
const SEED: u64 = 0x7465_6e61;
const STEPS: u32 = 1500;

/// What one tenant has put and nobody else has touched.
#[derive(Default)]
struct Model {
    documents: BTreeMap<String, u64>,
    texts: BTreeMap<String, BTreeMap<String, i64>>,
    /// Idempotent puts: what was sent under which name.
    once: BTreeMap<String, (String, u64)>,
    /// Grows with each new collection: what was sent to the one before is another request.
    generation: u32,
    indexed: bool,
}

struct Tenants {
    database: Database,
    models: [Model; 3],
    random: SeededRandom,
    numbers: u64,
}

impl Tenants {
    fn tenant(&self, at: usize) -> Tenant {
        self.database.tenant(TENANTS[at]).expect("a good name")
    }

    fn documents(&self, at: usize) -> Collection {
        self.tenant(at).collection("c").expect("there")
    }

    fn texts(&self, at: usize) -> Collection {
        self.tenant(at).collection("t").expect("there")
    }

    fn create(&mut self, at: usize) {
        let new = NewCollection::named("c").with_vector("v", 2, Metric::L2);
        let new = new.with_index(NewIndex::field("n"));
        self.tenant(at).create_collection(new).expect("created");
        self.models[at].documents.clear();
        self.models[at].once.clear();
        self.models[at].generation += 1;
        self.models[at].indexed = true;
    }

    fn key(&self) -> String {
        format!("k{}", self.random.below(30))
    }

    /// A number that nobody has put before: whoever sees it sees whose it is.
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn step(&mut self) {
        let at = usize::try_from(self.random.below(3)).expect("small");
        match self.random.below(100) {
            0..24 => self.put(at),
            24..30 => self.put_once(at),
            30..40 => self.delete(at),
            40..55 => self.batch(at),
            55..65 => self.edit(at),
            65..92 => self.look(at),
            92..94 => self.delete_where(at),
            94..97 => self.change_index(at),
            97 => {
                self.tenant(at).drop_collection("c").expect("dropped");
                self.create(at);
            }
            _ => {
                self.database.checkpoint(CheckpointRequest::default()).expect("a checkpoint");
            }
        }
    }

    fn put(&mut self, at: usize) {
        let (key, number) = (self.key(), self.number());
        let json = json(number);
        self.documents(at).put_raw(&key, json.as_bytes(), WriteOptions::default()).expect("put");
        self.models[at].documents.insert(key, number);
    }

    /// The tenants use the same names, so that a retry which found another tenant's would show it.
    fn put_once(&mut self, at: usize) {
        let id = format!("{}-{}", self.models[at].generation, self.random.below(8));
        let sent = self.models[at].once.get(&id).cloned();
        let is_retry = sent.is_some();
        let (key, number) = sent.unwrap_or_else(|| (self.key(), self.number()));
        let idempotency = Some(IdempotencyId::new(&id).expect("a name"));
        let options = WriteOptions { idempotency, ..WriteOptions::default() };
        let documents = self.documents(at);
        documents.put_raw(&key, json(number).as_bytes(), options).expect("put, or answered again");
        let other = json(self.number());
        let conflict = documents.put_raw(&key, other.as_bytes(), options).expect_err("another");
        assert_eq!(conflict.kind(), ErrorKind::Conflict);
        if !is_retry {
            self.models[at].once.insert(id, (key.clone(), number));
            self.models[at].documents.insert(key, number);
        }
    }

    fn delete(&mut self, at: usize) {
        let key = self.key();
        let deleted = self.documents(at).delete(&key, WriteOptions::default());
        match self.models[at].documents.remove(&key) {
            Some(_) => drop(deleted.expect("it was there")),
            None => assert_eq!(deleted.expect_err("not there").kind(), ErrorKind::NotFound),
        }
    }

    fn batch(&mut self, at: usize) {
        let first = self.random.below(10);
        let puts: Vec<_> =
            (0..3).map(|step| (format!("k{}", first + step * 10), self.number())).collect();
        let put = |(key, number): &(String, u64)| BatchOp::Put {
            collection: "c".to_owned(),
            key: key.clone().into_bytes(),
            value: json(*number).into_bytes(),
            expect: None,
        };
        self.tenant(at).batch(&puts.iter().map(put).collect::<Vec<_>>()).expect("written");
        self.models[at].documents.extend(puts);
    }

    fn edit(&mut self, at: usize) {
        let (key, member, number) = (self.key(), self.key(), self.number());
        let number = i64::try_from(number).expect("small");
        let edited = self.texts(at);
        let other = self.texts((at + 1) % TENANTS.len());
        let before = other.export_crdt(&key, None).ok();
        edited.edit_crdt(&key, |doc| doc.get_map("m").insert(&member, number)).expect("edited");
        assert_eq!(other.export_crdt(&key, None).ok(), before, "of another tenant");
        self.models[at].texts.entry(key).or_default().insert(member, number);
    }

    fn delete_where(&mut self, at: usize) {
        let below = self.numbers - self.numbers.min(40);
        let deleted = self.documents(at).delete_where(&format!("n < {below}")).expect("deleted");
        let documents = &mut self.models[at].documents;
        let before = documents.len();
        documents.retain(|_, number| *number >= below);
        assert_eq!(deleted.count, (before - documents.len()) as u64);
    }

    fn change_index(&mut self, at: usize) {
        let documents = self.documents(at);
        if self.models[at].indexed {
            documents.drop_index("v").expect("dropped");
            documents.drop_index("n").expect("dropped");
        } else {
            documents.add_index(NewIndex::vector("v", 2, Metric::L2)).expect("added");
            documents.add_index(NewIndex::field("n")).expect("added");
        }
        self.models[at].indexed = !self.models[at].indexed;
    }

    /// Every way to look at a tenant's data shows its own and all of it.
    fn look(&self, at: usize) {
        let (model, documents) = (&self.models[at], self.documents(at));
        let key = self.key();
        let got = documents.get(&key).expect("read").map(|found| number(&found));
        assert_eq!(got.as_ref(), model.documents.get(&key));
        let scanned = documents.scan(ScanOptions::default()).expect("a scan");
        let scanned: Vec<_> = scanned.map(|row| entry(&row.expect("a row"))).collect();
        assert_eq!(scanned, entries(&model.documents));
        let near = SearchOptions::vector("v", vec![0.0, 0.0]).with_k(100);
        let hits = documents.search(near.with_filter("n >= 0"));
        if model.indexed {
            let mut hits: Vec<_> =
                hits.expect("hits").iter().map(|hit| entry(&hit.document)).collect();
            hits.sort();
            assert_eq!(hits, entries(&model.documents));
        } else {
            assert_eq!(hits.expect_err("no index").kind(), ErrorKind::NotFound);
        }
        let listed = self.tenant(at).collections().expect("listed");
        let count = listed.iter().find(|one| one.name == "c").expect("there").documents;
        assert_eq!((listed.len(), count), (2, model.documents.len() as u64));
        self.look_at_numbers(at, &documents);
        self.look_at_texts(at, &key);
    }

    /// What is only counted or explained counts nobody else's.
    fn look_at_numbers(&self, at: usize, documents: &Collection) {
        let model = &self.models[at];
        let all = model.documents.len() as u64;
        assert_eq!(documents.count(None).expect("counted"), all);
        let half = self.numbers / 2;
        let old = model.documents.values().filter(|number| **number < half).count() as u64;
        assert_eq!(documents.count(Some(&format!("n < {half}"))).expect("counted"), old);
        let statistics = documents.statistics().expect("counted");
        let bytes = model.documents.iter();
        let bytes = bytes.map(|(key, number)| (key.len() + json(*number).len()) as u64);
        assert_eq!(statistics.documents, all);
        assert_eq!(statistics.key_bytes + statistics.value_bytes, bytes.sum::<u64>());
        let entries: Vec<_> = statistics.indexes.iter().map(|index| index.entries).collect();
        if !model.indexed {
            assert!(entries.is_empty(), "dropped, also if another tenant has one");
            assert_eq!(documents.explain("n = 1").expect("explained").access, "scan");
            return;
        }
        assert_eq!(entries, [all, all]);
        assert_eq!(documents.explain("n = 1").expect("explained").access, "index");
        let near = SearchOptions::vector("v", vec![0.0, 0.0]).with_k(1);
        let explained = documents.explain_search(near).expect("explained");
        assert_eq!(explained.iter().map(|part| part.vectors).sum::<u64>(), all);
    }

    fn look_at_texts(&self, at: usize, key: &str) {
        let texts = self.texts(at);
        let exported = texts.export_crdt(key, None);
        let Some(model) = self.models[at].texts.get(key) else {
            return assert_eq!(exported.expect_err("none").kind(), ErrorKind::NotFound);
        };
        assert!(!exported.expect("exported").is_empty());
        let found = texts.get(key).expect("read").expect("there");
        let found: BTreeMap<String, BTreeMap<String, i64>> = found.parse().expect("JSON");
        assert_eq!(found.get("m"), Some(model));
    }

    fn reopen(self, world: &World) -> Self {
        let Self { database, models, random, numbers } = self;
        database.close().expect("closed");
        Self { database: world.reopen(), models, random, numbers }
    }
}

fn json(number: u64) -> String {
    format!("{{\"v\":[{number},0],\"n\":{number}}}")
}

fn number(document: &Document) -> u64 {
    let value: serde_json::Value = document.parse().expect("JSON");
    value["n"].as_u64().expect("a number")
}

fn entry(document: &Document) -> (String, u64) {
    (String::from_utf8(document.key.to_vec()).expect("text"), number(document))
}

fn entries(model: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    model.iter().map(|(key, number)| (key.clone(), *number)).collect()
}

/// What never happens, 6: one tenant sees another's row.
#[test]
fn no_read_scan_hit_count_merge_batch_or_index_crosses_tenants() {
    let world = World::new();
    let random = SeededRandom::new(SEED);
    let database = world.open(World::small());
    let mut tenants = Tenants { database, models: Default::default(), random, numbers: 0 };
    for at in 0..TENANTS.len() {
        tenants.create(at);
        let texts = NewCollection::named("t").with_kind(CollectionKind::Crdt);
        tenants.tenant(at).create_collection(texts).expect("created");
    }
    for step in 0..STEPS {
        tenants.step();
        if step % 500 == 499 {
            tenants = tenants.reopen(&world);
        }
    }
    (0..TENANTS.len()).for_each(|at| tenants.look(at));
}

/// A handle of one tenant is of no use to another, also not by a cursor.
#[test]
fn a_cursor_of_another_tenants_collection_is_refused() -> Result<(), Error> {
    let world = World::new();
    let database = world.open(World::small());
    let cursor = |tenant: Option<&str>| {
        let tenant = database.tenant(tenant)?;
        tenant.create_collection(NewCollection::named("c"))?;
        let collection = tenant.collection("c")?;
        for key in ["a", "b", "c"] {
            collection.put(key, &1)?;
        }
        let mut scan = collection.scan(ScanOptions { limit: Some(1), ..ScanOptions::default() })?;
        scan.by_ref().for_each(drop);
        Ok::<_, Error>((collection, scan.cursor()))
    };
    let (_, foreign) = cursor(None)?;
    let (own, _) = cursor(Some("acme"))?;
    let scan = own.scan(ScanOptions { cursor: foreign, ..ScanOptions::default() });
    assert_eq!(scan.expect_err("another's").kind(), ErrorKind::InvalidInput);
    Ok(())
}

#[test]
fn a_tenant_has_no_more_than_its_limits() -> Result<(), Error> {
    let world = World::new();
    let tenant_limits = TenantLimits { in_flight: 1, collections: 1, bytes: None };
    let options = OpenOptions { tenant_limits, ..World::options(Some(World::small())) };
    let database = Database::open_with(world.dir(), options)?;
    for tenant in TENANTS {
        let tenant = database.tenant(tenant)?;
        tenant.create_collection(NewCollection::named("c").with_partitions(1))?;
        let refused = tenant.create_collection(NewCollection::named("d")).expect_err("the second");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        tenant.drop_collection("c")?;
        tenant.create_collection(NewCollection::named("d").with_partitions(1))?;
        let documents = tenant.collection("d")?;
        for number in 0..20 {
            documents.put("k", &number)?;
        }
        assert_eq!(documents.get("k")?.expect("there").text()?, "19");
    }
    let none = TenantLimits { in_flight: 0, ..TenantLimits::default() };
    let options = OpenOptions { tenant_limits: none, ..OpenOptions::default() };
    assert_eq!(options.validate().expect_err("nobody could ask").kind(), ErrorKind::InvalidInput);
    Ok(())
}
