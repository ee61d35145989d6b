//! Reading the log while it is being written.

use crate::{
    ReadError, RecordView,
    batch::BatchHeader,
    core::Core,
    format::{BATCH_HEADER, in_memory},
    record,
    segment::{Segment, map::SegmentMap},
};
use bytes::Bytes;
use nodedb_types::{ByteReader, DecodeError, LogEpoch, Lsn};
use std::{io, sync::Arc};

/// How far a reader sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReadLimit {
    /// What survives a power cut.
    #[default]
    Durable,
    /// What survives a killed process; a power cut may still take it back.
    Written,
}

impl ReadLimit {
    /// The last record that may be seen now.
    pub(crate) fn position(self, core: &Core) -> Option<Lsn> {
        match self {
            Self::Durable => core.durable(),
            Self::Written => core.written(),
        }
    }
}

/// The records that one pass of the flusher wrote: whole atomic groups.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The life of the log they were written in.
    pub epoch: LogEpoch,
    /// The first record.
    pub first_lsn: Lsn,
    /// The last record.
    pub last_lsn: Lsn,
    /// When they were committed, in milliseconds since 1970 by a clock that never goes back.
    pub commit_ms: u64,
    body: Bytes,
}

impl Batch {
    /// The records as they are encoded in the log: headers, payloads and padding.
    pub const fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The records in order. Payloads share the memory of the log.
    pub fn records(&self) -> Records {
        Records { body: self.body.clone(), at: 0 }
    }
}

/// Iterator over the records of a batch.
#[derive(Clone, Debug)]
pub struct Records {
    body: Bytes,
    /// Where the next record starts.
    at: usize,
}

impl Iterator for Records {
    type Item = RecordView;

    fn next(&mut self) -> Option<RecordView> {
        // The batch was verified when it was read, so this ends at its end.
        let rest = self.body.get(self.at..).unwrap_or_default();
        let raw = record::take(&mut ByteReader::new(rest)).ok()??;
        let header = raw.header;
        // One reference to the memory of the log per record, which outlives this iterator.
        let payload = self.body.slice_ref(raw.payload);
        self.at += raw.len();
        Some(RecordView {
            lsn: header.lsn,
            tenant: header.tenant,
            vshard: header.vshard,
            kind: header.kind,
            group: header.group,
            payload,
        })
    }
}

/// The records of a batch body that was kept elsewhere, such as in an archive, each checked by its own
/// checksum.
///
/// # Errors
/// [`DecodeError`] if the bytes are no records, or a checksum or padding does not hold.
pub fn decode_records(body: Bytes) -> Result<Vec<RecordView>, DecodeError> {
    let mut reader = ByteReader::new(&body);
    while let Some(raw) = record::take(&mut reader)? {
        if !raw.is_intact() {
            let field = "record checksum";
            return Err(DecodeError::OutOfRange { field, value: raw.header.lsn.get() });
        }
    }
    Ok(Records { body, at: 0 }.collect())
}

/// Reads batches in order. Never blocks the log, and the log's truncation never changes what it reads.
#[derive(Debug)]
pub struct Reader {
    core: Arc<Core>,
    limit: ReadLimit,
    next: Lsn,
    unmapped: bool,
    place: Option<Place>,
}

/// Where the reader stands.
#[derive(Debug)]
struct Place {
    segment: Arc<Segment>,
    view: Arc<SegmentMap>,
    offset: u64,
}

impl Reader {
    pub(crate) fn new(core: Arc<Core>, from: Lsn, limit: ReadLimit) -> Result<Self, ReadError> {
        if let Err(oldest) = core.segments.locate(from) {
            return Err(ReadError::Truncated { oldest });
        }
        Ok(Self { core, limit, next: from, unmapped: false, place: None })
    }

