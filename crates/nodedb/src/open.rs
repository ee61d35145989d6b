//! Opening: lock, identity, log, checkpoint, vshards, background work. In this order.

use crate::{
    ArchiveOptions, ArchivePolicy, CreateOptions, Database, Error, OpenOptions,
    archive::{ArchivePosition, ArchiveState, Archiver, ArchiverParts, CutRule},
    checkpoint::{
        ArchiveGate, CheckpointRecord, Checkpointer, CheckpointerParts, Life, Replay, ReplayWork,
        Schedule, records,
    },
    database::{AttachedArchive, Inner},
    directory::{Access, Directory, Found},
    editors::Editors,
    identity::{Identity, random_id},
    index_build,
    log::LogHandle,
    restore::run_apart,
    schema::Schema,
    sender::Sender,
    tenant_counter::TenantCounter,
    throttle::{LogLimits, Throttle},
    watch::WatchPlaces,
};
use nodedb_bridge::BridgeOptions;
use nodedb_cold::{Archive, NewArchive, Nonce, Session, open_store};
use nodedb_control::{Admission, Routing, Tasks, TenantBytes};
use nodedb_data::{DataOptions, DataPlane, Recovery};
use nodedb_engine::RecordKind;
use nodedb_env::{Clock, Env};
use nodedb_types::{DatabaseId, Incarnation, LogEpoch, Lsn};
use nodedb_wal::{LogOptions, ReadLimit, Wal};
use parking_lot::Mutex;
use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    thread,
};
use tokio::runtime::{Builder, Runtime};

/// What to do with a directory that holds a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Existing {
    Open,
    Refuse,
}

pub(crate) fn open(
    env: &Env,
    path: &Path,
    options: OpenOptions,
    existing: Existing,
) -> Result<Database, Error> {
    options.validate()?;
    let access = if options.create.is_some() { Access::Create } else { Access::Open };
    let directory = Directory::lock(env, path, access)?;
    match (directory.found(&*env.files)?, &options.create) {
        (Found::Database, _) if existing == Existing::Refuse => {
            return Err(Error::DatabaseExists { path: path.to_owned() });
        }
        (Found::Database, _) => directory.settle(&*env.files)?,
        (Found::Nothing, Some(create)) => new_database(env, &directory, create)?,
        (Found::Nothing, None) => {
            return Err(Error::NoDatabase { path: path.to_owned() });
        }
    }
    start(env, directory, options)
}

/// Fills a new directory. The archive is made before the identity is written: a database that says
/// that it has an archive has one.
fn new_database(env: &Env, directory: &Directory, create: &CreateOptions) -> Result<(), Error> {
    let lock_path = directory.lock_path();
    let identity = Identity {
        database: DatabaseId::from_bytes(random_id(env)?),
        incarnation: Incarnation::from_bytes(random_id(env)?),
        vshards: create.vshards,
        durability: create.durability,
        home: env.files.identity(&lock_path).map_err(Error::io("looking at", &lock_path))?,
    };
    directory.begin(env)?;
    let files = &*env.files;
    let log_path = directory.log_path();
    files.create_dir(&log_path).map_err(Error::io("creating", &log_path))?;
    let options = LogOptions { segment_bytes: create.segment_bytes, ..LogOptions::default() };
    Wal::create(env, &log_path, options)?.close()?;
    let vshards_path = directory.vshards_path();
    DataPlane::create(env, &vshards_path, create.vshards)?;
    if let Some(archive) = &create.archive {
        new_archive(env, directory, &identity, (create, archive))?;
    }
    directory.finish(env, &identity)
}

