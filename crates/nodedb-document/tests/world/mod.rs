//! A log, a bench with an engine on it, and short names for tests.
#![expect(unreachable_pub, reason = "shared by the test binaries of this crate")]
#![expect(clippy::disallowed_methods, reason = "tests look at real files")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use nodedb_document::{
    DocumentEngine, LsmTables, Place, PlainTables, Ports, ReadAt, ScanRange, TableStore,
};
use nodedb_engine::{
    CatalogChange, DurableLog, Engine, EngineError, Frozen, NotDurable, Persisted, Redo, Snapshots,
};
use nodedb_env::{Env, Files};
use nodedb_types::{CollectionId, LogEpoch, Lsn, Stamp, TenantId};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub const TENANT: TenantId = TenantId::DEFAULT;
pub const NOTES: CollectionId = CollectionId::new(1);

pub fn lsn(value: u64) -> Lsn {
    Lsn::from_u64(value).expect("not zero")
}

pub fn stamp(value: u64) -> Stamp {
    Stamp { epoch: LogEpoch::new(1), lsn: lsn(value) }
}

/// A log that makes durable what it is asked for, up to a limit.
#[derive(Debug)]
pub struct TestLog {
    durable: AtomicU64,
    limit: AtomicU64,
    commit_ms: AtomicU64,
}

impl TestLog {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            durable: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            commit_ms: AtomicU64::new(0),
        })
    }

    pub fn set_commit_ms(&self, value: u64) {
        self.commit_ms.store(value, Ordering::SeqCst);
    }

    pub fn set_durable(&self, value: u64) {
        self.durable.store(value, Ordering::SeqCst);
    }

    pub fn set_limit(&self, value: u64) {
        self.limit.store(value, Ordering::SeqCst);
    }
}

impl DurableLog for TestLog {
    fn durable(&self) -> Option<Lsn> {
        Lsn::from_u64(self.durable.load(Ordering::SeqCst))
    }

    fn commit_ms(&self) -> u64 {
        self.commit_ms.load(Ordering::SeqCst)
    }

    fn wait_durable(&self, lsn: Lsn) -> Result<(), NotDurable> {
        if lsn.get() > self.limit.load(Ordering::SeqCst) {
            return Err(NotDurable);
        }
        self.durable.fetch_max(lsn.get(), Ordering::SeqCst);
        Ok(())
    }
}

/// The ports of an engine over any files, whose log is complete.
pub fn plain_ports(files: Arc<dyn Files>) -> Ports {
    let log = TestLog::new();
    log.set_durable(1 << 20);
    let env = Env::real();
    let snapshots = Snapshots::new(Arc::clone(&env.clock));
    Ports { files, tables: Arc::new(PlainTables), ..Ports::new(&env, snapshots, log) }
}

/// A directory, a log, and what engines on them need.
#[derive(Debug)]
pub struct Bench {
    pub temp: tempfile::TempDir,
    pub dir: PathBuf,
    pub log: Arc<TestLog>,
    pub ports: Ports,
}

impl Bench {
    pub fn new() -> Self {
        Self::over(Arc::new(LsmTables::default()))
    }

    pub fn plain() -> Self {
        Self::over(Arc::new(PlainTables))
    }

    pub fn over(tables: Arc<dyn TableStore>) -> Self {
        let temp = tempfile::tempdir().expect("a directory");
        let log = TestLog::new();
        let env = Env::real();
        let snapshots = Snapshots::new(Arc::clone(&env.clock));
        let ports = Ports { tables, ..Ports::new(&env, snapshots, Arc::<TestLog>::clone(&log)) };
        Self { dir: temp.path().join("documents"), temp, log, ports }
    }

    pub fn create(&self) -> DocumentEngine {
        DocumentEngine::create(&self.ports, &self.dir).expect("created")
    }

    pub fn load(&self) -> Result<DocumentEngine, EngineError> {
        DocumentEngine::load(&self.ports, &self.dir)
    }

    /// Freezes, persists and installs; answers the floor.
    pub fn flush(&self, engine: &mut DocumentEngine, watermark: u64) -> Option<Lsn> {
        let frozen = engine.freeze(lsn(watermark))?;
        let persisted = frozen.persist(&*self.log).expect("persisted");
        let floor = persisted.flushed().floor();
        engine.install(persisted);
        floor
    }

    pub fn verify(&self) -> Result<nodedb_document::Verified, EngineError> {
        DocumentEngine::verify(&*self.ports.files, &self.dir, &*self.ports.tables)
    }

    pub fn tables(&self) -> PathBuf {
        self.dir.join("tables")
    }
}

pub fn place(key: &str) -> Place<'_> {
    Place { tenant: TENANT, collection: NOTES, key: key.as_bytes() }
}

pub fn put(engine: &mut DocumentEngine, at: u64, key: &str, value: &str) {
    put_until(engine, at, (key, value), None);
}

/// A put that expires at a time of the commit clock.
pub fn put_until(
    engine: &mut DocumentEngine,
    at: u64,
    (key, value): (&str, &str),
    expires: Option<u64>,
) {
    let redo = Redo::Put {
        collection: NOTES,
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        vectors: Vec::new(),
        expires,
        fields: Vec::new(),
    };
    engine.apply(stamp(at), TENANT, &redo);
}

pub fn delete(engine: &mut DocumentEngine, at: u64, key: &str) {
    let redo = Redo::Delete {
        collection: NOTES,
        key: Bytes::copy_from_slice(key.as_bytes()),
        vectors: Vec::new(),
        crdt: None,
        fields: Vec::new(),
    };
    engine.apply(stamp(at), TENANT, &redo);
}

pub fn drop_collection(engine: &mut DocumentEngine, at: u64, id: CollectionId) {
    let redo = Redo::Catalog(CatalogChange::DropCollection { id, indexes: Vec::new() });
    engine.apply(stamp(at), TENANT, &redo);
}

pub fn get(engine: &DocumentEngine, key: &str, at: ReadAt) -> Option<String> {
    let stored = engine.get(&place(key), at).expect("readable")?;
    Some(String::from_utf8(stored.value.to_vec()).expect("text"))
}

pub fn whole() -> ScanRange {
    ScanRange::all(TENANT, NOTES)
}

/// All rows as `key=value`, joined by blanks.
pub fn scan(engine: &DocumentEngine, at: ReadAt) -> String {
    let page = engine.scan(&whole(), at).expect("readable");
    assert_eq!(page.next, None);
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).expect("text");
    page.rows
        .iter()
        .map(|(key, stored)| format!("{}={}", text(key), text(&stored.value)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Merges until there is nothing left to merge.
pub fn compact(engine: &mut DocumentEngine) {
    let maintenance = engine.maintenance();
    while let Some(tables) = maintenance.compact().expect("merged") {
        engine.install_tables(tables);
    }
}

/// Copies a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}
