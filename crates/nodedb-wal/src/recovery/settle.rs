//! The writing half of opening a log. It starts only when the log was judged sound.

use super::{intent::Intent, scan::SegmentScan, survey::Survey};
use crate::{
    WalError,
    control::ControlFile,
    segment::{Reason, Segment, SegmentLink, SegmentWriter, Spare, Start},
};
use nodedb_env::{Env, Open};
use nodedb_types::{LogEpoch, Lsn};
use std::{collections::VecDeque, path::Path, sync::Arc};

/// What opening a log found and did.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The new life of the log.
    pub epoch: LogEpoch,
    /// The oldest record there is, or would be.
    pub oldest: Lsn,
    /// The last record; all up to it are durable now.
    pub last: Option<Lsn>,
    /// The last record that was proven durable before; what is above was written again.
    pub proven: Option<Lsn>,
    /// The first record that recovery of the engines needs.
    pub redo: Lsn,
    /// The last checkpoint record.
    pub checkpoint_record: Option<Lsn>,
    /// Number of records in the log.
    pub records: u64,
    /// Number of segments that were read.
    pub segments: usize,
    /// Bytes of recognisable batches that were dropped behind the last record: never acknowledged.
    pub dropped_bytes: u64,
    /// Bytes above the proof that were written again.
    pub rewritten_bytes: u64,
    /// Whether the log had been closed in order.
    pub clean_shutdown: bool,
    /// How many of the two slots of CONTROL were intact.
    pub control_slots_intact: usize,
}

/// A log that is ready for writers.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) report: RecoveryReport,
    pub(crate) control: ControlFile,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) writer: SegmentWriter,
    pub(crate) ready: VecDeque<Spare>,
    pub(crate) next_spare: u64,
    pub(crate) commit_ms: u64,
}

/// Makes a surveyed log ready for writers. Ended by a crash anywhere, the next survey comes to the same
/// records: nothing but the same bytes goes into an old segment.
pub(crate) fn settle(env: &Env, dir: &Path, survey: &Survey) -> Result<Settled, WalError> {
    for path in &survey.listing.unfinished {
        remove(env, path)?;
    }
    let rewritten_bytes = rewrite(env, survey)?;
    let mut ready = adopt_spares(env, survey)?;
    let mut next_spare = survey.listing.next_spare;
    let mut spare = ready.pop_front();
    if spare.is_none() {
        spare = prepare(env, dir, next_spare, survey)?;
        next_spare += 1;
    }
    let epoch = survey.epoch().next();
    let commit_ms = survey.commit_ms().max(env.clock.unix_ms());
    let mut segments = old_segments(survey);
    let resumes = spare.is_none();
    let writer = if let Some(spare) = spare {
        let start = next_segment(survey, epoch, commit_ms);
        let (writer, segment) = SegmentWriter::start(env, dir, spare, &start)?;
        segments.retain(|old| old.number != start.number);
        segments.push(segment);
        writer
    } else {
        SegmentWriter::resume(env, survey.newest())?
    };
    let mut control = ControlFile::open(env, dir, survey.control)?;
    control.write_both(|state| {
        state.epoch = epoch;
        state.durable = survey.last();
        state.newest_segment = writer.number();
        state.clean_shutdown = false;
    })?;
    if resumes {
        // After CONTROL: what is erased may be the last evidence for what is kept.
        writer.erase_ahead(survey.control.segment_bytes)?;
    }
    for path in survey.listing.reclaimed(dir, survey.control.oldest_segment) {
        remove(env, &path)?;
    }
    Intent::sweep(env, dir)?;
    Ok(Settled {
        report: report(survey, epoch, rewritten_bytes),
        control,
        segments,
        writer,
        ready,
        next_spare,
        commit_ms,
    })
}