fn new_archive(
    env: &Env,
    directory: &Directory,
    identity: &Identity,
    (create, options): (&CreateOptions, &ArchiveOptions),
) -> Result<(), Error> {
    let new = NewArchive {
        database_id: identity.database,
        incarnation: identity.incarnation,
        nonce: Nonce::from_bytes(random_id(env)?),
        start_lsn: Lsn::FIRST,
        vshards: create.vshards,
        segment_bytes: create.segment_bytes,
        created_ms: env.clock.unix_ms(),
    };
    if options.policy == ArchivePolicy::Required {
        let store = open_store(env, &options.url)?;
        // Opens of the log begin at 1, so this session stands for the creation itself.
        let session =
            Session { log_epoch: LogEpoch::new(0), nonce: Nonce::from_bytes(random_id(env)?) };
        // Apart, since the caller may be on a thread of a runtime of its own.
        run_apart(env, Archive::init(store, new, session))??;
    }
    let state = ArchiveState {
        url: options.url.clone(),
        policy: options.policy,
        writer: new.writer(),
        archived: None,
    };
    state.write(&*env.files, &directory.archive_path())
}

fn start(env: &Env, directory: Directory, options: OpenOptions) -> Result<Database, Error> {
    let files = &*env.files;
    let identity_path = directory.identity_path();
    let identity = Identity::read(files, &identity_path)?
        .ok_or_else(|| Error::corrupt(&identity_path, "missing"))?;
    let archive_state = ArchiveState::read(files, &directory.archive_path())?;
    let begun = env.clock.now();
    let (wal, report) = Wal::open(env, &directory.log_path(), LogOptions::default())?;
    check_archive_state(&directory, archive_state.as_ref(), &wal)?;
    let checkpoint = report.checkpoint_record.map(|lsn| last_checkpoint(&wal, lsn)).transpose()?;
    let recovery = Recovery {
        vshards: identity.vshards,
        redo: report.redo,
        proven: checkpoint.map(|record| record.proven()).unwrap_or_default(),
    };
    let cores = options.cores.unwrap_or_else(processors).clamp(1, identity.vshards);
    let tenant_in_flight = options.tenant_limits.in_flight;
    let data_options = DataOptions {
        cores,
        bridge: BridgeOptions { tenant_in_flight, ..BridgeOptions::default() },
        memtable_bytes: options.memtable_bytes,
        memtable_bytes_max: options.memtable_bytes.saturating_mul(4),
        memory_bytes_max: options.memory_bytes_per_core,
        io_bytes_per_second: options.io_bytes_per_second,
        ballast_bytes: options.memtable_bytes.saturating_mul(4) as u64,
        clock_jump_max: options.clock_jump_max,
        ..DataOptions::default()
    };
    let vshards_path = directory.vshards_path();
    let (plane, replayed) =
        DataPlane::start(env, &vshards_path, wal.clone(), recovery, data_options)?;
    let kept = wal.segments().into_iter().filter(|segment| segment.last_lsn >= Some(report.redo));
    let work = ReplayWork {
        bytes: kept.map(|segment| segment.bytes).sum(),
        records: records(report.redo, wal.durable()),
        applied: 0,
        cores,
    };
    let dirty = plane.handle().floors().into_iter().filter_map(|known| known.dirty);
    let dirty_bytes = dirty.map(|dirty| dirty.bytes as u64).sum();
    // Not what was replayed: that counts records which one engine of several lacked.
    let work = ReplayWork { applied: work.dirty_records(dirty_bytes), ..work };
    let replay = Replay::measured(work, env.clock.now().saturating_sub(begun));
    tracing::info!(
        records = replayed.records,
        redo_lsn = report.redo.get(),
        dropped_bytes = report.dropped_bytes,
        "recovered"
    );
    // Last: a runtime must not be dropped by an open that fails on a thread of a caller's runtime.
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("nodedb-rt")
        .enable_time()
        .build()
        .map_err(Error::io("starting", "background threads"))?;
    let last = report.checkpoint_record;
    let parts = Parts { env, identity, options, archive_state, last, cores, replay };
    parts.assemble(directory, runtime, wal, plane)
}

