//! Puts through the cores beside the bare log, in the same run: `cargo xtask bench cores`.
//!
//! - `put-1`, `put-8`, `put-64`: so many callers on one runtime thread, each of which puts one document of
//!   256 bytes and waits until it is durable, again and again. The limit are as many callers that append
//!   as many bytes to the log alone and wait the same way.
//!
//! The notes tell how many records one sync made durable.

use anyhow::{Result, ensure};
use nodedb_bench::real;
use nodedb_bench::{
    Arguments, Contender, LIMIT, Machine, Outcome, Report, Sample, in_turns, payload,
};
use nodedb_data::{
    Change, DataHandle, DataOptions, DataPlane, Group, Op, Part, Priority, Recovery, Write,
};
use nodedb_engine::{CatalogChange, Collection, CollectionKind};
use nodedb_env::{Env, RealFiles};
use nodedb_testkit::{Call, Operation, Probe, ProbedFiles};
use nodedb_types::{CollectionId, Durability, Lsn, Name, TenantId, VshardId};
use nodedb_wal::{AppendClass, LogOptions, Record, Wal};
use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{runtime, task::JoinSet};

const CALLERS: [usize; 3] = [1, 8, 64];
const KEYS: u64 = 10_000;
const VALUE_BYTES: usize = 256;
const VSHARDS: u16 = 8;
const NOTES: CollectionId = CollectionId::new(1);
const PATIENCE: Duration = Duration::from_mins(1);

/// Counts syncs of files.
#[derive(Debug, Default)]
struct Syncs(AtomicU64);

