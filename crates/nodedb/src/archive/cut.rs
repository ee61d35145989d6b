//! One object of the archive, cut from the log.

use super::ArchiverParts;
use crate::Error;
use nodedb_cold::{
    ArchivedBatch, ArchivedPoint, ArchivedTail, LogObject, LogObjectBuilder, WriterIdentity,
};
use nodedb_engine::RecordKind;
use nodedb_types::{Lsn, Name};
use nodedb_wal::{Batch, ReadLimit};

/// Builds the object that follows the tail and ends with the batch of record `end`.
pub(super) fn cut(
    parts: &ArchiverParts,
    writer: WriterIdentity,
    tail: &ArchivedTail,
    end: Lsn,
) -> Result<LogObject, Error> {
    assert!(tail.next_lsn() <= end, "an object holds at least one record");
    let mut builder = LogObjectBuilder::new(writer, tail.next_lsn(), tail.chain())?;
    let mut reader = parts.log.wal().reader(tail.next_lsn(), ReadLimit::Durable)?.unmapped();
    while builder.next_lsn() <= end {
        let batch = reader.next_batch()?;
        let batch = batch.ok_or_else(|| Error::internal("the durable log ends before its end"))?;
        builder.push(&archived(&batch)?)?;
        for point in points(&batch) {
            builder.add_point(point);
        }
    }
    Ok(builder.finish()?)
}

fn archived(batch: &Batch) -> Result<ArchivedBatch, Error> {
    let record_count = u32::try_from(batch.last_lsn.get() - batch.first_lsn.get() + 1)
        .or(Err(Error::internal("a batch has more than 2^32 records")))?;
    Ok(ArchivedBatch {
        log_epoch: batch.epoch,
        first_lsn: batch.first_lsn,
        record_count,
        commit_ms: batch.commit_ms,
        body: batch.bytes().clone(),
    })
}

/// The restore points of a batch, which the object lists so that restore finds them by name.
fn points(batch: &Batch) -> Vec<ArchivedPoint> {
    let named = |record: nodedb_wal::RecordView| {
        let is_point = record.kind == RecordKind::RestorePoint.code();
        let name = str::from_utf8(&record.payload).ok().filter(|_| is_point)?;
        let (lsn, commit_ms) = (record.lsn, batch.commit_ms);
        Some(ArchivedPoint { name: Name::new(name).ok()?, lsn, commit_ms })
    };
    batch.records().filter_map(named).collect()
}
