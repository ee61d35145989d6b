//! A data plane on a simulated disk, with a clock that stands still.

use super::world::{World, log_options};
use crate::{DataOptions, DataPlane, Recovery, plane::Site};
use nodedb_document::PlainTables;
use nodedb_engine::{RecordKind, Redo};
use nodedb_env::Env;
use nodedb_testkit::{ManualClock, SimFiles};
use nodedb_types::Lsn;
use nodedb_wal::{LogOptions, ReadLimit, Wal};
use std::{path::Path, sync::Arc};

/// What a simulated data plane stands on.
pub(super) struct Machine {
    pub(super) disk: SimFiles,
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
        let env = disk.env_with_clock(Arc::new(ManualClock::new()));
        let opened = Wal::open(&env, Path::new("/wal"), sim_log_options());
        let (wal, report) = opened.expect("the log opens");
        let recovery = Recovery { vshards, redo: report.redo, proven: Vec::new() };
        let started = DataPlane::start_at(&site(&env), wal.clone(), recovery, options.clone());
        let (plane, replayed) = started.expect("the vshards open");
        let (data, root) = (plane.handle(), Machine { disk });
        let faults = Arc::default();
        Self { env, faults, vshards, options, data, plane, wal, replayed, root }
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