/// Without its `ARCHIVE` file a database would give back log that no archive holds, and with an older
/// log than the file knows of it would count new records as archived.
fn check_archive_state(
    directory: &Directory,
    state: Option<&ArchiveState>,
    wal: &Wal,
) -> Result<(), Error> {
    let path = directory.archive_path();
    let Some(state) = state else {
        return match wal.control().archived {
            Some(_) => Err(Error::corrupt(path, "missing, and the log has been archived")),
            None => Ok(()),
        };
    };
    let durable = wal.durable();
    if state.archived > durable {
        let (archived, durable) = (Lsn::encode(state.archived), Lsn::encode(durable));
        let message =
            format!("record {archived} is archived, the log ends at {durable}: it is an older one");
        return Err(Error::corrupt(path, message));
    }
    Ok(())
}

/// What an opened directory says, before it is put together.
struct Parts<'a> {
    env: &'a Env,
    identity: Identity,
    options: OpenOptions,
    archive_state: Option<ArchiveState>,
    last: Option<Lsn>,
    cores: u16,
    replay: Replay,
}

impl Parts<'_> {
    fn assemble(
        self,
        directory: Directory,
        runtime: Runtime,
        wal: Wal,
        plane: DataPlane,
    ) -> Result<Database, Error> {
        let Self { env, identity, options, archive_state, last, cores, replay } = self;
        let admission =
            Admission::new(identity.vshards, wal.group_bytes_max(), options.tenant_limits);
        let log = LogHandle::new(wal);
        let data = plane.handle();
        let archive = archive_state
            .filter(|state| state.policy == ArchivePolicy::Required)
            .map(|state| attach((env, &directory), &identity, &options, &log, state));
        let required = archive.as_ref().map(|archive| Arc::clone(&archive.position));
        let throttle = throttle(env, &log, &options);
        let checkpointer = CheckpointerParts {
            throttle: Arc::clone(&throttle),
            log: log.clone(),
            data: data.clone(),
            clock: Arc::clone(&env.clock),
            vshards: identity.vshards,
            cores,
            life: Life::new(log.wal().epoch().get()),
            archive: required.map_or(ArchiveGate::Open, ArchiveGate::Required),
            deadline: options.checkpoint_deadline,
            schedule: schedule(&options, cores),
            replay,
        };
        let checkpointer = Checkpointer::new(checkpointer, last);
        let (checkpointer, driver) =
            checkpointer.map_err(|missing| Error::internal(missing.to_string()))?;
        let checkpointer = Arc::new(checkpointer);
        let tasks = Arc::new(Tasks::new(runtime.handle().clone()));
        tasks.spawn("checkpointer", |shutdown| driver.run(shutdown));
        spawn_archive(&tasks, &checkpointer, archive.as_ref());
        let routing = Routing::new(identity.vshards);
        let sender = Sender {
            data,
            clock: Arc::clone(&env.clock),
            deadline: options.request_deadline,
            runtime: runtime.handle().clone(),
            throttle,
        };
        let schema = Arc::new(Schema::new(sender.clone(), routing));
        if !schema.building().is_empty() {
            let schema = Arc::clone(&schema);
            tasks.spawn("index-builder", |shutdown| index_build::go_on(schema, shutdown));
        }
        let tenant_bytes = TenantBytes::new(options.tenant_limits.bytes);
        spawn_counter(&tasks, &tenant_bytes, &schema, &env.clock);
        let inner = Inner {
            env: env.clone(),
            tenant_bytes,
            routing,
            admission,
            log,
            sender,
            checkpointer,
            archive,
            tasks,
            schema,
            editors: Editors::default(),
            watches: WatchPlaces::default(),
            points: Mutex::new(()),
            runtime: Mutex::new(Some(runtime)),
            plane: Mutex::new(Some(plane)),
            closed: AtomicBool::new(false),
            identity,
            options,
            directory,
        };
        Ok(Database { inner: Arc::new(inner) })
    }
}

fn spawn_counter(
    tasks: &Tasks,
    bytes: &Arc<TenantBytes>,
    schema: &Arc<Schema>,
    clock: &Arc<dyn Clock>,
) {
    if bytes.is_limited() {
        let (bytes, schema, clock) = (Arc::clone(bytes), Arc::clone(schema), Arc::clone(clock));
        let counter = TenantCounter { bytes, schema, clock };
        tasks.spawn("tenant-counter", |shutdown| counter.run(shutdown));
    }
}

