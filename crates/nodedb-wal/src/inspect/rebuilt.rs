//! The last segment of a truncated log, built anew.

use super::loss::is_kept;
use crate::{
    WalError,
    batch::{Draft, RECORDS},
    control::Control,
    format::BATCH_HEADER,
    record,
    recovery::{Head, Intent, Listing, ScannedBatch, SegmentScan},
    segment::{SegmentWriter, Spare, Start, name::segment_path},
};
use nodedb_env::Env;
use nodedb_types::{ByteReader, Lsn};
use std::path::Path;

/// Builds the segment that the log will end in, as a prepared file that still lacks its name: the same
/// batches up to the last record that is kept, under a new seed. So no header of the old file is ever
/// trusted in it, and the link of the segment that followed, if it is still there, disagrees.
///
/// # Errors
/// `NoSpace`, `Io`; `Damaged` if the log changed meanwhile.
pub(super) fn build(
    env: &Env,
    dir: &Path,
    control: &Control,
    intent: &Intent,
) -> Result<SegmentWriter, WalError> {
    let path = segment_path(dir, intent.segment);
    let damaged = |reason| WalError::Damaged { path: path.clone(), reason };
    let head = Head::read(env, &path, control.shape())?;
    let mut scan = SegmentScan::new(head.open(env)?, &path, &head.header);
    let link = scan.next(control.segment_bytes)?;
    let commit_ms =
        link.ok_or_else(|| damaged("its link batch does not check out"))?.header.commit_ms;
    let start = Start {
        log_id: control.log_id,
        number: intent.segment,
        segment_bytes: control.segment_bytes,
        epoch: head.header.epoch,
        commit_ms,
        link: head.link,
    };
    let next_spare = Listing::read(env, dir)?.next_spare;
    let spare = Spare::prepare(env, dir, next_spare, control.segment_bytes)?;
    let (mut writer, _) = SegmentWriter::begin(env, spare, &start)?;
    let mut last = head.link.prev_last;
    while let Some(batch) = scan.next(control.segment_bytes)? {
        let whole = is_kept(&batch.header, intent.kept);
        if let Some((draft, mut bytes)) = kept_part(&batch, intent.kept) {
            writer.write(&mut bytes, &draft)?;
            last = draft.first_lsn.advance(u64::from(draft.record_count)).previous();
        }
        if !whole {
            break;
        }
    }
    if last != intent.kept {
        return Err(damaged("it changed while it was being read"));
    }
    writer.sync()?;
    Ok(writer)
}

/// A batch with what is kept of its records, and room for its header.
fn kept_part(batch: &ScannedBatch<'_>, kept: Option<Lsn>) -> Option<(Draft, Vec<u8>)> {
    let header = &batch.header;
    let (mut length, mut count) = (batch.body().len(), header.record_count);
    if !is_kept(header, kept) {
        (length, count) = (0, 0);
        let mut reader = ByteReader::new(batch.body());
        while let Ok(Some(record)) = record::take(&mut reader)
            && Some(record.header.lsn) <= kept
        {
            length += record.len();
            count += 1;
        }
    }
    if header.kind == RECORDS && count == 0 {
        return None;
    }
    let mut bytes = vec![0; BATCH_HEADER];
    bytes.extend_from_slice(batch.body().get(..length).unwrap_or_default());
    let draft = Draft {
        kind: header.kind,
        first_lsn: header.first_lsn,
        record_count: count,
        epoch: header.epoch,
        // A stamp that claims more than is kept, as a sound log has none, would refuse the log for ever.
        durable: header.durable.min(kept),
        commit_ms: header.commit_ms,
    };
    Some((draft, bytes))
}
