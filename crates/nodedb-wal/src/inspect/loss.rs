//! What a lossy truncation would leave and lose.

use super::{
    dump::decoded,
    verify,
    walk::{Walk, WalkedBatch, read_header},
};
use crate::{
    WalError,
    batch::{BatchHeader, RECORDS},
    control::Control,
    pins,
    recovery::{Intent, Listing, SegmentScan, read_control},
    segment::name::{self, segment_path},
};
use nodedb_env::{Env, Open};
use nodedb_types::{LogEpoch, Lsn, LsnRange};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// What a lossy truncation leaves and loses.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Loss {
    /// The record that was asked for.
    pub at: Lsn,
    /// The last record that stays; `None` if none does. Lower than asked for where that would split an
    /// atomic group.
    pub kept: Option<Lsn>,
    /// The last record that was valid.
    pub last_valid: Option<Lsn>,
    /// The records that go: those behind `kept`, up to the last that anything in the log names.
    pub dropped: LsnRange,
    /// Whether more may be gone than `dropped` names: a segment is missing, or so damaged that it tells
    /// nothing of its records.
    pub open_ended: bool,
    /// Bytes of the recognisable batches that go.
    pub dropped_bytes: u64,
    /// The files that are changed or removed, and copied aside before; none if nothing goes.
    pub files: Vec<PathBuf>,
}

impl Loss {
    pub(super) fn of(dir: &Path, intent: &Intent) -> Self {
        Self {
            at: intent.at,
            kept: intent.kept,
            last_valid: intent.last_valid,
            dropped: LsnRange::new(Lsn::after(intent.kept), intent.dropped_end),
            open_ended: intent.open_ended,
            dropped_bytes: intent.dropped_bytes,
            files: intent.files.iter().map(|name| dir.join(name)).collect(),
        }
    }
}

/// Says what [`truncate`](crate::inspect::truncate) would leave and lose, without changing a byte and
/// without a lock.
///
/// # Errors
/// As [`truncate`](crate::inspect::truncate), without those of writing.
pub fn plan_truncation(env: &Env, dir: &Path, at: Lsn) -> Result<Loss, WalError> {
    Plan::make(env, dir, at).map(|plan| Loss::of(dir, &plan.intent))
}

/// A truncation that may be run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) intent: Intent,
    /// Whether it was begun before, so that only its end is missing.
    pub(super) begun: bool,
}

