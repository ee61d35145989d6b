//! The staging buffer: where records get their place in the log before a pass writes them.

use crate::{
    AppendError, PoisonCause, Record,
    commit::Goal,
    committer::Committer,
    demand::Demand,
    format::{BATCH_ALIGN, BATCH_HEADER, FIRST_RECORDS, batch_len, body_max, records_end},
    record::{self, GroupFlags},
    segment::Spare,
    turns::Turns,
};
use nodedb_types::{Lsn, LsnRange};
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    task::Waker,
    time::Duration,
};

/// A batch takes no further group once its body is this long: its memory is used again, and one that
/// grew without end would be copied at each growth, under the lock.
const BATCH_TARGET: usize = 1 << 20;

/// Buffers of finished batches that are kept.
const FREE_MAX: usize = 4;

/// Who appends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendClass {
    /// Data of users. Refused while only the held-back segment is left or, where none is held back, the
    /// last three sixteenths of the one that is being written.
    User,
    /// Deletes and drops of users, small records that lead to less data. May use the held-back segment, but
    /// leave its last eighth, as they do of the one that is being written where none is held back.
    Freeing,
    /// Checkpoints, without which nothing is ever freed. May use all of it.
    Housekeeping,
}

impl AppendClass {
    /// How many bytes of the very last segment it leaves to the classes behind it.
    const fn leaves(self, segment_bytes: u64) -> u64 {
        match self {
            Self::User => segment_bytes / 16 * 3,
            Self::Freeing => segment_bytes / 8,
            Self::Housekeeping => 0,
        }
    }
}

/// A batch whose place is decided and whose header is not written yet.
#[derive(Debug)]
pub(crate) struct StagedBatch {
    /// Room for the header, then the body.
    pub(crate) bytes: Vec<u8>,
    pub(crate) first_lsn: Lsn,
    pub(crate) records: u32,
    /// Whether it begins the next segment.
    pub(crate) opens_segment: bool,
    /// Where in its segment it starts.
    pub(crate) offset: u64,
}

/// What waits to be written, and all that must change together with it.
#[derive(Debug)]
pub(crate) struct Stage {
    segment_bytes: u64,
    bytes_max: usize,
    batches: Vec<StagedBatch>,
    staged_bytes: usize,
    flight_bytes: usize,
    free: Vec<Vec<u8>>,
    next_lsn: Lsn,
    /// Segments that staged batches will open, beyond the one that is being written.
    ahead: usize,
    /// Where the open batch starts, or else the next one will, in the last of those segments.
    offset: u64,
    /// Prepared files.
    pub(crate) ready: VecDeque<Spare>,
    /// Whether the last attempt to prepare a file failed, which is nearly always for want of space.
    pub(crate) starved: bool,
    pub(crate) demand: Demand,
    /// The right to write, while nobody has it.
    pub(crate) lead: Option<Box<Committer>>,
    pub(crate) turns: Turns,
    /// The durable position that a recovery will find proven.
    pub(crate) evidence: Option<Lsn>,
    /// Until when the flusher sleeps if nobody wakes it: zero while it is awake, the maximum for ever.
    pub(crate) flusher_until: Duration,
    pub(crate) poison: Option<PoisonCause>,
    pub(crate) closing: bool,
    /// Futures by the record they wait for.
    pub(crate) wakers: BTreeMap<(Lsn, u64), Waker>,
}

/// Where a group goes.
#[derive(Clone, Copy)]
enum Place {
    OpenBatch,
    NextBatch,
    NextSegment,
}

impl Stage {
    /// Nothing staged; the segment being written ends at `offset`.
    pub(crate) fn new(segment_bytes: u64, bytes_max: usize, next_lsn: Lsn, offset: u64) -> Self {
        Self {
            segment_bytes,
            bytes_max,
            batches: Vec::new(),
            staged_bytes: 0,
            flight_bytes: 0,
            free: Vec::new(),
            next_lsn,
            ahead: 0,
            offset,
            ready: VecDeque::new(),
            starved: false,
            demand: Demand::default(),
            lead: None,
            turns: Turns::default(),
            evidence: next_lsn.previous(),
            flusher_until: Duration::ZERO,
            poison: None,
            closing: false,
            wakers: BTreeMap::new(),
        }
    }

