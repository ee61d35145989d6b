//! A data plane on a simulated disk, with a clock that stands still and syncs that a test can hold.

use super::world::{World, log_options};
use crate::{DataOptions, DataPlane, Recovery, plane::Site};
use nodedb_document::PlainTables;
use nodedb_engine::{RecordKind, Redo};
use nodedb_env::Env;
use nodedb_testkit::{Call, ManualClock, Operation, Probe, ProbedFiles, SimFiles};
use nodedb_types::{CoreId, Lsn};
use nodedb_wal::{LogOptions, ReadLimit, Wal};
use parking_lot::{Condvar, Mutex};
use std::{io, path::Path, sync::Arc, thread, time::Duration};

/// What a simulated data plane stands on.
pub(super) struct Machine {
    pub(super) disk: SimFiles,
    clock: Arc<ManualClock>,
    gate: Arc<Gate>,
}

/// Where the log's flusher waits with its syncs while a test holds them.
#[derive(Debug)]
struct Gate {
    disk: SimFiles,
    state: Mutex<GateState>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    held: bool,
    fails: bool,
}

impl Probe for Gate {
    fn before(&self, call: &Call<'_>) -> io::Result<()> {
        // Not the thread that prepares files: a failure of its costs nothing.
        let flusher = thread::current().name() == Some("wal-flush");
        if call.operation == Operation::Sync && flusher {
            let mut state = self.state.lock();
            while state.held {
                self.released.wait(&mut state);
            }
            if std::mem::take(&mut state.fails) {
                self.disk.fail_sync(1);
            }
        }
        Ok(())
    }

    fn after(&self, _: &Call<'_>, _: bool) {}
}

fn site(env: &Env) -> Site<'_> {
    Site { env, dir: Path::new("/vshards"), tables: Arc::new(PlainTables) }
}

pub(super) fn sim_log_options() -> LogOptions {
    LogOptions { segment_bytes: 64 << 10, ..log_options() }
}

impl World<Machine> {
    /// The disk of a new database that was closed, with nothing on it that a power cut may take.
    pub(super) fn new_disk(vshards: u16) -> SimFiles {
        let disk = SimFiles::new(1);
        let env = disk.env_with_clock(Arc::new(ManualClock::new()));
        env.files.create_dir(Path::new("/wal")).expect("a directory");
        let wal = Wal::create(&env, Path::new("/wal"), sim_log_options()).expect("a new log");
        wal.close().expect("closes");
        drop(wal);
        DataPlane::create_at(&site(&env), vshards).expect("new vshards");
        env.files.sync_dir(Path::new("/")).expect("synced");
        let world = Self::start(disk.clone(), vshards, DataOptions::default());
        world.make_collections();
        world.close();
        disk.crash_losing_all()
    }

    /// Opens what is on a disk.
    pub(super) fn start(disk: SimFiles, vshards: u16, options: DataOptions) -> Self {
        let clock = Arc::new(ManualClock::new());
        let gate = Gate { disk: disk.clone(), state: Mutex::default(), released: Condvar::new() };
        let gate = Arc::new(gate);
        let files = ProbedFiles::new(Arc::new(disk.clone()), Arc::<Gate>::clone(&gate));
        let env = disk.env_with_clock(Arc::<ManualClock>::clone(&clock));
        let env = Env { files: Arc::new(files), ..env };
        let opened = Wal::open(&env, Path::new("/wal"), sim_log_options());
        let (wal, report) = opened.expect("the log opens");
        let recovery = Recovery { vshards, redo: report.redo, proven: Vec::new() };
        let started = DataPlane::start_at(&site(&env), wal.clone(), recovery, options.clone());
        let (plane, replayed) = started.expect("the vshards open");
        let (data, root) = (plane.handle(), Machine { disk, clock, gate });
        let faults = Arc::default();
        Self { env, faults, vshards, options, data, plane, wal, replayed, root }
    }

    /// Moves the clock, and has every core look at it.
    pub(super) fn advance(&self, by: Duration) {
        self.root.clock.advance(by);
        let shared = self.data.shared();
        for core in 0..shared.cores {
            shared.bridge.wake(CoreId::new(core));
        }
    }

    pub(super) fn hold_syncs(&self) {
        self.root.gate.state.lock().held = true;
    }

    pub(super) fn release_syncs(&self) {
        self.root.gate.state.lock().held = false;
        self.root.gate.released.notify_all();
    }

    /// The next sync of records fails.
    pub(super) fn fail_sync(&self) {
        self.root.gate.state.lock().fails = true;
    }

    /// Everything in the log, from its beginning.
    pub(super) fn logged(&self) -> Vec<Redo> {
        let reader = self.wal.reader(Lsn::FIRST, ReadLimit::Durable).expect("a reader");
        let mut reader = reader.unmapped();
        let mut redos = Vec::new();
        while let Some(batch) = reader.next_batch().expect("sound") {
            redos.extend(batch.records().filter_map(|record| {
                let kind = RecordKind::from_code(record.kind).expect("a known kind");
                let change = !kind.is_housekeeping();
                change.then(|| Redo::decode(kind, &record.payload).expect("redo"))
            }));
        }
        redos
    }

    /// What a kill and two power cuts of this moment leave.
    pub(super) fn images(&self) -> [SimFiles; 3] {
        let disk = &self.root.disk;
        [disk.crash_keeping_all(), disk.crash_losing_all(), disk.crash()]
    }
}
