//! Reading one segment forward, by position, in bounded memory.

use crate::{
    WalError,
    batch::BatchHeader,
    format::{BATCH_ALIGN, BATCH_HEADER, HEADER_PAGE, in_memory},
    segment::{SegmentHeader, index::SparseIndex},
};
use nodedb_env::File;
use nodedb_types::{LogEpoch, Lsn};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes read at once, unless one batch is longer. What is copied is hashed next, so it should still be in
/// the processor's cache: a window of 1 MiB measured a sixth slower.
const WINDOW: usize = 1 << 18;

/// A walk over the batches of a segment, as far as they are valid.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    file: Arc<dyn File>,
    path: PathBuf,
    header: SegmentHeader,
    window: Vec<u8>,
    window_at: u64,
    /// Where the next batch is expected, which is where the valid part ends.
    pub(crate) offset: u64,
    /// Chain crc of the last valid batch.
    pub(crate) chain: u32,
    /// The next record; `None` before the first batch has told it.
    pub(crate) next_lsn: Option<Lsn>,
    pub(crate) epoch: LogEpoch,
    pub(crate) commit_ms: u64,
    /// The highest durable position in a valid batch, and where.
    pub(crate) stamp: (Option<Lsn>, u64),
    pub(crate) records: u64,
    /// Of the batches so far; `None` before the first.
    pub(crate) index: Option<SparseIndex>,
}

/// One valid batch.
#[derive(Debug)]
pub(crate) struct ScannedBatch<'s> {
    pub(crate) header: BatchHeader,
    pub(crate) offset: u64,
    /// All of it: header, body, padding.
    pub(crate) bytes: &'s [u8],
}

impl ScannedBatch<'_> {
    pub(crate) fn body(&self) -> &[u8] {
        let end = BATCH_HEADER + self.header.body_len as usize;
        self.bytes.get(BATCH_HEADER..end).unwrap_or_default()
    }
}

impl SegmentScan {
    pub(crate) fn new(file: Arc<dyn File>, path: &Path, header: &SegmentHeader) -> Self {
        Self {
            file,
            path: path.to_owned(),
            header: *header,
            window: Vec::new(),
            window_at: 0,
            offset: HEADER_PAGE,
            chain: header.identity.seed,
            next_lsn: None,
            epoch: header.epoch,
            commit_ms: 0,
            stamp: (None, 0),
            records: 0,
            index: None,
        }
    }

    /// The last record up to here.
    pub(crate) fn last(&self) -> Option<Lsn> {
        self.next_lsn.and_then(Lsn::previous)
    }

    /// The next batch, if a valid one stands at the place and ends by `end`.
    ///
    /// # Errors
    /// `Io` if the file cannot be read: never taken for the end. `UnsupportedFormat`.
    pub(crate) fn next(&mut self, end: u64) -> Result<Option<ScannedBatch<'_>>, WalError> {
        let offset = self.offset;
        if offset + BATCH_ALIGN > end {
            return Ok(None);
        }
        let identity = self.header.identity;
        let head = self.bytes(offset, BATCH_HEADER)?;
        let Some(header) = BatchHeader::decode(head, &identity, offset) else {
            return Ok(None);
        };
        header.check_known(&self.path)?;
        let follows = offset + header.total_len() <= end
            && header.prev_chain == self.chain
            && self.next_lsn.is_none_or(|next| next == header.first_lsn)
            && header.epoch >= self.epoch;
        if !follows {
            return Ok(None);
        }
        let len = in_memory(header.total_len());
        if !header.is_intact(self.bytes(offset, len)?, identity.segment) {
            return Ok(None);
        }
        self.step_over(&header);
        // Read again: the borrow above cannot live on. It stands in the window.
        let bytes = self.bytes(offset, len)?;
        Ok(Some(ScannedBatch { header, offset, bytes }))
    }

    fn step_over(&mut self, header: &BatchHeader) {
        let count = u64::from(header.record_count);
        let index = self.index.get_or_insert_with(|| SparseIndex::new(header.first_lsn));
        index.note(header.first_lsn, self.offset);
        if header.durable > self.stamp.0 {
            self.stamp = (header.durable, self.offset);
        }
        self.offset += header.total_len();
        self.chain = header.chain;
        self.next_lsn = Some(header.first_lsn.advance(count));
        self.epoch = header.epoch;
        self.commit_ms = self.commit_ms.max(header.commit_ms);
        self.records += count;
    }

    /// Looks behind the valid part for headers that can be trusted alone: answers the highest durable
    /// position among them with its place, what else they claim, and where the last such batch would end.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn look_behind(&mut self) -> Result<Behind, WalError> {
        let identity = self.header.identity;
        let mut behind =
            Behind { stamp: None, stamp_at: 0, end: self.offset, last: None, epoch: self.epoch };
        let mut offset = self.offset;
        while offset + BATCH_ALIGN <= self.header.segment_bytes {
            let head = self.bytes(offset, BATCH_HEADER)?;
            if let Some(header) = BatchHeader::decode(head, &identity, offset) {
                let end = offset.saturating_add(header.total_len());
                behind.end = behind.end.max(end.min(self.header.segment_bytes));
                behind.last = behind.last.max(header.last_lsn());
                behind.epoch = behind.epoch.max(header.epoch);
                if header.durable > behind.stamp {
                    (behind.stamp, behind.stamp_at) = (header.durable, offset);
                }
            }
            offset += BATCH_ALIGN;
        }
        Ok(behind)
    }

    /// Bytes of the file, through the window. Lengths come from verified headers or are fixed.
    fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], WalError> {
        let skip = offset.checked_sub(self.window_at).map(in_memory);
        let inside = skip.is_some_and(|skip| skip + len <= self.window.len());
        if !inside {
            let left = in_memory(self.header.segment_bytes - offset);
            self.window.resize(WINDOW.max(len).min(left), 0);
            self.window_at = offset;
            let read = self.file.read_exact_at(&mut self.window, offset);
            if let Err(error) = read {
                self.window.clear();
                return Err(WalError::io("read", &self.path)(error));
            }
        }
        let start = in_memory(offset - self.window_at);
        Ok(self.window.get(start..start + len).unwrap_or_default())
    }
}

/// What stands behind the valid part of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind {
    pub(crate) stamp: Option<Lsn>,
    pub(crate) stamp_at: u64,
    pub(crate) end: u64,
    /// The highest record that one of them names.
    pub(crate) last: Option<Lsn>,
    /// The highest epoch.
    pub(crate) epoch: LogEpoch,
}