    /// Largest group that is ever accepted.
    pub(crate) fn group_max(&self) -> usize {
        body_max(self.segment_bytes).min(self.bytes_max) / 8 * 8
    }

    /// The last record that has a place.
    pub(crate) fn appended(&self) -> Option<Lsn> {
        self.next_lsn.previous()
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether a group of so many bytes would be taken now.
    ///
    /// # Errors
    /// Why not; every reason is found here, before an LSN is assigned.
    pub(crate) fn admit(&self, bytes: usize, class: AppendClass) -> Result<(), AppendError> {
        self.place(bytes, class).map(|_| ())
    }

    fn place(&self, bytes: usize, class: AppendClass) -> Result<Place, AppendError> {
        if let Some(cause) = &self.poison {
            return Err(AppendError::Poisoned(cause.clone()));
        }
        if self.closing {
            return Err(AppendError::Closed);
        }
        let limit = self.group_max();
        if bytes > limit {
            return Err(AppendError::TooLarge { bytes, limit });
        }
        if self.staged_bytes + self.flight_bytes + bytes > self.bytes_max {
            return Err(AppendError::Backpressure);
        }
        let end = self.end_for(class);
        if let Some(open) = self.batches.last() {
            let body = open.bytes.len() - BATCH_HEADER;
            if body < BATCH_TARGET && self.offset + batch_len(body + bytes) <= end {
                return Ok(Place::OpenBatch);
            }
        }
        if self.next_offset() + batch_len(bytes) <= end {
            return Ok(Place::NextBatch);
        }
        if self.may_open(bytes, class) {
            return Ok(Place::NextSegment);
        }
        Err(if self.starved { AppendError::NoSpace } else { AppendError::Backpressure })
    }

    /// Whether a group of so many bytes may begin the next prepared file.
    fn may_open(&self, bytes: usize, class: AppendClass) -> bool {
        match (self.ready.len().saturating_sub(self.ahead), class) {
            (0, _) | (1, AppendClass::User) => false,
            // The last one, in which it must leave the same room as every group behind it.
            (1, _) => {
                let end = records_end(self.segment_bytes) - class.leaves(self.segment_bytes);
                FIRST_RECORDS + batch_len(bytes) <= end
            }
            (2.., _) => true,
        }
    }

    /// Where the batch after the open one starts.
    fn next_offset(&self) -> u64 {
        let open = self.batches.last();
        self.offset + open.map_or(0, |open| batch_len(open.bytes.len() - BATCH_HEADER))
    }

    /// Where records of this class must end in the last segment. While no prepared file is held back
    /// (one is gone after a reopen on a full disk, or after something that frees has begun to write into
    /// it), users leave the last three sixteenths and deletes the last eighth: a checkpoint that finds no room for
    /// its record frees nothing, and a user who cannot delete neither.
    fn end_for(&self, class: AppendClass) -> u64 {
        let end = records_end(self.segment_bytes);
        let last = self.ready.len() <= self.ahead;
        if last { end - class.leaves(self.segment_bytes) } else { end }
    }

    /// Takes a whole atomic group, or nothing. `crcs` are the checksums of the payloads.
    ///
    /// # Errors
    /// As [`Stage::admit`]; no LSN is taken then.
    pub(crate) fn append(
        &mut self,
        records: &[Record<'_>],
        crcs: &[u32],
        class: AppendClass,
    ) -> Result<LsnRange, AppendError> {
        let bytes = records.iter().map(Record::encoded_len).sum();
        match self.place(bytes, class)? {
            Place::OpenBatch => {}
            Place::NextBatch => self.open_batch(self.next_offset(), false),
            Place::NextSegment => {
                self.ahead += 1;
                self.open_batch(FIRST_RECORDS, true);
            }
        }
        let range = LsnRange::starting_at(self.next_lsn, records.len() as u64);
        self.encode(records, crcs);
        self.next_lsn = range.end();
        self.staged_bytes += bytes;
        Ok(range)
    }

    fn open_batch(&mut self, offset: u64, opens_segment: bool) {
        let mut bytes = self.free.pop().unwrap_or_default();
        bytes.clear();
        bytes.resize(BATCH_HEADER, 0);
        self.offset = offset;
        self.batches.push(StagedBatch {
            bytes,
            first_lsn: self.next_lsn,
            records: 0,
            opens_segment,
            offset,
        });
    }

    #[expect(clippy::expect_used, reason = "the caller has just opened a batch")]
    fn encode(&mut self, records: &[Record<'_>], crcs: &[u32]) {
        let batch = self.batches.last_mut().expect("a batch is open");
        for (index, (record, crc)) in records.iter().zip(crcs).enumerate() {
            let lsn = self.next_lsn.advance(index as u64);
            let group = GroupFlags::at(index, records.len());
            record::encode(&mut batch.bytes, record, lsn, group, *crc);
        }
        batch.records += crate::format::on_disk(records.len());
    }

    /// Notes that somebody wants the records up to this one, as far as they are appended.
    pub(crate) fn want(&mut self, goal: Goal, up_to: Lsn) {
        if goal == Goal::Written {
            let turn = self.turns.turn_of(up_to);
            self.demand.flush_turn = self.demand.flush_turn.max(Some(turn));
        }
        let up_to = self.appended().map(|appended| appended.min(up_to));
        self.demand.wait(goal, up_to);
    }

    /// The last record before `end` that a future waits for.
    pub(crate) fn last_awaited(&self, end: Lsn) -> Option<Lsn> {
        let awaited = self.wakers.range(..(end, 0)).next_back();
        awaited.map(|((lsn, _), _)| *lsn)
    }

    /// Begins a pass over everything staged, which goes into `batches`, an empty list.
    pub(crate) fn begin_pass(&mut self, batches: &mut Vec<StagedBatch>) {
        assert!(batches.is_empty(), "the pass before has given its memory back");
        self.offset = self.next_offset();
        self.flight_bytes = mem::take(&mut self.staged_bytes);
        mem::swap(&mut self.batches, batches);
        self.demand.begin_pass();
        self.turns.begin(self.appended());
    }

    /// Begins a pass that only writes a `SyncPoint`; nothing may be staged. Answers where it goes.
    pub(crate) fn begin_sync_point(&mut self) -> u64 {
        assert!(self.batches.is_empty(), "a SyncPoint follows all that is staged");
        assert_eq!(self.ahead, 0, "all segments with staged batches are open");
        let offset = self.offset;
        self.offset += BATCH_ALIGN;
        self.turns.begin(self.appended());
        offset
    }

    /// Takes the file for the next segment, which admission has counted on.
    #[expect(
        clippy::expect_used,
        reason = "admission counts prepared files, only rotation takes one"
    )]
    pub(crate) fn take_spare(&mut self) -> Spare {
        assert!(self.ahead > 0, "only a staged batch opens a segment");
        self.ahead -= 1;
        self.ready.pop_front().expect("admission counted this file")
    }

    /// Ends a pass: gives its memory and the right to write back. Answers the number of the pass.
    pub(crate) fn end_pass(&mut self, mut committer: Box<Committer>) -> usize {
        self.flight_bytes = 0;
        for batch in committer.batches.drain(..) {
            if self.free.len() < FREE_MAX && batch.bytes.capacity() <= 4 * BATCH_TARGET {
                self.free.push(batch.bytes);
            }
        }
        self.evidence = committer.evidence();
        self.lead = Some(committer);
        self.turns.end()
    }
}
