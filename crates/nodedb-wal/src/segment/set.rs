//! The list of live segments.

use super::{SegmentHeader, SegmentLink, index::SparseIndex, map::SegmentMap};
use crate::sync::Mutex;
use nodedb_env::{Env, Open};
use nodedb_types::{LogEpoch, Lsn};
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

/// One segment, for reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentInfo {
    /// Its number; dense.
    pub number: u64,
    /// Its file.
    pub path: PathBuf,
    /// The first record that is in it or would be.
    pub first_lsn: Lsn,
    /// The last record in it; `None` if it holds none.
    pub last_lsn: Option<Lsn>,
    /// Bytes in use, header included.
    pub bytes: u64,
    /// Byte position of its beginning in the whole log.
    pub base_offset: u64,
    /// The life of the log in which it was started.
    pub epoch: LogEpoch,
    /// Whether a later segment follows.
    pub sealed: bool,
    /// When it was started, in milliseconds since 1970.
    pub created_unix_ms: u64,
}

/// A live segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) header: SegmentHeader,
    pub(crate) first_lsn: Lsn,
    base_offset: u64,
    /// Whether this handle started it, so that it knows of every map of it.
    own: bool,
    end: AtomicU64,
    index: Mutex<SparseIndex>,
    map: Mutex<Weak<SegmentMap>>,
}

impl Segment {
    pub(crate) fn new(
        path: PathBuf,
        header: &SegmentHeader,
        link: &SegmentLink,
        end: u64,
        index: SparseIndex,
    ) -> Self {
        let first_lsn = Lsn::after(link.prev_last);
        Self {
            number: header.identity.segment,
            path,
            header: *header,
            first_lsn,
            base_offset: link.base_offset,
            own: true,
            end: AtomicU64::new(end),
            index: Mutex::new(index),
            map: Mutex::default(),
        }
    }

    /// The same, found on disk: a reader of an earlier handle may still have it mapped.
    pub(crate) fn found(self) -> Self {
        Self { own: false, ..self }
    }

    /// Takes note of a batch that was written.
    pub(crate) fn note(&self, first_lsn: Lsn, offset: u64) {
        self.index.lock().note(first_lsn, offset);
    }

    /// Where to start reading to find a record of this segment that is published: only what is
    /// published lies between that place and its end.
    pub(crate) fn start_for(&self, lsn: Lsn) -> u64 {
        self.index.lock().start_for(lsn)
    }

    /// Bytes in use.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn grow_to(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// The shared view of the file, mapped if that is possible.
    pub(crate) fn view(&self, env: &Env) -> io::Result<Arc<SegmentMap>> {
        let mut cached = self.map.lock();
        if let Some(map) = cached.upgrade() {
            return Ok(map);
        }
        let map = Arc::new(SegmentMap::mapped(env.files.open(&self.path, Open::Read)?)?);
        *cached = Arc::downgrade(&map);
        Ok(map)
    }

    /// A view that reads by position and is not shared.
    pub(crate) fn unmapped(&self, env: &Env) -> io::Result<Arc<SegmentMap>> {
        let file = env.files.open(&self.path, Open::Read)?;
        Ok(Arc::new(SegmentMap::unmapped(file)))
    }

    /// Whether the file may be written anew: nobody looks at it. True for good once the segment is off
    /// the list and only the caller holds it, for a view is only made through a held segment.
    pub(crate) fn is_reusable(self: &Arc<Self>) -> bool {
        self.own && Arc::strong_count(self) == 1 && self.map.lock().strong_count() == 0
    }
}

/// All live segments, oldest first. Never empty.
#[derive(Debug)]
pub(crate) struct SegmentSet {
    segments: Mutex<Vec<Arc<Segment>>>,
}

impl SegmentSet {
    pub(crate) fn new(segments: Vec<Arc<Segment>>) -> Self {
        assert!(!segments.is_empty(), "a log has at least one segment");
        let segments = Mutex::new(segments);
        Self { segments }
    }

    pub(crate) fn push(&self, segment: Arc<Segment>) {
        self.segments.lock().push(segment);
    }

    /// The segment that holds a record, or will.
    ///
    /// # Errors
    /// The oldest record there is, if `lsn` lies before it.
    pub(crate) fn locate(&self, lsn: Lsn) -> Result<Arc<Segment>, Lsn> {
        let segments = self.segments.lock();
        // Segments without records share their first LSN with the next one, which is then the one.
        let after = segments.partition_point(|segment| segment.first_lsn <= lsn);
        match after.checked_sub(1).and_then(|index| segments.get(index)) {
            Some(segment) => Ok(Arc::clone(segment)),
            None => Err(first_lsn(&segments)),
        }
    }

