use super::*;
use crate::{DataOptions, engines::Engines, plane::NothingDurable};
use nodedb_document::Ports;
use nodedb_engine::{
    CatalogChange, Collection, CollectionKind, Metric, Redo, Snapshots, VectorChange, VectorIndex,
    VectorStorage,
};
use nodedb_env::Env;
use nodedb_types::{CollectionId, LogEpoch, Name, Stamp, VshardId};
use std::sync::Arc;
use tempfile::TempDir;

const NOTES: CollectionId = CollectionId::new(1);
const INDEX: IndexId = IndexId::new(1);

/// A vshard by itself, without a core.
struct Alone {
    vshard: Vshard,
    last: Lsn,
    _dir: TempDir,
}

impl Alone {
    fn new() -> Self {
        let env = Env::real();
        let dir = tempfile::tempdir().expect("a directory");
        let snapshots = Snapshots::new(Arc::clone(&env.clock));
        let ports = Ports::new(&env, snapshots, Arc::new(NothingDurable));
        Engines::create(&ports, dir.path()).expect("new engines");
        let engines = Engines::load(&ports, dir.path()).expect("loads");
        let path = dir.path().to_owned();
        let vshard = Vshard::new(VshardId::new(0), path, engines, &DataOptions::default());
        let mut alone = Self { vshard, last: Lsn::FIRST, _dir: dir };
        alone.apply(&Redo::Catalog(CatalogChange::CreateCollection(Collection {
            id: NOTES,
            tenant: TenantId::DEFAULT,
            name: Name::new("notes").expect("a good name"),
            kind: CollectionKind::Document,
            partitions: 1,
            vectors: vec![VectorIndex {
                id: INDEX,
                field: "v".to_owned(),
                dimensions: 1,
                metric: Metric::L2,
                storage: VectorStorage::default(),
                state: IndexState::Ready,
            }],
            fields: Vec::new(),
        })));
        alone
    }

    fn apply(&mut self, redo: &Redo) {
        let stamp = Stamp { epoch: LogEpoch::new(1), lsn: self.last };
        self.vshard.apply(stamp, TenantId::DEFAULT, redo);
        self.last = self.last.next();
    }

    fn put(&mut self, row: u8, tag: &str) {
        self.apply(&Redo::Put {
            collection: NOTES,
            key: Bytes::from(format!("{row:03}")),
            value: Bytes::from(format!("{{\"tag\":\"{tag}\"}}")),
            vectors: vec![VectorChange { index: INDEX, vector: Some(vec![f32::from(row)]) }],
            expires: None,
            fields: Vec::new(),
        });
    }

    fn delete(&mut self, row: u8) {
        self.apply(&Redo::Delete {
            collection: NOTES,
            key: Bytes::from(format!("{row:03}")),
            vectors: vec![INDEX],
            fields: Vec::new(),
            crdt: None,
        });
    }

    /// The hits of one slice that has no time, if it was the last.
    fn slice(&self, run: &mut SearchRun) -> Option<String> {
        let ready = self.vshard.search(run, Duration::ZERO).expect("a good search");
        let (Outcome::Hits(hits), _) = ready? else { panic!("hits") };
        let keys = hits.iter().map(|hit| String::from_utf8_lossy(&hit.key).into_owned());
        Some(keys.collect::<Vec<_>>().join(" "))
    }
}

fn rare(k: usize) -> SearchRun {
    let search = Search {
        collection: NOTES,
        index: INDEX,
        vector: vec![0.0],
        metric: Metric::L2,
        k,
        filter: Some(Arc::new(Filter::parse("tag = 'rare'").expect("a filter"))),
        effort: Effort::Usual,
    };
    SearchRun::hits(TenantId::DEFAULT, search)
}

/// A search whose filter took little read up to every document in one turn, and its core served nobody else
/// meanwhile.
#[test]
fn a_slice_reads_no_more_than_its_time_allows_and_the_next_goes_on() {
    let mut alone = Alone::new();
    for row in 0..200 {
        alone.put(row, if row == 150 { "rare" } else { "common" });
    }
    let mut run = rare(2);
    let slices = (1..).find_map(|slice| Some((slice, alone.slice(&mut run)?)));
    // One document each, and none twice.
    assert_eq!(slices, Some((200, "150".to_owned())));
    assert_eq!(
        alone.vshard.search(&mut rare(2), Duration::MAX).expect("searched").map(|_| ()),
        Some(())
    );
}

/// What one slice has read may be written, deleted or drop out before the last.
#[test]
fn the_answer_is_of_the_moment_of_the_last_slice() {
    let mut alone = Alone::new();
    for row in 0..40 {
        alone.put(row, if row % 10 == 5 { "rare" } else { "common" });
    }
    let mut run = rare(10);
    for _ in 0..30 {
        assert_eq!(alone.slice(&mut run), None);
    }
    // Refused, accepted, accepted; and one not read yet.
    alone.put(3, "rare");
    alone.put(5, "common");
    alone.delete(15);
    alone.put(38, "rare");
    let found = (0..100).find_map(|_| alone.slice(&mut run));
    assert_eq!(found.as_deref(), Some("003 025 035 038"));
}

#[test]
fn a_search_over_slices_meets_the_catalog_as_it_is() {
    let mut alone = Alone::new();
    for row in 0..5 {
        alone.put(row, "common");
    }
    let mut run = rare(1);
    assert_eq!(alone.slice(&mut run), None);
    alone.apply(&Redo::Catalog(CatalogChange::DropCollection { id: NOTES, indexes: vec![INDEX] }));
    let gone = alone.vshard.search(&mut run, Duration::ZERO).expect_err("dropped");
    assert!(matches!(gone, DataError::NoSuchCollection { .. }), "{gone}");
}
