//! A data plane with everything below it, in a temporary directory.
use super::copies::copy_resting;
use crate::{
    Answer, Change, Consistency, DataError, DataHandle, DataOptions, DataPlane, Expect, Group,
    GroupWritten, Op, Outcome, Part, Priority, Proven, Recovery, Replayed, Row, Scan, Ticket,
    VshardFloors, VshardStatus, Write, Written, task::Task,
};
use bytes::Bytes;
use nodedb_bridge::Request;
use nodedb_engine::{CatalogChange, Collection, CollectionKind, Floor, Metric, VectorIndex};
use nodedb_env::Env;
use nodedb_testkit::{FaultyFiles, PathFaults};
use nodedb_types::{CollectionId, CoreId, Durability, IndexId, Lsn, Name, TenantId, VshardId};
use nodedb_wal::{LogOptions, Wal};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Barrier},
    time::Duration,
};
use tempfile::TempDir;

pub(super) const NOTES: CollectionId = CollectionId::new(1);
pub(super) const DRAWINGS: CollectionId = CollectionId::new(2);
pub(super) const TENANT: TenantId = TenantId::DEFAULT;
pub(super) const FIELD: IndexId = IndexId::new(1);
pub(super) const PERIODIC: Durability = Durability::Periodic { every: Duration::from_hours(1) };

/// A running data plane. `R` is what it stands on: real files in a temporary directory, or a simulated disk.
pub(super) struct World<R = TempDir> {
    pub(super) env: Env,
    pub(super) faults: Arc<PathFaults>,
    pub(super) vshards: u16,
    pub(super) options: DataOptions,
    pub(super) data: DataHandle,
    pub(super) plane: DataPlane,
    pub(super) wal: Wal,
    pub(super) replayed: Replayed,
    // Last: the directory goes when everything in it is closed.
    pub(super) root: R,
}

pub(super) fn log_options() -> LogOptions {
    // A log that syncs by itself when it is quiet would hide that nobody has asked for it.
    let sync_point_idle = Duration::from_hours(1);
    LogOptions { segment_bytes: 1 << 20, sync_point_idle, ..LogOptions::default() }
}

pub(super) fn options(cores: u16) -> DataOptions {
    DataOptions { cores, ..DataOptions::default() }
}

pub(super) fn vshard(id: u16) -> VshardId {
    VshardId::new(id)
}

pub(super) fn faulty_env() -> (Env, Arc<PathFaults>) {
    let files = FaultyFiles::default();
    let faults = files.faults();
    let env = Env { files: Arc::new(files), ..Env::real() };
    (env, faults)
}

pub(super) fn wal_dir(root: &Path) -> PathBuf {
    root.join("wal")
}

pub(super) fn data_dir(root: &Path) -> PathBuf {
    root.join("vshards")
}

impl World {
    /// A new database with the collections `notes` (documents with a vector index) and `drawings`
    /// (CRDT documents).
    pub(super) fn new(vshards: u16, options: DataOptions) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let (env, _) = faulty_env();
        env.files.create_dir(&wal_dir(root.path())).expect("a directory");
        let wal = Wal::create(&env, &wal_dir(root.path()), log_options()).expect("a new log");
        wal.close().expect("closes");
        drop(wal);
        DataPlane::create(&env, &data_dir(root.path()), vshards).expect("new vshards");
        let world = Self::open(root, vshards, options, Vec::new()).expect("opens");
        world.make_collections();
        world
    }

    /// Opens what is in a directory.
    pub(super) fn open(
        root: TempDir,
        vshards: u16,
        options: DataOptions,
        proven: Vec<Proven>,
    ) -> Result<Self, DataError> {
        let (env, faults) = faulty_env();
        let (wal, report) =
            Wal::open(&env, &wal_dir(root.path()), log_options()).expect("the log opens");
        let recovery = Recovery { vshards, redo: report.redo, proven };
        let dir = data_dir(root.path());
        let (plane, replayed) =
            DataPlane::start(&env, &dir, wal.clone(), recovery, options.clone())?;
        Ok(Self { env, faults, vshards, options, data: plane.handle(), plane, wal, replayed, root })
    }

    /// What a kill at this moment leaves. The caller sees to it that no flush is under way; the log
    /// may be preparing a segment, so the copy is taken again if names change under it.
    pub(super) fn copy(&self) -> TempDir {
        copy_resting(self.root.path())
    }

    /// Kills it: what is left is all that a reopen has. Threads are joined first, for a copy of files
    /// that rest.
    pub(super) fn die(self) -> TempDir {
        let World { plane, wal, data, root, .. } = self;
        drop((plane, data));
        let left = copy_resting(root.path());
        drop(wal);
        left
    }

    /// Kills it and opens what is left.
    pub(super) fn kill(self, cores: u16) -> Self {
        let options = DataOptions { cores, ..self.options.clone() };
        self.kill_with(options)
    }

    pub(super) fn kill_with(self, options: DataOptions) -> Self {
        let vshards = self.vshards;
        let left = self.die();
        Self::open(left, vshards, options, Vec::new()).expect("opens after a kill")
    }
}