impl Plan {
    pub(super) fn make(env: &Env, dir: &Path, at: Lsn) -> Result<Self, WalError> {
        let mut walk = Walk::new(env, dir)?;
        let control = read_control(env, dir, &walk.listing)?.newest;
        match Intent::pending(env, dir, &control) {
            Ok(Some(intent)) if belongs(&intent, &walk.listing, &control) => {
                let same = intent.at == at;
                let unfinished = intent.unfinished(dir);
                return if same { Ok(Self { intent, begun: true }) } else { Err(unfinished) };
            }
            // A mark that cannot be read, or is of another state of the log, keeps the log from opening,
            // too. A truncation that is decided anew replaces it.
            Ok(_) | Err(WalError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        // No end of the log mends them, and while they are damaged it stays shut.
        pins::read(env, dir, &control.log_id)?;
        let kept = last_kept(&mut walk, at)?;
        let intent = decide(env, dir, &walk, (&control, at, kept))?;
        Ok(Self { intent, begun: false })
    }

    /// Whether the log is sound and ends where it should.
    pub(super) const fn is_done(&self) -> bool {
        self.intent.files.is_empty()
    }
}

/// Whether a mark is of the log as it is. An old one that someone put back does not know the segments
/// that came since: they were never copied aside, and recovery may need them.
fn belongs(intent: &Intent, listing: &Listing, control: &Control) -> bool {
    let mut gone = listing.segments.iter().filter(|number| **number >= intent.segment);
    let copied = |number: &u64| {
        let path = segment_path(Path::new(""), *number);
        path.file_name().is_some_and(|name| intent.files.iter().any(|copied| copied == name))
    };
    control.redo <= Lsn::after(intent.kept)
        && control.oldest_segment <= intent.segment
        && gone.all(copied)
}

/// The last record at or below `at` that ends an atomic group, of the valid part of the log.
fn last_kept(walk: &mut Walk, at: Lsn) -> Result<Option<Lsn>, WalError> {
    let mut kept = None;
    while let Some(batch) = walk.next() {
        if batch.header.first_lsn <= at {
            kept = last_group_end(batch, at);
        }
    }
    if let Some(failure) = walk.failure.take() {
        return Err(failure);
    }
    let oldest = walk.segments.first().and_then(|first| first.link.prev_last);
    Ok(kept.max(oldest).min(Some(at)))
}

fn last_group_end(batch: WalkedBatch, at: Lsn) -> Option<Lsn> {
    let (before, last) = (batch.header.first_lsn.previous(), batch.header.last_lsn());
    if batch.header.kind != RECORDS || last <= Some(at) {
        return last;
    }
    let records = decoded(batch.body).into_iter();
    let ends = records.filter(|record| record.lsn <= at && record.group.last);
    ends.map(|record| record.lsn).max().or(before)
}

fn decide(
    env: &Env,
    dir: &Path,
    walk: &Walk,
    (control, at, kept): (&Control, Lsn, Option<Lsn>),
) -> Result<Intent, WalError> {
    let verdict = verify(env, dir);
    let (Some(first), Some(last)) = (walk.segments.first(), walk.segments.last()) else {
        return Err(beyond_repair(dir, verdict.err()));
    };
    let (lowest, highest) = (control.redo.previous(), last.last);
    // The records that recovery of the engines begins with are gone: no end of the log mends that.
    if first.link.prev_last > lowest {
        return Err(beyond_repair(dir, verdict.err()));
    }
    if Some(at) > highest || kept < lowest {
        let kept = if Some(at) > highest { Some(at) } else { kept };
        return Err(WalError::CannotTruncate { at, kept, lowest, highest });
    }
    let cut = walk.segments.iter().find(|segment| segment.last >= kept).unwrap_or(last);
    let segment = cut.header.identity.segment;
    let newest = walk.listing.segments.last().copied();
    let mut behind = Dropped {
        end: Lsn::after(highest),
        open_ended: newest < Some(control.newest_segment),
        bytes: 0,
        epoch: control.epoch,
    };
    for walked in &walk.segments {
        behind.epoch = behind.epoch.max(walked.epoch);
    }
    behind.name(control.durable);
    let mut files = Vec::new();
    if verdict.is_err() || kept < highest {
        files = behind.files(env, dir, walk, (control, segment, kept))?;
    }
    Ok(Intent {
        at,
        kept,
        last_valid: highest,
        dropped_end: behind.end,
        open_ended: behind.open_ended,
        dropped_bytes: behind.bytes,
        segment,
        epoch: behind.epoch,
        // Nothing is copied before it is run.
        copies: PathBuf::new(),
        files,
    })
}

fn beyond_repair(dir: &Path, verdict: Option<WalError>) -> WalError {
    verdict.unwrap_or_else(|| WalError::Damaged {
        path: dir.to_owned(),
        reason: "it changed while it was being read",
    })
}

/// What is known of the part that goes.
#[derive(Debug)]
struct Dropped {
    end: Lsn,
    open_ended: bool,
    bytes: u64,
    epoch: LogEpoch,
}

impl Dropped {
    fn name(&mut self, lsn: Option<Lsn>) {
        self.end = self.end.max(Lsn::after(lsn));
    }

    /// The files that are changed or removed, looking into each for what goes with it.
    fn files(
        &mut self,
        env: &Env,
        dir: &Path,
        walk: &Walk,
        (control, segment, kept): (&Control, u64, Option<Lsn>),
    ) -> Result<Vec<OsString>, WalError> {
        let mut paths = vec![dir.join(name::CONTROL)];
        // Refused where it cannot be read: who holds the log must stay known.
        if pins::read(env, dir, &control.log_id)?.is_some() {
            paths.push(dir.join(name::PINS));
        }
        for number in walk.listing.segments.iter().filter(|number| **number >= segment) {
            let path = segment_path(dir, *number);
            self.look_into(env, &path, control, kept)?;
            paths.push(path);
        }
        for path in spares_from(env, &walk.listing, control, segment)? {
            self.look_into(env, &path, control, kept)?;
            paths.push(path);
        }
        Ok(paths.iter().filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect())
    }

    /// Takes note of every batch header behind `kept` that can be trusted alone.
    fn look_into(
        &mut self,
        env: &Env,
        path: &Path,
        control: &Control,
        kept: Option<Lsn>,
    ) -> Result<(), WalError> {
        let file = env.files.open(path, Open::Read).map_err(WalError::io("open", path))?;
        let whole = file.len().map_err(WalError::io("look at", path))? == control.segment_bytes;
        let Some(header) = read_header(env, path)?.filter(|header| {
            let same = header.identity.log_id == control.log_id;
            same && whole && header.segment_bytes == control.segment_bytes
        }) else {
            self.open_ended = true;
            return Ok(());
        };
        self.epoch = self.epoch.max(header.epoch);
        let mut scan = SegmentScan::new(file, path, &header);
        let mut cut = scan.offset;
        while let Some(batch) = scan.next(header.segment_bytes)? {
            if !is_kept(&batch.header, kept) {
                break;
            }
            cut = scan.offset;
        }
        let behind = scan.look_behind()?;
        self.epoch = self.epoch.max(behind.epoch);
        self.name(scan.last().max(behind.last).max(behind.stamp).max(scan.stamp.0));
        self.bytes += behind.end - cut;
        Ok(())
    }
}

/// Whether a batch stays whole.
pub(super) fn is_kept(header: &BatchHeader, kept: Option<Lsn>) -> bool {
    header.last_lsn() <= kept
}

/// The prepared files that claim to be a segment numbered `segment` or above. Their links are
/// evidence.
///
/// # Errors
/// `Io`.
pub(super) fn spares_from(
    env: &Env,
    listing: &Listing,
    control: &Control,
    segment: u64,
) -> Result<Vec<PathBuf>, WalError> {
    let mut found = Vec::new();
    for path in listing.whole_spares(control.segment_bytes) {
        let header = read_header(env, path)?;
        let claims = header.is_some_and(|header| {
            header.identity.log_id == control.log_id && header.identity.segment >= segment
        });
        if claims {
            found.push(path.to_owned());
        }
    }
    Ok(found)
}