impl Probe for Syncs {
    fn before(&self, call: &Call<'_>) -> io::Result<()> {
        if call.operation == Operation::Sync {
            // Relaxed: a counter.
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn after(&self, _: &Call<'_>, _: bool) {}
}

/// A log of its own in a new directory.
struct Bed {
    env: Env,
    wal: Wal,
    syncs: Arc<Syncs>,
    root: TempDir,
}

impl Bed {
    fn new() -> Result<Self> {
        let root = tempfile::tempdir()?;
        let syncs = Arc::new(Syncs::default());
        let probe = Arc::clone(&syncs);
        let files = ProbedFiles::new(Arc::new(RealFiles), probe);
        let env = Env { files: Arc::new(files), ..Env::real() };
        let dir = root.path().join("wal");
        env.files.create_dir(&dir)?;
        let options = LogOptions { segment_bytes: 256 << 20, ..LogOptions::default() };
        let wal = Wal::create(&env, &dir, options)?;
        Ok(Self { env, wal, syncs, root })
    }

    /// Lets `callers` repeat a call for a time, on one thread.
    fn measure<F>(&self, callers: usize, time: Duration, call: impl Fn(u64) -> F) -> Result<Sample>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let runtime = runtime::Builder::new_current_thread().build()?;
        let before = self.syncs.0.load(Ordering::Relaxed);
        let start = self.env.clock.now();
        let done = runtime.block_on(async {
            let mut running = JoinSet::new();
            let mut done = 0_u64;
            for caller in 0..callers as u64 {
                running.spawn(call(caller));
            }
            while let Some(ended) = running.join_next().await {
                ended??;
                done += 1;
                if self.env.clock.now().saturating_sub(start) < time {
                    running.spawn(call(done + callers as u64));
                }
            }
            anyhow::Ok(done)
        })?;
        let elapsed = self.env.clock.now().saturating_sub(start);
        let syncs = self.syncs.0.load(Ordering::Relaxed) - before;
        ensure!(syncs > 0, "nothing was synced");
        Ok(Sample {
            value: real(done) / elapsed.as_secs_f64(),
            notes: vec![("records per sync", real(done) / real(syncs))],
        })
    }
}

/// The log alone.
struct BareLog {
    bed: Bed,
    callers: usize,
    bytes: Arc<Vec<u8>>,
}

impl Contender for BareLog {
    fn who(&self) -> &'static str {
        LIMIT
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let call = |_| {
            let (wal, bytes) = (self.bed.wal.clone(), Arc::clone(&self.bytes));
            async move {
                let (tenant, vshard) = (TenantId::DEFAULT, VshardId::new(0));
                let record = Record { tenant, vshard, kind: 1, payload: &bytes };
                let range = wal.append(&[record], Durability::Sync, AppendClass::User)?;
                wal.durable_future(range.start()).await?;
                Ok(())
            }
        };
        self.bed.measure(self.callers, time, call)
    }
}

/// The cores over a log.
struct Cores {
    data: DataHandle,
    callers: usize,
    value: Vec<u8>,
    // Ends before its log and its directory.
    _plane: DataPlane,
    bed: Bed,
}

impl Cores {
    fn new(callers: usize) -> Result<Self> {
        let bed = Bed::new()?;
        let dir = bed.root.path().join("vshards");
        DataPlane::create(&bed.env, &dir, VSHARDS)?;
        let recovery = Recovery { vshards: VSHARDS, redo: Lsn::FIRST, proven: Vec::new() };
        let options = DataOptions { cores: 1, ..DataOptions::default() };
        let (plane, _) = DataPlane::start(&bed.env, &dir, bed.wal.clone(), recovery, options)?;
        let data = plane.handle();
        let change = Change::Catalog(CatalogChange::CreateCollection(Collection {
            id: NOTES,
            tenant: TenantId::DEFAULT,
            name: Name::new("notes")?,
            kind: CollectionKind::Bytes,
            partitions: VSHARDS,
            vectors: Vec::new(),
            fields: Vec::new(),
        }));
        let part = |vshard| Part { vshard, writes: vec![write(change.clone())] };
        let parts = (0..VSHARDS).map(VshardId::new).map(part).collect();
        let group = Group { parts, durability: Durability::Sync, idempotency: None };
        data.send_group(TenantId::DEFAULT, group, bed.env.clock.now() + PATIENCE)?.wait()??;
        Ok(Self { data, callers, value: payload(1, VALUE_BYTES), _plane: plane, bed })
    }
}

fn write(change: Change) -> Write {
    Write {
        collection: NOTES,
        change,
        expect: None,
        durability: Durability::Sync,
        idempotency: None,
    }
}

impl Contender for Cores {
    fn who(&self) -> &'static str {
        "nodedb"
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let call = |index: u64| {
            let key = format!("key:{:08}", index % KEYS).into();
            let value = self.value.clone().into();
            let put = write(Change::Put {
                key,
                value,
                expires: None,
                vectors: Vec::new(),
                fields: Vec::new(),
            });
            let vshard = VshardId::new(u16::try_from(index % u64::from(VSHARDS)).unwrap_or(0));
            let deadline = self.bed.env.clock.now() + PATIENCE;
            let tenant = TenantId::DEFAULT;
            let sent =
                self.data.send(tenant, vshard, Op::Write(put), deadline, Priority::Foreground);
            async move {
                sent?.await??;
                Ok(())
            }
        };
        self.bed.measure(self.callers, time, call)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::from_env()?;
    let names: Vec<String> = CALLERS.iter().map(|callers| format!("put-{callers}")).collect();
    arguments.check_cases(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let effort = arguments.effort();
    let report = Report::begin(&arguments, effort, &Machine::of(&std::env::temp_dir()))?;
    for (callers, case) in CALLERS.into_iter().zip(names) {
        if !arguments.wants(&case) {
            continue;
        }
        // A put's redo: a version, a collection, two lengths and the empty lists.
        let bytes = Arc::new(payload(2, VALUE_BYTES + 12 + 30));
        let contenders: Vec<Box<dyn Contender>> = vec![
            Box::new(BareLog { bed: Bed::new()?, callers, bytes }),
            Box::new(Cores::new(callers)?),
        ];
        let series = in_turns(contenders, effort)?;
        report.tell(&Outcome {
            group: "cores",
            case,
            unit: "records/s",
            limit: LIMIT,
            series,
            remarks: Vec::new(),
        })?;
    }
    Ok(())
}