impl<R> World<R> {
    /// The collections that every test finds.
    pub(super) fn make_collections(&self) {
        let create = |id, name, kind, vectors| {
            CatalogChange::CreateCollection(Collection {
                id,
                tenant: TENANT,
                name: Name::new(name).expect("a good name"),
                kind,
                partitions: self.vshards,
                vectors,
                fields: Vec::new(),
            })
        };
        let index = VectorIndex {
            id: FIELD,
            field: "field".to_owned(),
            dimensions: 2,
            metric: Metric::L2,
            storage: nodedb_engine::VectorStorage::default(),
            state: nodedb_engine::IndexState::default(),
        };
        self.change_catalog(&create(NOTES, "notes", CollectionKind::Document, vec![index]));
        self.change_catalog(&create(DRAWINGS, "drawings", CollectionKind::Crdt, Vec::new()));
    }

    pub(super) fn deadline(&self) -> Duration {
        self.env.clock.now() + Duration::from_mins(1)
    }

    pub(super) fn send(&self, vshard: VshardId, op: Op) -> Ticket<Answer> {
        let deadline = self.deadline();
        self.data.send(TENANT, vshard, op, deadline, Priority::Foreground).expect("there is room")
    }

    pub(super) fn ask(&self, vshard: VshardId, op: Op) -> Answer {
        self.send(vshard, op).wait().expect("an answer")
    }

    pub(super) fn send_group(&self, parts: Vec<(u16, Vec<Write>)>) -> Ticket<Answer> {
        self.send_group_until(parts, self.deadline())
    }

    pub(super) fn send_group_until(
        &self,
        parts: Vec<(u16, Vec<Write>)>,
        deadline: Duration,
    ) -> Ticket<Answer> {
        let parts = parts.into_iter().map(|(id, writes)| Part { vshard: vshard(id), writes });
        let group =
            Group { parts: parts.collect(), durability: Durability::Sync, idempotency: None };
        self.data.send_group(TENANT, group, deadline).expect("there is room")
    }

    pub(super) fn change_catalog(&self, change: &CatalogChange) {
        let write = Write {
            collection: NOTES,
            change: Change::Catalog(change.clone()),
            expect: None,
            durability: Durability::Sync,
            idempotency: None,
        };
        let parts = (0..self.vshards).map(|id| (id, vec![write.clone()]));
        let ticket = self.send_group(parts.collect());
        ticket.wait().expect("an answer").expect("a good change");
    }

    pub(super) fn put(&self, id: u16, key: &str, value: &str) -> Written {
        written(self.ask(vshard(id), Op::Write(put(key, value))))
    }

    /// A put that is acknowledged at once and synced when somebody asks.
    pub(super) fn put_weak(&self, id: u16, key: &str, value: &str) -> Written {
        written(self.ask(vshard(id), at(put(key, value), PERIODIC)))
    }

    pub(super) fn get(&self, id: u16, key: &str) -> Option<Row> {
        self.get_from(id, NOTES, key, Consistency::Strong)
    }

    pub(super) fn get_from(
        &self,
        id: u16,
        collection: CollectionId,
        key: &str,
        consistency: Consistency,
    ) -> Option<Row> {
        let op = get(collection, key, consistency);
        value(self.ask(vshard(id), op))
    }

    pub(super) fn text(&self, id: u16, key: &str) -> Option<String> {
        self.get(id, key).map(|row| text(&row))
    }