    /// Reads by position instead of through a map: a bad sector is then an error, where a map ends the
    /// process by a signal. For replay, scrubbing and archiving, which read what may not be cached.
    #[must_use]
    pub fn unmapped(mut self) -> Self {
        self.unmapped = true;
        self.place = None;
        self
    }

    /// The record that the next batch starts with.
    pub const fn position(&self) -> Lsn {
        self.next
    }

    /// The next batch, or `None` at the limit; more may come later. A batch in whose middle the reader
    /// was started is cut to what was asked for.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] if the position was reclaimed meanwhile, [`ReadError::Corrupt`] if the
    /// batch does not check out, [`ReadError::Io`].
    pub fn next_batch(&mut self) -> Result<Option<Batch>, ReadError> {
        let limit = self.limit.position(&self.core);
        while Some(self.next) <= limit {
            let (header, bytes) = self.read_batch()?;
            let last = header.last_lsn().filter(|last| *last >= self.next);
            let (Some(last), true) = (last, header.record_count > 0) else {
                continue;
            };
            let mut body = bytes.slice(BATCH_HEADER..BATCH_HEADER + header.body_len as usize);
            skip_before(&mut body, self.next);
            let first_lsn = std::mem::replace(&mut self.next, last.next());
            return Ok(Some(Batch {
                epoch: header.epoch,
                first_lsn,
                last_lsn: last,
                commit_ms: header.commit_ms,
                body,
            }));
        }
        Ok(None)
    }

    /// Reads and verifies the batch at the reader's place and steps over it. The next record lies at
    /// or below a published position, so what stands here is written for good.
    fn read_batch(&mut self) -> Result<(BatchHeader, Bytes), ReadError> {
        let mut place = self.find()?;
        let (segment, offset) = (Arc::clone(&place.segment), place.offset);
        let identity = segment.header.identity;
        let corrupt = ReadError::Corrupt { segment: segment.number, offset, lsn: self.next };
        let read = |len| match place.view.slice(offset, len) {
            Ok(bytes) => Ok(bytes),
            Err(source) => Err(failed(&segment, source)),
        };
        let Some(header) = BatchHeader::decode(&read(BATCH_HEADER)?, &identity, offset) else {
            return Err(corrupt);
        };
        if offset + header.total_len() > segment.header.segment_bytes {
            return Err(corrupt);
        }
        let bytes = read(in_memory(header.total_len()))?;
        if !header.is_intact(&bytes, segment.number) {
            return Err(corrupt);
        }
        place.offset += header.total_len();
        self.place = Some(place);
        Ok((header, bytes))
    }

    /// The place of the next record: the one the reader stands at, unless its segment ends there.
    fn find(&mut self) -> Result<Place, ReadError> {
        let held = self.place.take();
        let segment = match (self.core.segments.locate(self.next), held) {
            (Ok(found), Some(place)) if found.number == place.segment.number => return Ok(place),
            (Ok(found), _) => found,
            // Reclaimed, but the reader still holds the file and stands in the middle of it.
            (Err(_), Some(place)) if place.offset < place.segment.end() => return Ok(place),
            (Err(oldest), _) => return Err(ReadError::Truncated { oldest }),
        };
        let opened = if self.unmapped {
            segment.unmapped(&self.core.env)
        } else {
            segment.view(&self.core.env)
        };
        let view = opened.map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                let oldest = self.core.segments.oldest();
                ReadError::Truncated { oldest }
            } else {
                failed(&segment, source)
            }
        })?;
        let offset = segment.start_for(self.next);
        Ok(Place { segment, view, offset })
    }
}

fn failed(segment: &Segment, source: io::Error) -> ReadError {
    ReadError::Io { path: segment.path.clone(), source }
}

/// Cuts the records before `from` off a body.
fn skip_before(body: &mut Bytes, from: Lsn) {
    while let Ok(Some(record)) = record::take(&mut ByteReader::new(body)) {
        if record.header.lsn >= from {
            return;
        }
        let len = record.len();
        *body = body.slice(len..);
    }
}
