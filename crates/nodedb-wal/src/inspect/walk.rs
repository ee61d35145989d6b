//! A walk over a log that may be damaged, up to where it stops being valid.

use crate::{
    WalError,
    batch::BatchHeader,
    control,
    format::{HEADER_PAGE, in_memory},
    recovery::{Head, Listing, SegmentScan, Shape, SurveyedSegment},
    segment::{
        SegmentHeader,
        name::{self, segment_path},
    },
};
use bytes::Bytes;
use nodedb_env::{Env, Open};
use std::path::{Path, PathBuf};

/// A log as far as it is valid: in every segment the longest valid prefix, and from one segment to the
/// next only where the link of the next agrees with it.
#[derive(Debug)]
pub(super) struct Walk {
    env: Env,
    dir: PathBuf,
    pub(super) listing: Listing,
    shape: Shape,
    current: Option<Current>,
    /// The segments that were walked to the end of their valid part.
    pub(super) segments: Vec<SurveyedSegment>,
    /// Why it could not go on, unless the bytes are damaged or missing: those are what a walk is for.
    pub(super) failure: Option<WalError>,
}

/// The segment that the walk is in.
#[derive(Debug)]
struct Current {
    head: Head,
    scan: SegmentScan,
    next: Option<Head>,
}

/// One valid batch.
#[derive(Debug)]
pub(super) struct WalkedBatch {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) header: BatchHeader,
    pub(super) body: Bytes,
}

impl Walk {
    /// Starts at the oldest segment. Where CONTROL is damaged, at the oldest that is there.
    ///
    /// # Errors
    /// `NotALog`, `ControlCorrupt` if no segment tells what CONTROL would, `WrongLog`,
    /// `UnsupportedFormat`, `Io`.
    pub(super) fn new(env: &Env, dir: &Path) -> Result<Self, WalError> {
        let listing = Listing::read(env, dir)?;
        let (shape, oldest) = match control::read(env, dir) {
            Ok(Some(control)) => (control.newest.shape(), control.newest.oldest_segment),
            Ok(None) if listing.segments.is_empty() => {
                return Err(WalError::NotALog { dir: dir.to_owned() });
            }
            Ok(None) => {
                let path = dir.join(name::CONTROL);
                let reason = "it is missing, and no segment tells what it would";
                without_control(env, dir, &listing, WalError::ControlCorrupt { path, reason })?
            }
            Err(error @ WalError::ControlCorrupt { .. }) => {
                without_control(env, dir, &listing, error)?
            }
            Err(error) => return Err(error),
        };
        let mut walk = Self {
            env: env.clone(),
            dir: dir.to_owned(),
            listing,
            shape,
            current: None,
            segments: Vec::new(),
            failure: None,
        };
        let head = walk.head(oldest);
        walk.enter(head);
        Ok(walk)
    }

    /// The next valid batch; `None` where the valid part ends.
    pub(super) fn next(&mut self) -> Option<WalkedBatch> {
        loop {
            let current = self.current.as_mut()?;
            match current.step() {
                Ok(Some(batch)) => return Some(batch),
                Ok(None) => self.leave(),
                Err(error) => {
                    self.fail(error);
                    self.leave();
                    self.current = None;
                }
            }
        }
    }

    /// Header and link of a segment; `None` if it is missing or damaged.
    fn head(&mut self, number: u64) -> Option<Head> {
        if self.listing.segments.binary_search(&number).is_err() {
            return None;
        }
        match Head::read(&self.env, &segment_path(&self.dir, number), self.shape) {
            Ok(head) => (head.number() == number).then_some(head),
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    fn enter(&mut self, head: Option<Head>) {
        let Some(head) = head else {
            return;
        };
        let next = self.head(head.number() + 1);
        match head.open(&self.env) {
            Ok(file) => {
                let scan = SegmentScan::new(file, &head.path, &head.header);
                self.current = Some(Current { head, scan, next });
            }
            Err(error) => self.fail(error),
        }
    }

    /// Goes on to the next segment, if this one ends where that one says.
    fn leave(&mut self) {
        let Some(Current { head, scan, next }) = self.current.take() else {
            return;
        };
        let next = next.filter(|next| head.is_whole(&scan, &next.link));
        self.segments.push(head.surveyed(scan));
        self.enter(next);
    }

    fn fail(&mut self, error: WalError) {
        if !matches!(error, WalError::Damaged { .. }) && self.failure.is_none() {
            self.failure = Some(error);
        }
    }
}

impl Current {
    fn step(&mut self) -> Result<Option<WalkedBatch>, WalError> {
        let whole = self.head.header.segment_bytes;
        let end = self.next.as_ref().map_or(whole, |next| next.link.prev_end.min(whole));
        let segment = self.head.number();
        let batch = self.scan.next(end)?;
        Ok(batch.map(|batch| WalkedBatch {
            segment,
            offset: batch.offset,
            header: batch.header,
            body: Bytes::copy_from_slice(batch.body()),
        }))
    }
}

/// What CONTROL would say, by the oldest segment there is.
fn without_control(
    env: &Env,
    dir: &Path,
    listing: &Listing,
    error: WalError,
) -> Result<(Shape, u64), WalError> {
    let Some(oldest) = listing.segments.first() else {
        return Err(error);
    };
    match read_header(env, &segment_path(dir, *oldest))? {
        Some(header) => {
            let log_id = header.identity.log_id;
            Ok((Shape { log_id, segment_bytes: header.segment_bytes }, *oldest))
        }
        None => Err(error),
    }
}

/// The header of a segment or prepared file; `None` if it has none that checks out.
///
/// # Errors
/// `Io`.
pub(super) fn read_header(env: &Env, path: &Path) -> Result<Option<SegmentHeader>, WalError> {
    let io = |operation| WalError::io(operation, path);
    let file = env.files.open(path, Open::Read).map_err(io("open"))?;
    if file.len().map_err(io("look at"))? < HEADER_PAGE {
        return Ok(None);
    }
    let mut page = vec![0; in_memory(HEADER_PAGE)];
    file.read_exact_at(&mut page, 0).map_err(io("read"))?;
    Ok(SegmentHeader::decode(&page, path).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{SegmentLink, SegmentWriter, Spare, Start};
    use nodedb_testkit::SimFiles;
    use nodedb_types::{LogEpoch, limits::SEGMENT_BYTES_MIN};

    /// Its bytes are only checksummed: without CONTROL a forged segment is all that there is, and must
    /// not end the process that looks at it.
    #[test]
    fn a_lone_segment_beyond_every_log_is_not_walked() {
        for (number, segment_bytes) in [(u64::MAX, SEGMENT_BYTES_MIN), (1, SEGMENT_BYTES_MIN / 2)] {
            let disk = SimFiles::new(1);
            let (env, dir) = (disk.env(), Path::new("/wal"));
            disk.plant_dir(dir);
            let spare = Spare::prepare(&env, dir, 0, segment_bytes).expect("no fault");
            let link = SegmentLink::first(None);
            let (log_id, epoch) = ([1; 16], LogEpoch::new(1));
            let start = Start { log_id, number, segment_bytes, epoch, commit_ms: 1, link };
            SegmentWriter::start(&env, dir, spare, &start).expect("no fault");
            let walk = Walk::new(&env, dir);
            assert!(matches!(walk, Err(WalError::ControlCorrupt { .. })), "{number}: {walk:?}");
        }
    }
}
