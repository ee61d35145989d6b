//! okaywal: an entry for each commit, a chunk for each record.

use anyhow::{Context, Result, ensure};
use nodedb_bench::{
    payload,
    wal::{PAYLOAD_BYTES, Store, Subject, Workload, Writer},
};
use okaywal::{Configuration, Entry, EntryId, LogManager, SegmentReader, WriteAheadLog};
use parking_lot::Mutex;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Its default is 1 MiB. Larger files mean fewer checkpoints, and files are used again after each.
const SEGMENT_BYTES: u32 = 16 << 20;
const CHECKPOINT_BYTES: u64 = 12 << 20;
const BUFFER_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Okaywal;

impl Subject for Okaywal {
    fn who(&self) -> &'static str {
        "okaywal"
    }

    /// An entry is always synced: it has nothing to set beside a buffered append.
    fn takes(&self, workload: Workload) -> bool {
        matches!(workload, Workload::Commits { .. })
    }

    fn create(&self, dir: &Path, workload: Workload) -> Result<Box<dyn Store>> {
        let Workload::Commits { depth, .. } = workload else {
            anyhow::bail!("every entry is synced");
        };
        let found = Arc::new(Mutex::new(Found::default()));
        let log = open(dir, &found)?;
        Ok(Box::new(Opened { log, dir: dir.to_owned(), found, depth }))
    }
}

fn open(dir: &Path, found: &Arc<Mutex<Found>>) -> Result<WriteAheadLog> {
    let configuration = Configuration::default_for(dir)
        .preallocate_bytes(SEGMENT_BYTES)
        .checkpoint_after_bytes(CHECKPOINT_BYTES)
        .buffer_bytes(BUFFER_BYTES);
    Ok(configuration.open(Manager(Arc::clone(found)))?)
}

/// What the log has told of its entries. Ids are dense: 1, 2, 3 ...
#[derive(Debug, Default)]
struct Found {
    /// Entries up to this one were there, and the log may forget them.
    checkpointed: u64,
    /// The last one that was read after the log was opened again, and how many records were.
    recovered: u64,
    records: u64,
}

#[derive(Debug)]
struct Manager(Arc<Mutex<Found>>);

impl LogManager for Manager {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        let id = entry.id().0;
        let mut found = self.0.lock();
        if let Some(chunks) = entry.read_all_chunks()?
            && id > found.checkpointed
        {
            let whole = chunks.iter().all(|chunk| chunk.len() == PAYLOAD_BYTES);
            found.records += if whole { chunks.len() as u64 } else { 0 };
            found.recovered = found.recovered.max(id);
        }
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        last: EntryId,
        _: &mut SegmentReader,
        _: &WriteAheadLog,
    ) -> io::Result<()> {
        let mut found = self.0.lock();
        found.checkpointed = found.checkpointed.max(last.0);
        Ok(())
    }
}

struct Opened {
    log: WriteAheadLog,
    dir: PathBuf,
    found: Arc<Mutex<Found>>,
    depth: usize,
}

impl Store for Opened {
    fn writer(&self) -> Result<Box<dyn Writer>> {
        let payload = payload(1, PAYLOAD_BYTES);
        Ok(Box::new(Entries { log: self.log.clone(), payload }))
    }

    fn reopen_and_count(self: Box<Self>) -> Result<u64> {
        self.log.shutdown().context("shutdown")?;
        let log = open(&self.dir, &self.found)?;
        let found = self.found.lock();
        let forgotten = found.checkpointed * self.depth as u64;
        let expected = found.recovered.saturating_sub(found.checkpointed) * self.depth as u64;
        ensure!(found.records == expected, "entries are missing behind the checkpoint");
        let count = forgotten + found.records;
        drop(found);
        log.shutdown()?;
        Ok(count)
    }
}

struct Entries {
    log: WriteAheadLog,
    payload: Vec<u8>,
}

impl Writer for Entries {
    fn advance(&mut self, depth: usize) -> Result<u64> {
        let mut entry = self.log.begin_entry()?;
        for _ in 0..depth {
            entry.write_chunk(&self.payload)?;
        }
        entry.commit()?;
        Ok(depth as u64)
    }
}
