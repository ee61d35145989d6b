//! Showing what stands in a log, batch by batch.

use super::{VerifyReport, verify, walk::Walk, walk::WalkedBatch};
use crate::{
    RecordView, WalError,
    batch::{LINK, SYNC_POINT},
    decode_records,
};
use nodedb_env::Env;
use nodedb_types::{LogEpoch, Lsn};
use std::path::{Path, PathBuf};

/// Which records are shown. The default is all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DumpRange {
    /// The first record.
    pub from: Option<Lsn>,
    /// The last record.
    pub to: Option<Lsn>,
}

impl DumpRange {
    fn contains(self, lsn: Lsn) -> bool {
        self.from.is_none_or(|from| lsn >= from) && self.to.is_none_or(|to| lsn <= to)
    }
}

/// What a batch is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BatchKind {
    /// It holds records.
    Records,
    /// It says where the segment before ended.
    SegmentLink,
    /// It holds nothing but its durable position.
    SyncPoint,
}

/// One valid batch of a log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DumpedBatch {
    /// What it is for.
    pub kind: BatchKind,
    /// Number of its segment.
    pub segment: u64,
    /// Where it starts in the segment, in bytes.
    pub offset: u64,
    /// How long it is, header and padding included.
    pub bytes: u64,
    /// Its first record; without records, the next one to come.
    pub first_lsn: Lsn,
    /// Number of its records, also of those outside the range that is shown.
    pub count: u32,
    /// The life of the log that wrote it.
    pub epoch: LogEpoch,
    /// What was durable when it was written.
    pub durable: Option<Lsn>,
    /// When it was written, in milliseconds since 1970 by a clock that never goes back.
    pub commit_ms: u64,
    /// Its records, as far as they are in the range.
    pub records: Vec<RecordView>,
}

/// An iterator over the valid batches of a log, oldest first. It holds one batch and one window of a
/// file at a time.
#[derive(Debug)]
pub struct Dump {
    env: Env,
    dir: PathBuf,
    range: DumpRange,
    walk: Walk,
}

/// Looks at a log that may be damaged, without changing a byte and without a lock: everything up to
/// the first place where it is not valid. What [`Wal::open`](crate::Wal::open) would say of the whole,
/// [`Dump::verdict`] says.
///
/// Where both slots of CONTROL are damaged, it starts at the oldest segment that is there.
///
/// # Errors
/// [`WalError::NotALog`]; [`WalError::ControlCorrupt`] if nothing tells how the log is laid out;
/// [`WalError::WrongLog`], [`WalError::UnsupportedFormat`], [`WalError::Io`] of CONTROL.
pub fn dump(env: &Env, dir: &Path, range: DumpRange) -> Result<Dump, WalError> {
    let walk = Walk::new(env, dir)?;
    Ok(Dump { env: env.clone(), dir: dir.to_owned(), range, walk })
}

impl Dump {
    /// Judges the whole log as an open would, which reads it once more.
    ///
    /// # Errors
    /// What kept the dump from reading on, once; else as [`verify()`](crate::inspect::verify()).
    pub fn verdict(&mut self) -> Result<VerifyReport, WalError> {
        // First: a file that can be read again would make a sound log of one that was shown in part.
        match self.walk.failure.take() {
            Some(failure) => Err(failure),
            None => verify(&self.env, &self.dir),
        }
    }

    fn shown(&self, batch: WalkedBatch) -> Option<DumpedBatch> {
        let WalkedBatch { segment, offset, header, body } = batch;
        let kind = match header.kind {
            LINK => BatchKind::SegmentLink,
            SYNC_POINT => BatchKind::SyncPoint,
            _ => BatchKind::Records,
        };
        let mut records = Vec::new();
        if kind == BatchKind::Records {
            records = decoded(body);
            records.retain(|record| self.range.contains(record.lsn));
            if records.is_empty() {
                return None;
            }
        } else if !self.range.contains(header.first_lsn) {
            return None;
        }
        Some(DumpedBatch {
            kind,
            segment,
            offset,
            bytes: header.total_len(),
            first_lsn: header.first_lsn,
            count: header.record_count,
            epoch: header.epoch,
            durable: header.durable,
            commit_ms: header.commit_ms,
            records,
        })
    }
}

impl Iterator for Dump {
    type Item = DumpedBatch;

    fn next(&mut self) -> Option<DumpedBatch> {
        loop {
            let batch = self.walk.next()?;
            // LSNs ascend: nothing behind the end of the range is in it.
            if self.range.to.is_some_and(|to| batch.header.first_lsn > to) {
                return None;
            }
            if let Some(shown) = self.shown(batch) {
                return Some(shown);
            }
        }
    }
}

#[expect(clippy::expect_used, reason = "the batch was verified when it was read")]
pub(super) fn decoded(body: bytes::Bytes) -> Vec<RecordView> {
    decode_records(body).expect("a valid batch holds valid records")
}