/// Makes the file for the next segment; `None` if the disk is full. The log goes on in its newest segment
/// then: an open that needs space would refuse the one who wants to free some.
fn prepare(env: &Env, dir: &Path, number: u64, survey: &Survey) -> Result<Option<Spare>, WalError> {
    match Spare::prepare(env, dir, number, survey.control.segment_bytes) {
        Ok(spare) => Ok(Some(spare)),
        Err(WalError::NoSpace { .. }) => {
            tracing::warn!(dir = %dir.display(), "disk full: the log goes on in its newest segment");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn report(survey: &Survey, epoch: LogEpoch, rewritten_bytes: u64) -> RecoveryReport {
    let oldest = survey.segments.first().map(|first| first.link.prev_last);
    RecoveryReport {
        epoch,
        oldest: Lsn::after(oldest.flatten()),
        last: survey.last(),
        proven: survey.proven,
        redo: survey.control.redo,
        checkpoint_record: survey.control.checkpoint_record,
        records: survey.segments.iter().map(|segment| segment.records).sum(),
        segments: survey.segments.len(),
        dropped_bytes: survey.dropped_bytes,
        rewritten_bytes,
        clean_shutdown: survey.control.clean_shutdown,
        control_slots_intact: survey.control_slots_intact,
    }
}

/// Writes what is kept above the proof again, the same bytes to the same place, and syncs it. What was
/// read may have come from a page cache that a failed sync left clean: only this makes it durable.
///
/// The bytes written are the bytes verified, in one step: a page that was dropped in between would
/// bring back what the disk really holds.
fn rewrite(env: &Env, survey: &Survey) -> Result<u64, WalError> {
    let newest = survey.newest();
    if newest.records == 0 {
        // Nothing of it is kept: its number goes to the new segment.
        return Ok(0);
    }
    let path = &newest.path;
    let io = |operation| WalError::io(operation, path);
    let file = env.files.open(path, Open::ReadWrite).map_err(io("open"))?;
    let mut scan = SegmentScan::new(Arc::clone(&file), path, &newest.header);
    let mut rewritten = 0;
    while let Some(batch) = scan.next(newest.end)? {
        // A batch without records counts as the record that follows it: evidence for that record is
        // evidence that the batch before it was synced, too.
        let position = match batch.header.record_count {
            0 => Some(batch.header.first_lsn),
            _ => batch.header.last_lsn(),
        };
        if position > survey.proven {
            file.write_all_at(batch.bytes, batch.offset).map_err(io("write"))?;
            rewritten += batch.bytes.len() as u64;
        }
    }
    if scan.offset != newest.end || scan.chain != newest.chain {
        return Err(WalError::Damaged {
            path: path.clone(),
            reason: "it changed while it was being read",
        });
    }
    if rewritten > 0 {
        file.sync_data().map_err(io("sync"))?;
    }
    Ok(rewritten)
}

/// What the new segment starts with. One that holds no record is replaced, so that opening and closing
/// does not grow the log.
fn next_segment(survey: &Survey, epoch: LogEpoch, commit_ms: u64) -> Start {
    let newest = survey.newest();
    let number = newest.header.identity.segment;
    let reason = Reason::Recovery;
    let (number, link) = if newest.records == 0 {
        let link = newest.link;
        (number, SegmentLink { reason, ..link })
    } else {
        let link = SegmentLink {
            prev_segment: number,
            prev_last: newest.last,
            prev_end: newest.end,
            base_offset: newest.link.base_offset + newest.end,
            prev_chain: newest.chain,
            reason,
        };
        (number + 1, link)
    };
    Start {
        log_id: survey.control.log_id,
        number,
        segment_bytes: survey.control.segment_bytes,
        epoch,
        commit_ms,
        link,
    }
}

fn old_segments(survey: &Survey) -> Vec<Arc<Segment>> {
    let segments = survey.segments.iter().map(|old| {
        let path = old.path.clone();
        let index = old.index.clone();
        Arc::new(Segment::new(path, &old.header, &old.link, old.end, index).found())
    });
    segments.collect()
}

/// Takes the prepared files that are whole and removes the others.
fn adopt_spares(env: &Env, survey: &Survey) -> Result<VecDeque<Spare>, WalError> {
    let mut ready = VecDeque::new();
    for (path, len) in &survey.listing.spares {
        if *len == survey.control.segment_bytes {
            ready.push_back(Spare::adopt(env, path.clone())?);
        } else {
            remove(env, path)?;
        }
    }
    Ok(ready)
}

fn remove(env: &Env, path: &Path) -> Result<(), WalError> {
    env.files.remove_file(path).map_err(WalError::io("remove", path))
}