    pub(super) fn flush(&self, id: u16) -> Result<VshardFloors, DataError> {
        let barrier = self.wal.durable().expect("something is durable");
        match self.ask(vshard(id), Op::Flush { barrier, hurries: true })? {
            Outcome::Flushed(floors) => Ok(floors),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn status(&self, id: u16) -> VshardStatus {
        match self.ask(vshard(id), Op::Status).expect("a status") {
            Outcome::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    /// All rows of a vshard's notes, in pages of `rows`.
    pub(super) fn scan(&self, id: u16, rows: usize) -> Vec<(String, String)> {
        let snapshot = self.data.snapshot_for_scan(self.deadline());
        let snapshot = snapshot.expect("no poison").expect("something is durable");
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let scan = Scan { after, rows, ..Scan::all(NOTES, snapshot.lsn()) };
            let Outcome::Page(page) = self.ask(vshard(id), Op::Scan(scan)).expect("a page") else {
                panic!("a page");
            };
            all.extend(page.rows.iter().map(|row| {
                let key = String::from_utf8(row.key.to_vec()).expect("text");
                (key, text(row))
            }));
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    /// Keeps a core busy until the guard is released.
    pub(super) fn hold(&self, core: u16) -> Held {
        self.hold_for(core, vshard(core))
    }

    /// Keeps a core busy though its vshards may be paused: the task is for none of them.
    pub(super) fn hold_beside(&self, core: u16) -> Held {
        self.hold_for(core, vshard(u16::MAX))
    }

    /// Waits until the log holds a record durably, whoever appends it.
    pub(super) fn wal_reaches(&self, lsn: Lsn) {
        let waited = self.wal.wait_durable(lsn, self.deadline());
        waited.expect("it becomes durable");
    }

    /// Waits until a core has served what was sent to it before, and what it was woken for.
    pub(super) fn settle(&self, core: u16) {
        for _ in 0..2 {
            // For no vshard of its own, so that none keeps it waiting.
            let nothing = Task::Op(Box::new(get(NOTES, "", Consistency::Eventual)));
            let answer = self.send_task_to(core, vshard(u16::MAX), nothing).wait();
            assert!(matches!(answer, Ok(Err(DataError::NoSuchVshard { .. }))), "{answer:?}");
        }
    }

    fn hold_for(&self, core: u16, vshard: VshardId) -> Held {
        let barrier = Arc::new(Barrier::new(2));
        let ticket = self.send_task_to(core, vshard, Task::Hold(Arc::clone(&barrier)));
        barrier.wait();
        Held(barrier, ticket)
    }

    pub(super) fn send_task(&self, core: u16, task: Task) -> Ticket<Answer> {
        self.send_task_to(core, vshard(core), task)
    }

    pub(super) fn send_task_to(&self, core: u16, vshard: VshardId, task: Task) -> Ticket<Answer> {
        let request = Request {
            tenant: TENANT,
            vshard,
            op: task,
            deadline: Duration::MAX,
            priority: Priority::Foreground,
            bytes: 0,
        };
        let shared = self.data.shared();
        shared.bridge.send(CoreId::new(core), request).expect("there is room")
    }

    pub(super) fn close(self) {
        let deadline = self.deadline();
        self.plane.close(deadline).expect("closes");
        drop(self.data);
        self.wal.close().expect("closes");
    }
}

/// A core that is kept busy.
pub(super) struct Held(
    Arc<Barrier>,
    #[expect(dead_code, reason = "keeps the request wanted")] Ticket<Answer>,
);

impl Held {
    pub(super) fn release(self) {
        self.0.wait();
    }
}

pub(super) fn put(key: &str, value: &str) -> Write {
    put_vector(key, value, None)
}

pub(super) fn put_vector(key: &str, value: &str, vector: Option<Vec<f32>>) -> Write {
    Write {
        collection: NOTES,
        change: Change::Put {
            expires: None,
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
            vectors: vec![nodedb_engine::VectorChange { index: FIELD, vector }],
            fields: Vec::new(),
        },
        expect: None,
        durability: Durability::Sync,
        idempotency: None,
    }
}

pub(super) fn delete(key: &str) -> Write {
    Write { change: Change::Delete { key: Bytes::copy_from_slice(key.as_bytes()) }, ..put("", "") }
}

pub(super) fn expecting(write: Write, expect: Expect) -> Write {
    Write { expect: Some(expect), ..write }
}

pub(super) fn at(write: Write, durability: Durability) -> Op {
    Op::Write(Write { durability, ..write })
}

pub(super) fn get(collection: CollectionId, key: &str, consistency: Consistency) -> Op {
    Op::Get { collection, key: Bytes::copy_from_slice(key.as_bytes()), consistency }
}

pub(super) fn written(answer: Answer) -> Written {
    match answer.expect("a good write") {
        Outcome::Written(written) => written,
        other => panic!("{other:?}"),
    }
}

pub(super) fn group_written(answer: Answer) -> GroupWritten {
    match answer.expect("a good group") {
        Outcome::GroupWritten(written) => written,
        other => panic!("{other:?}"),
    }
}

pub(super) fn value(answer: Answer) -> Option<Row> {
    match answer.expect("a good read") {
        Outcome::Value(row) => row,
        other => panic!("{other:?}"),
    }
}

pub(super) fn text(row: &Row) -> String {
    String::from_utf8(row.value.to_vec()).expect("text")
}

/// What a checkpoint record would say.
pub(super) fn proven(floors: &[VshardFloors]) -> Vec<Proven> {
    let of = |floors: &VshardFloors| {
        let vshard = floors.vshard;
        floors.floors.map(|(engine, floor)| Proven { vshard, engine, floor })
    };
    floors.iter().flat_map(of).collect()
}

pub(super) fn effective(floors: &VshardFloors) -> Vec<Option<Lsn>> {
    let floors = floors.floors.iter();
    floors.map(|(_, floor): &(_, Floor)| floor.effective()).collect()
}
