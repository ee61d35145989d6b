//! What is durable in the log and not in the archive yet.

use super::ArchiverParts;
use crate::Error;
use nodedb_engine::RecordKind;
use nodedb_types::Lsn;
use nodedb_wal::{Batch, ReadLimit, Reader};
use std::time::Duration;

/// When an object is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutRule {
    /// Bytes of log. One atomic group may exceed it.
    pub(crate) bytes: u64,
    /// Age of the oldest unarchived user record.
    pub(crate) age: Duration,
}

/// The unarchived part of the log, looked at as it becomes durable, up to the size of one object.
#[derive(Debug)]
pub(super) struct Backlog {
    reader: Reader,
    bytes: u64,
    end: Option<Lsn>,
    /// Commit time of the first user or catalog record. Housekeeping alone never makes an object, or
    /// an idle database would archive for ever (protocol rule P13).
    changed_ms: Option<u64>,
}

impl Backlog {
    /// The log from a record on.
    pub(super) fn open(parts: &ArchiverParts, from: Lsn) -> Result<Self, Error> {
        // By position, not mapped: a bad sector is then an error and not a signal.
        let reader = parts.log.wal().reader(from, ReadLimit::Durable)?.unmapped();
        Ok(Self { reader, bytes: 0, end: None, changed_ms: None })
    }

    /// Takes in what has become durable, up to the size of an object. Objects end at batch ends, so
    /// that no atomic group spans two of them (protocol rule P4).
    pub(super) fn fill(&mut self, rule: CutRule) -> Result<(), Error> {
        while self.bytes < rule.bytes {
            let Some(batch) = self.reader.next_batch()? else {
                return Ok(());
            };
            self.bytes += batch.bytes().len() as u64;
            self.end = Some(batch.last_lsn);
            if self.changed_ms.is_none() && is_change(&batch) {
                self.changed_ms = Some(batch.commit_ms);
            }
        }
        Ok(())
    }

    /// The end of the object that should be cut now, if one should. `wanted` is a position that
    /// somebody waits for.
    pub(super) fn due(&self, rule: CutRule, now_ms: u64, wanted: Option<Lsn>) -> Option<Lsn> {
        let end = self.end?;
        let age = self.changed_ms.map(|at| Duration::from_millis(now_ms.saturating_sub(at)));
        let is_old = age.is_some_and(|age| age >= rule.age);
        let is_wanted = wanted.is_some_and(|wanted| end >= wanted);
        (self.bytes >= rule.bytes || is_old || is_wanted).then_some(end)
    }

    /// The end of the object to cut at shutdown: anything that changed goes.
    pub(super) fn changed_end(&self) -> Option<Lsn> {
        self.changed_ms.and(self.end)
    }
}

/// Whether a batch holds anything but housekeeping. A restore point counts: it is there to be found
/// in the archive.
fn is_change(batch: &Batch) -> bool {
    let checkpoint = RecordKind::Checkpoint.code();
    batch.records().any(|record| record.kind != checkpoint)
}
