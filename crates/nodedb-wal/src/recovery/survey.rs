//! Reading a whole log and judging it, without changing a byte.

use super::{
    head::{Head, SurveyedSegment, read_link},
    intent::Intent,
    listing::Listing,
    scan::SegmentScan,
};
use crate::{
    WalError,
    control::{self, Control, ReadControl},
    error::Evidence,
    format::{HEADER_PAGE, in_memory},
    pins::{self, StoredPins},
    segment::{SegmentHeader, name},
};
use nodedb_env::{Env, Open};
use nodedb_types::{LogEpoch, Lsn};
use std::path::{Path, PathBuf};

/// Why the log is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// To be written to. What is read is synced first: it must be durable before it is built on.
    Open,
    /// To be looked at.
    Verify,
}

/// A log that may be opened.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) listing: Listing,
    pub(crate) control: Control,
    pub(crate) control_slots_intact: usize,
    /// Oldest first, never empty.
    pub(crate) segments: Vec<SurveyedSegment>,
    /// The highest record that is proven to have been durable.
    pub(crate) proven: Option<Lsn>,
    /// Bytes behind the valid part that carry recognisable batches.
    pub(crate) dropped_bytes: u64,
    pub(crate) pins: StoredPins,
}

impl Survey {
    #[expect(clippy::expect_used, reason = "a survey without a segment is an error")]
    pub(crate) fn newest(&self) -> &SurveyedSegment {
        self.segments.last().expect("a log has at least one segment")
    }

    /// The last record of the log.
    pub(crate) fn last(&self) -> Option<Lsn> {
        self.newest().last
    }

    /// The highest epoch of anything in it.
    pub(crate) fn epoch(&self) -> LogEpoch {
        let epochs = self.segments.iter().map(|segment| segment.epoch);
        epochs.fold(self.control.epoch, LogEpoch::max)
    }

    pub(crate) fn commit_ms(&self) -> u64 {
        let times = self.segments.iter().map(|segment| segment.commit_ms);
        times.max().unwrap_or(0)
    }
}

/// Reads and judges a log.
///
/// # Errors
/// Every way in which a log can be unfit; see [`WalError`].
pub(crate) fn survey(env: &Env, dir: &Path, purpose: Purpose) -> Result<Survey, WalError> {
    let listing = Listing::read(env, dir)?;
    let read = read_control(env, dir, &listing)?;
    if let Some(intent) = Intent::pending(env, dir, &read.newest)? {
        return Err(intent.unfinished(dir));
    }
    let control = read.newest;
    let pins = pins::read(env, dir, &control.log_id)?.unwrap_or_default();
    let paths = listing.live_segments(dir, &control)?;
    if purpose == Purpose::Open {
        sync_all(env, dir, &paths)?;
    }
    let mut heads = Vec::new();
    for path in &paths {
        heads.push(Head::read(env, path, control.shape())?);
    }
    check_start(dir, &control, &heads)?;
    let mut segments = Vec::new();
    let mut proof = Proof::of_control(&control);
    let mut dropped_bytes = 0;
    for (index, head) in heads.iter().enumerate() {
        if let Some(next) = heads.get(index + 1) {
            segments.push(read_sealed(env, head, next)?);
            continue;
        }
        proof.add(head.link.prev_last, head.link_evidence());
        add_prepared(env, &listing, head, &mut proof)?;
        let (segment, dropped) = read_newest(env, head, &mut proof)?;
        segments.push(segment);
        dropped_bytes = dropped;
    }
    Ok(Survey {
        listing,
        control,
        control_slots_intact: read.intact,
        segments,
        proven: proof.durable,
        dropped_bytes,
        pins,
    })
}

pub(crate) fn read_control(
    env: &Env,
    dir: &Path,
    listing: &Listing,
) -> Result<ReadControl, WalError> {
    match control::read(env, dir)? {
        Some(control) => Ok(control),
        None if listing.segments.is_empty() => Err(WalError::NotALog { dir: dir.to_owned() }),
        None => Err(WalError::ControlCorrupt {
            path: dir.join(name::CONTROL),
            reason: "it is missing beside segments of a log",
        }),
    }
}

/// Makes durable what is about to be read. On its own this proves nothing after a failed sync (the
/// kernel may have dropped the dirty pages): what lies above the proof is written again later.
fn sync_all(env: &Env, dir: &Path, paths: &[PathBuf]) -> Result<(), WalError> {
    for path in paths {
        let file = env.files.open(path, Open::ReadWrite).map_err(WalError::io("open", path))?;
        file.sync_data().map_err(WalError::io("sync", path))?;
    }
    env.files.sync_dir(dir).map_err(WalError::io("sync directory", dir))
}

