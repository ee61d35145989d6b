//! Our log.

use super::{
    calls,
    housekeeping::Housekeeper,
    store::{PAYLOAD_BYTES, Store, Subject, Workload, Writer},
};
use crate::payload;
use anyhow::{Context, Result, ensure};
use nodedb_env::Env;
use nodedb_types::Lsn;
use nodedb_wal::{LogOptions, ReadLimit, Wal};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_mins(2);
const GLANCE: Duration = Duration::from_millis(5);

/// The log with its default options, except that a buffered workload gets one segment that holds all of
/// it: a rotation syncs, and that is not what is measured there.
#[derive(Debug)]
pub(super) struct OurLog;

impl Subject for OurLog {
    fn who(&self) -> &'static str {
        "nodedb"
    }

    fn takes(&self, _: Workload) -> bool {
        true
    }

    fn create(&self, dir: &Path, workload: Workload) -> Result<Box<dyn Store>> {
        let segment_bytes = match workload {
            Workload::Commits { .. } => LogOptions::default().segment_bytes,
            Workload::Buffered => 1 << 30,
        };
        let options = LogOptions { segment_bytes, ..LogOptions::default() };
        Ok(Box::new(OpenLog::with_options(dir, options)?))
    }
}

/// A log, and the thread that takes its checkpoints.
pub(crate) struct OpenLog {
    wal: Wal,
    env: Env,
    dir: PathBuf,
    options: LogOptions,
    housekeeper: Housekeeper,
}

impl OpenLog {
    /// With default options, in an empty directory.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        Self::with_options(dir, LogOptions::default())
    }

    fn with_options(dir: &Path, options: LogOptions) -> Result<Self> {
        let env = Env::real();
        let wal = Wal::create(&env, dir, options.clone())?;
        let housekeeper = Housekeeper::start(&wal, &env)?;
        Ok(Self { wal, env, dir: dir.to_owned(), options, housekeeper })
    }

    pub(crate) const fn wal(&self) -> &Wal {
        &self.wal
    }
}

impl Store for OpenLog {
    fn writer(&self) -> Result<Box<dyn Writer>> {
        Ok(Box::new(LogWriter {
            wal: self.wal.clone(),
            env: self.env.clone(),
            payload: payload(1, PAYLOAD_BYTES),
            on_the_way: VecDeque::new(),
            appended: None,
        }))
    }

    /// Until everything is durable and the segments to come are prepared.
    fn settle(&self) -> Result<()> {
        let deadline = self.env.clock.now() + PATIENCE;
        self.wal.sync(deadline)?;
        // Those for users, and the one that is held back.
        while prepared(&self.env, &self.dir)? < self.options.spares + 1 {
            ensure!(self.env.clock.now() < deadline, "no segments after {PATIENCE:?}");
            thread::park_timeout(GLANCE);
        }
        Ok(())
    }

    fn syncs(&self) -> Option<u64> {
        Some(self.housekeeper.watch().syncs())
    }

    fn reopen_and_count(self: Box<Self>) -> Result<u64> {
        let checkpoints = self.housekeeper.end()?;
        self.wal.close()?;
        drop(self.wal);
        let (wal, report) = Wal::open(&self.env, &self.dir, self.options)?;
        let last = report.last.map_or(0, Lsn::get);
        // What lies before was truncated by checkpoints. The rest is all there, without a gap.
        let mut next = report.oldest;
        let mut reader = wal.reader(next, ReadLimit::Durable)?.unmapped();
        while let Some(batch) = reader.next_batch()? {
            for record in batch.records() {
                ensure!(record.lsn == next, "record {next} is missing");
                next = next.next();
            }
        }
        ensure!(next.previous() == report.last, "the log ends at {next}, not behind {last}");
        wal.close()?;
        last.checked_sub(checkpoints).context("more checkpoints than records")
    }
}

/// Files that are ready to become segments.
fn prepared(env: &Env, dir: &Path) -> Result<usize> {
    let names = env.files.list(dir)?.into_iter().map(|entry| PathBuf::from(entry.name));
    let segments = names.filter(|name| name.extension().is_some_and(|it| it == "seg"));
    Ok(segments.filter(|name| name.to_string_lossy().starts_with("spare-")).count())
}

struct LogWriter {
    wal: Wal,
    env: Env,
    payload: Vec<u8>,
    /// Staged and not acknowledged, the oldest first.
    on_the_way: VecDeque<Lsn>,
    appended: Option<Lsn>,
}

impl LogWriter {
    /// Has one record made durable; whatever else is durable by then is acknowledged with it.
    fn commit(&mut self, lsn: Lsn) -> Result<u64> {
        let durable = calls::commit(&self.wal, &self.env, lsn)?;
        let done = self.on_the_way.partition_point(|lsn| *lsn <= durable);
        self.on_the_way.drain(..done);
        Ok(done as u64)
    }
}

impl Writer for LogWriter {
    fn advance(&mut self, depth: usize) -> Result<u64> {
        while self.on_the_way.len() < depth {
            let lsn = calls::stage(&self.wal, &self.env, &self.payload)?;
            self.on_the_way.push_back(lsn);
        }
        let oldest = *self.on_the_way.front().context("a depth of one at least")?;
        self.commit(oldest)
    }

    fn drain(&mut self) -> Result<u64> {
        self.on_the_way.back().copied().map_or(Ok(0), |newest| self.commit(newest))
    }

    fn append(&mut self) -> Result<()> {
        let lsn = calls::append_buffered(&self.wal, &self.env, &self.payload)?;
        self.appended = Some(lsn);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.appended.take().map_or(Ok(()), |lsn| calls::flush(&self.wal, &self.env, lsn))
    }
}