fn throttle(env: &Env, log: &LogHandle, options: &OpenOptions) -> Arc<Throttle> {
    let limits = LogLimits { recovery: log_bytes_max(options), disk: options.log_disk_max };
    Arc::new(Throttle::new(log.wal().clone(), Arc::clone(&env.clock), limits))
}

/// Recovery's part of the log: at twice as much writes are refused, which the limit of the whole log must not
/// come before, or nothing would begin a checkpoint that makes it shorter.
fn log_bytes_max(options: &OpenOptions) -> u64 {
    options.log_disk_max.map_or(options.log_bytes_max, |disk| options.log_bytes_max.min(disk / 2))
}

/// When checkpoints begin by themselves. Half of the memory is what cores flush early at, too.
fn schedule(options: &OpenOptions, cores: u16) -> Schedule {
    let memory = u64::try_from(options.memory_bytes_per_core).unwrap_or(u64::MAX);
    Schedule {
        interval: options.checkpoint_interval,
        recovery_target: options.recovery_target,
        log_bytes_max: log_bytes_max(options),
        dirty_bytes_max: (memory / 2).saturating_mul(u64::from(cores)),
    }
}

fn spawn_archive(
    tasks: &Tasks,
    checkpointer: &Arc<Checkpointer>,
    archive: Option<&AttachedArchive>,
) {
    let Some(archive) = archive.filter(|archive| !archive.is_copy()) else {
        return;
    };
    let archiver = Arc::clone(&archive.archiver);
    tasks.spawn("archiver", |shutdown| async move {
        archiver.run(shutdown).await;
    });
    let checkpointer = Arc::clone(checkpointer);
    tasks.spawn("reclaimer", |shutdown| async move {
        checkpointer.reclaimer().follow_archive(shutdown).await;
    });
}

fn attach(
    (env, directory): (&Env, &Directory),
    identity: &Identity,
    options: &OpenOptions,
    log: &LogHandle,
    state: ArchiveState,
) -> AttachedArchive {
    let position = Arc::new(ArchivePosition::new(state.archived));
    // A copied directory must not write into the original's archive; its hold stays, so that
    // nothing unarchived is deleted (protocol rule P9).
    if env.files.identity(&directory.lock_path()).ok() != Some(identity.home) {
        let message = "this is a copied directory: uploads are suspended and its log is kept; go on \
                       in the original, or `restore` its archive into a new directory";
        position.fail(message.to_owned(), true);
    }
    let parts = ArchiverParts {
        env: env.clone(),
        log: log.clone(),
        position: Arc::clone(&position),
        path: directory.archive_path(),
        state,
        rule: CutRule { bytes: options.object_bytes, age: options.object_age },
    };
    let archiver = Arc::new(Archiver::new(parts));
    AttachedArchive { archiver, position, one_base: tokio::sync::Mutex::new(()) }
}

impl AttachedArchive {
    /// Whether uploads have been suspended for good, as those of a copied directory are.
    fn is_copy(&self) -> bool {
        self.position.fault().is_some_and(|fault| fault.stopped)
    }
}

/// The checkpoint record that CONTROL names. It is at or above the redo position, so it is there.
fn last_checkpoint(wal: &Wal, lsn: Lsn) -> Result<CheckpointRecord, Error> {
    let mut reader = wal.reader(lsn, ReadLimit::Durable)?.unmapped();
    let batch = reader.next_batch()?;
    let record = batch.and_then(|batch| batch.records().next());
    let record =
        record.filter(|record| record.lsn == lsn && record.kind == RecordKind::Checkpoint.code());
    let damaged = |message: String| Error::corrupt("the log", message);
    let record = record.ok_or_else(|| damaged(format!("record {lsn} is no checkpoint")))?;
    CheckpointRecord::decode(&record.payload)
        .map_err(|error| damaged(format!("checkpoint record {lsn}: {error}")))
}

fn processors() -> u16 {
    let count = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(count).unwrap_or(u16::MAX)
}