/// The highest position that is proven durable, and by what.
#[derive(Debug)]
struct Proof {
    durable: Option<Lsn>,
    evidence: Evidence,
}

impl Proof {
    fn of_control(control: &Control) -> Self {
        Self { durable: control.durable.max(control.redo.previous()), evidence: Evidence::Control }
    }

    fn add(&mut self, durable: Option<Lsn>, evidence: Evidence) {
        if durable > self.durable {
            (self.durable, self.evidence) = (durable, evidence);
        }
    }
}

/// The oldest segment must hold or precede what recovery of the engines starts from, and every file
/// must be the segment that its name says.
fn check_start(dir: &Path, control: &Control, heads: &[Head]) -> Result<(), WalError> {
    for (number, head) in (control.oldest_segment..).zip(heads) {
        if head.number() != number {
            return Err(WalError::Damaged {
                path: head.path.clone(),
                reason: "it is another segment than its name says",
            });
        }
    }
    let first = heads.first().map(|head| Lsn::after(head.link.prev_last));
    if first.is_none_or(|first| first > control.redo) {
        return Err(WalError::ControlCorrupt {
            path: dir.join(name::CONTROL),
            reason: "the first record that recovery needs lies before the oldest segment",
        });
    }
    Ok(())
}

/// A segment with a successor: the successor's link says where it ends, and proves it durable.
fn read_sealed(env: &Env, head: &Head, next: &Head) -> Result<SurveyedSegment, WalError> {
    let file = head.open(env)?;
    let mut scan = SegmentScan::new(file, &head.path, &head.header);
    while scan.next(next.link.prev_end)?.is_some() {}
    let link = next.link;
    if head.is_whole(&scan, &link) {
        return Ok(head.surveyed(scan));
    }
    match (scan.next_lsn, link.prev_last) {
        (Some(first_bad_lsn), Some(durable_lsn)) if first_bad_lsn <= durable_lsn => {
            Err(WalError::Corruption {
                segment: head.number(),
                offset: scan.offset,
                first_bad_lsn,
                durable_lsn,
                evidence: next.link_evidence(),
            })
        }
        _ => Err(WalError::Damaged {
            path: head.path.clone(),
            reason: "it does not end where the next segment says",
        }),
    }
}

/// A file that was about to become the next segment when the power went carries a link, too.
fn add_prepared(
    env: &Env,
    listing: &Listing,
    newest: &Head,
    proof: &mut Proof,
) -> Result<(), WalError> {
    for path in listing.whole_spares(newest.header.segment_bytes) {
        let io = |operation| WalError::io(operation, path);
        let file = env.files.open(path, Open::Read).map_err(io("open"))?;
        let mut page = vec![0; in_memory(HEADER_PAGE)];
        file.read_exact_at(&mut page, 0).map_err(io("read"))?;
        let Ok(header) = SegmentHeader::decode(&page, path) else {
            continue;
        };
        let follows = header.identity.log_id == newest.header.identity.log_id
            && header.identity.segment == newest.number() + 1
            && header.segment_bytes == newest.header.segment_bytes;
        if follows && let Some(link) = read_link(file, path, &header)? {
            let segment = header.identity.segment;
            proof.add(link.prev_last, Evidence::SegmentLink { segment });
        }
    }
    Ok(())
}

/// The newest segment: its longest valid prefix must reach everything that is proven durable. What
/// lies behind it is then an unacknowledged tail.
fn read_newest(
    env: &Env,
    head: &Head,
    proof: &mut Proof,
) -> Result<(SurveyedSegment, u64), WalError> {
    let file = head.open(env)?;
    let mut scan = SegmentScan::new(file, &head.path, &head.header);
    while scan.next(head.header.segment_bytes)?.is_some() {}
    let segment = head.number();
    let stamped = |(durable, offset)| (durable, Evidence::BatchHeader { segment, offset });
    let (durable, evidence) = stamped(scan.stamp);
    proof.add(durable, evidence);
    let behind = scan.look_behind()?;
    let (durable, evidence) = stamped((behind.stamp, behind.stamp_at));
    proof.add(durable, evidence);
    if let Some(durable_lsn) = proof.durable
        && scan.last() < Some(durable_lsn)
    {
        return Err(WalError::Corruption {
            segment,
            offset: scan.offset,
            first_bad_lsn: Lsn::after(scan.last()),
            durable_lsn,
            evidence: proof.evidence,
        });
    }
    let dropped = behind.end - scan.offset;
    Ok((head.surveyed(scan), dropped))
}