    /// The one that is being written.
    #[expect(clippy::expect_used, reason = "a log has at least one segment")]
    pub(crate) fn newest(&self) -> Arc<Segment> {
        let segments = self.segments.lock();
        Arc::clone(segments.last().expect("a log has at least one segment"))
    }

    /// The first record that is there or would be.
    pub(crate) fn oldest(&self) -> Lsn {
        first_lsn(&self.segments.lock())
    }

    /// Reports on all segments; `written` is the last record of the last one.
    pub(crate) fn infos(&self, written: Option<Lsn>) -> Vec<SegmentInfo> {
        let segments = self.segments.lock().clone();
        let successors = segments.iter().skip(1).map(Some).chain([None]);
        segments
            .iter()
            .zip(successors)
            .map(|(segment, next)| {
                let last = next.map_or(written, |next| next.first_lsn.previous());
                SegmentInfo {
                    number: segment.number,
                    path: segment.path.clone(),
                    first_lsn: segment.first_lsn,
                    last_lsn: last.filter(|last| *last >= segment.first_lsn),
                    bytes: segment.end(),
                    base_offset: segment.base_offset,
                    epoch: segment.header.epoch,
                    sealed: next.is_some(),
                    created_unix_ms: segment.header.created_unix_ms,
                }
            })
            .collect()
    }

    /// Bytes in use from the beginning of the segment that holds a record, or of the oldest one, to the
    /// end.
    pub(crate) fn bytes_from(&self, lsn: Lsn) -> u64 {
        let segments = self.segments.lock();
        let after = segments.partition_point(|segment| segment.first_lsn <= lsn);
        segments.iter().skip(after.saturating_sub(1)).map(|segment| segment.end()).sum()
    }

    /// Takes every segment off below the one of this number, which CONTROL names as the oldest. By
    /// number and not by record: a rotation meanwhile may have made more segments removable than
    /// CONTROL knows of, and one that it names must stay.
    pub(crate) fn split_off_before(&self, oldest: u64) -> Vec<Arc<Segment>> {
        let mut segments = self.segments.lock();
        let count = segments.partition_point(|segment| segment.number < oldest);
        assert!(count < segments.len(), "the oldest segment itself stays");
        segments.drain(..count).collect()
    }

    /// The oldest segment that would stay if everything before `horizon` went.
    pub(crate) fn oldest_kept(&self, horizon: Lsn) -> u64 {
        let segments = self.segments.lock();
        let kept = segments.iter().rev().find(|segment| segment.first_lsn <= horizon);
        kept.or(segments.first()).map_or(0, |segment| segment.number)
    }
}

#[expect(clippy::expect_used, reason = "a log has at least one segment")]
fn first_lsn(segments: &[Arc<Segment>]) -> Lsn {
    let first = segments.first().expect("a log has at least one segment");
    first.first_lsn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Identity;
    use std::path::Path;

    fn segment(number: u64, first: Lsn) -> Arc<Segment> {
        let identity = Identity { log_id: [0; 16], segment: number, seed: 0 };
        let header = SegmentHeader {
            identity,
            segment_bytes: 65536,
            epoch: LogEpoch::new(1),
            created_unix_ms: 0,
        };
        let link = SegmentLink::first(first.previous());
        let path = Path::new("segment").join(number.to_string());
        let index = SparseIndex::for_writer(first, header.segment_bytes);
        Arc::new(Segment::new(path, &header, &link, 4608, index))
    }

    /// A truncation decides that segment 2 becomes the oldest and writes that to CONTROL; a rotation
    /// meanwhile starts segment 3, whose first record is the horizon, too. Going by records would remove
    /// segment 2, which CONTROL says must be there: the next open would refuse the log.
    #[test]
    fn a_rotation_during_a_truncation_removes_no_segment_that_control_names() {
        let horizon = Lsn::FIRST.advance(8);
        let first = Lsn::FIRST.advance(4);
        let set = SegmentSet::new(vec![segment(1, Lsn::FIRST), segment(2, first)]);
        let oldest = set.oldest_kept(horizon);
        assert_eq!(oldest, 2);
        set.push(segment(3, horizon));
        let gone = set.split_off_before(oldest);
        let gone: Vec<_> = gone.iter().map(|segment| segment.number).collect();
        assert_eq!((gone, set.oldest()), (vec![1], first));
    }
}
