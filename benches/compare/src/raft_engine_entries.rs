//! raft-engine: a log batch for each commit, a raft entry for each record, a region for each thread.

use anyhow::{Context, Result, ensure};
use nodedb_bench::{
    payload,
    wal::{PAYLOAD_BYTES, Store, Subject, Workload, Writer},
};
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};
use raft_proto::eraftpb::Entry;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Its default is 128 MiB; the same as ours, so that files are used again as often.
const FILE_MIB: u64 = 64;
/// Its default is 10 GiB, which no run reaches: then no file would ever be used again.
const PURGE_MIB: u64 = 256;

#[derive(Debug)]
pub(crate) struct RaftEngine;

impl Subject for RaftEngine {
    fn who(&self) -> &'static str {
        "raft-engine"
    }

    fn takes(&self, _: Workload) -> bool {
        true
    }

    fn create(&self, dir: &Path, _: Workload) -> Result<Box<dyn Store>> {
        let engine = Arc::new(Engine::open(config(dir)?)?);
        Ok(Box::new(Log { engine, config: config(dir)?, regions: AtomicU64::new(1) }))
    }
}

/// Files are filled before they are needed, and payloads that no compression shortens are not compressed.
fn config(dir: &Path) -> Result<Config> {
    Ok(Config {
        dir: dir.to_str().context("a name in UTF-8")?.to_owned(),
        target_file_size: ReadableSize::mb(FILE_MIB),
        purge_threshold: ReadableSize::mb(PURGE_MIB),
        batch_compression_threshold: ReadableSize(0),
        prefill_for_recycle: true,
        ..Config::default()
    })
}

struct Log {
    engine: Arc<Engine>,
    config: Config,
    regions: AtomicU64,
}

impl Store for Log {
    fn writer(&self) -> Result<Box<dyn Writer>> {
        // Relaxed: only that each is handed out once counts.
        let region = self.regions.fetch_add(1, Ordering::Relaxed);
        let (engine, payload) = (Arc::clone(&self.engine), payload(1, PAYLOAD_BYTES));
        Ok(Box::new(Group { engine, region, index: 0, payload, batch: LogBatch::default() }))
    }

    /// As its users do all the time: entries that were applied go, and their files are used again. The
    /// last entry of each region stays; its index tells how many there were.
    fn settle(&self) -> Result<()> {
        for region in self.engine.raft_groups() {
            if let Some(last) = self.engine.last_index(region) {
                self.engine.compact_to(region, last);
            }
        }
        self.engine.purge_expired_files()?;
        Ok(())
    }

    fn reopen_and_count(self: Box<Self>) -> Result<u64> {
        drop(self.engine);
        let engine = Engine::open(self.config)?;
        let mut count = 0;
        for region in engine.raft_groups() {
            let last = engine.last_index(region).unwrap_or(0);
            let entry = engine.get_entry::<Indexed>(region, last)?.context("the last entry")?;
            ensure!(entry.data.len() == PAYLOAD_BYTES, "entry {last} of {region} is cut");
            count += last;
        }
        Ok(count)
    }
}

struct Indexed;

impl MessageExt for Indexed {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

struct Group {
    engine: Arc<Engine>,
    region: u64,
    index: u64,
    payload: Vec<u8>,
    batch: LogBatch,
}

impl Group {
    fn write(&mut self, count: usize, sync: bool) -> Result<()> {
        let entries: Vec<Entry> = (0..count).map(|_| self.entry()).collect();
        self.batch.add_entries::<Indexed>(self.region, &entries)?;
        self.engine.write(&mut self.batch, sync)?;
        Ok(())
    }

    fn entry(&mut self) -> Entry {
        self.index += 1;
        Entry { index: self.index, data: self.payload.clone().into(), ..Entry::default() }
    }
}

impl Writer for Group {
    fn advance(&mut self, depth: usize) -> Result<u64> {
        self.write(depth, true)?;
        Ok(depth as u64)
    }

    /// Each write is one of the file: it survives a killed process at once.
    fn append(&mut self) -> Result<()> {
        self.write(1, false)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
