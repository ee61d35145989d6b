//! How long it takes until a log of 1 GiB can be used again.

use super::{calls::record, store::PAYLOAD_BYTES};
use crate::{Contender, Effort, LIMIT, Outcome, Sample, in_turns, payload, peak_memory_kib, real};
use anyhow::{Context, Result, ensure};
use nodedb_env::{Env, File, Open};
use nodedb_types::Durability;
use nodedb_wal::{AppendClass, AppendError, LogOptions, ReadLimit, Wal};
use std::{
    env,
    hint::black_box,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_mins(2);
/// One read of the limit.
const WINDOW: usize = 1 << 20;
/// Records of one append while the log is built.
const GROUP: usize = 64;

/// Builds a log, closes it in order and measures its recovery while the page cache holds it.
pub(super) fn measure(dir: &Path, effort: Effort) -> Result<[Outcome; 2]> {
    let bytes = if effort.quick { 256 << 20 } else { 1 << 30 };
    let env = Env::real();
    let log = StoredLog { bytes: build(&env, dir, bytes)?, dir: dir.to_owned(), env };
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(BareScan::open(&log)?),
        Box::new(Recovery { log: log.clone(), whole: true }),
        Box::new(Recovery { log, whole: false }),
    ];
    for contender in &mut contenders {
        contender.turn(effort.time)?;
    }
    let [limit, whole, scan] = <[_; 3]>::try_from(in_turns(contenders, effort)?)
        .map_err(|_other| anyhow::anyhow!("three contenders"))?;
    let size = format!("a log of {} MiB, 256 B records, in the page cache", bytes >> 20);
    let outcome = |case: &str, series, remark| Outcome {
        group: "wal",
        case: case.to_owned(),
        unit: "GB/s",
        limit: LIMIT,
        series: vec![limit.clone(), series],
        remarks: vec![size.clone(), remark],
    };
    Ok([
        outcome("recovery-1g", whole, peak_of_child(dir)?),
        outcome("recovery-scan", scan, "the open alone, without reading records".to_owned()),
    ])
}

/// Recovers a log in this process, which does nothing else, and tells the peak of its memory.
///
/// # Errors
/// If the log cannot be opened and read.
pub(super) fn tell_peak(dir: &Path) -> Result<u64> {
    recover(&Env::real(), dir, true)?;
    peak_memory_kib().context("the system tells no peak of memory")
}

fn peak_of_child(dir: &Path) -> Result<String> {
    let mut child = Command::new(env::current_exe()?);
    let output = child.arg("--recover").arg(dir).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kib: u64 = told.trim().parse().context("a number of KiB")?;
    Ok(format!("peak memory of a process that only recovers: {} MiB", kib.div_ceil(1 << 10)))
}

#[derive(Clone)]
struct StoredLog {
    env: Env,
    dir: PathBuf,
    bytes: u64,
}

/// Answers the bytes of the log that hold batches.
fn build(env: &Env, dir: &Path, bytes: u64) -> Result<u64> {
    let wal = Wal::create(env, dir, LogOptions::default())?;
    let payload = payload(3, PAYLOAD_BYTES);
    let group = [record(&payload); GROUP];
    let group_bytes = GROUP * group[0].encoded_len();
    // So many that the segments are full and the last is not passed.
    while wal.log_offset() + (2 << 20) < bytes {
        match wal.append(&group, Durability::Buffered, AppendClass::User) {
            Ok(_) => {}
            Err(AppendError::Backpressure | AppendError::NoSpace) => {
                let deadline = env.clock.now() + PATIENCE;
                wal.wait_room(group_bytes, AppendClass::User, deadline)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    wal.sync(env.clock.now() + PATIENCE)?;
    let used = wal.wal_bytes();
    wal.close()?;
    Ok(used)
}

/// Opens the log and, if `whole`, reads every record. Answers how many there are.
fn recover(env: &Env, dir: &Path, whole: bool) -> Result<(Wal, u64)> {
    let (wal, report) = Wal::open(env, dir, LogOptions::default())?;
    let mut records = 0;
    if whole {
        let mut reader = wal.reader(report.oldest, ReadLimit::Durable)?.unmapped();
        while let Some(batch) = reader.next_batch()? {
            for record in batch.records() {
                black_box(&record);
                records += 1;
            }
        }
        ensure!(records == report.records, "{records} records of {} were read", report.records);
    }
    Ok((wal, report.records))
}

fn rate(bytes: u64, elapsed: Duration) -> Sample {
    Sample { value: real(bytes) / 1e9 / elapsed.as_secs_f64(), notes: vec![] }
}

/// Our log, opened for writing.
struct Recovery {
    log: StoredLog,
    whole: bool,
}

impl Contender for Recovery {
    fn who(&self) -> &'static str {
        "nodedb"
    }

    /// One recovery, whatever the time.
    fn turn(&mut self, _: Duration) -> Result<Sample> {
        let StoredLog { env, dir, bytes } = &self.log;
        let begin = env.clock.now();
        let (wal, _) = recover(env, dir, self.whole)?;
        let elapsed = env.clock.now().saturating_sub(begin);
        wal.close()?;
        Ok(rate(*bytes, elapsed))
    }
}

/// The same files, read in windows and checksummed, without looking at what they hold.
struct BareScan {
    env: Env,
    files: Vec<Arc<dyn File>>,
    window: Vec<u8>,
}

impl BareScan {
    fn open(log: &StoredLog) -> Result<Self> {
        let StoredLog { env, dir, .. } = log;
        let entries = env.files.list(dir)?.into_iter();
        let segments = entries.filter(|entry| entry.name.to_string_lossy().starts_with("wal-"));
        let files = segments.map(|entry| env.files.open(&dir.join(entry.name), Open::Read));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { env: env.clone(), files, window: vec![0; WINDOW] })
    }
}

impl Contender for BareScan {
    fn who(&self) -> &'static str {
        LIMIT
    }

    fn turn(&mut self, _: Duration) -> Result<Sample> {
        let begin = self.env.clock.now();
        let mut bytes = 0;
        for file in &self.files {
            let len = file.len()?;
            let mut crc = 0;
            for offset in (0..len).step_by(WINDOW) {
                file.read_exact_at(&mut self.window, offset)?;
                crc = crc32c::crc32c_append(crc, &self.window);
            }
            black_box(crc);
            bytes += len;
        }
        Ok(rate(bytes, self.env.clock.now().saturating_sub(begin)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recovered_is_what_was_built() {
        let temp = tempfile::tempdir().expect("a directory");
        let env = Env::real();
        let bytes = build(&env, temp.path(), 8 << 20).expect("built");
        let (wal, records) = recover(&env, temp.path(), true).expect("recovered");
        wal.close().expect("closed");
        assert!(bytes > 4 << 20 && records >= 4 << 20 >> 9, "{bytes} bytes, {records} records");
        assert!(tell_peak(temp.path()).expect("a peak") > 1_000);

        let dir = temp.path().to_owned();
        let log = StoredLog { env, dir, bytes };
        let mut limit = BareScan::open(&log).expect("the files are there");
        assert!(limit.turn(Duration::ZERO).expect("read").value > 0.0);
    }
}
