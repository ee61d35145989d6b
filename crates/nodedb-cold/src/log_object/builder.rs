//! From batches to a log object.

use crate::{
    ColdError,
    error::FormatError,
    hash::ObjectHash,
    layout::Layout,
    log_object::{
        ArchivedBatch, ArchivedPoint, BLOCK_BYTES_MAX, HEADER_LEN, Header, POINTS_MAX,
        RAW_BYTES_MAX,
        batch::{BatchFrame, FRAME_LEN},
        trailer::{BlockEntry, put_end},
    },
    store::ObjectKey,
    writer::WriterIdentity,
};
use bytes::Bytes;
use nodedb_types::{Lsn, LsnRange};

const LEVEL: i32 = 3;

/// A finished log object, not uploaded yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogObject {
    key: ObjectKey,
    bytes: Bytes,
    hash: ObjectHash,
    range: LsnRange,
}

impl LogObject {
    /// Where it belongs.
    pub const fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Its contents.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its digest, which the next object names.
    pub const fn hash(&self) -> ObjectHash {
        self.hash
    }

    /// Its records.
    pub const fn range(&self) -> LsnRange {
        self.range
    }
}

/// Collects whole batches of the log, dense and in order, and makes one object of them.
///
/// An atomic group never spans two objects: a group lies in one batch, and objects end at batch ends.
pub struct LogObjectBuilder {
    writer: WriterIdentity,
    start: Lsn,
    next: Lsn,
    previous: ObjectHash,
    compressor: zstd::bulk::Compressor<'static>,
    object: Vec<u8>,
    block: Block,
    blocks: Vec<BlockEntry>,
    points: Vec<ArchivedPoint>,
    batch_count: u32,
    raw_len: u32,
    commit_ms: Option<(u64, u64)>,
}

#[derive(Default)]
struct Block {
    raw: Vec<u8>,
    first_lsn: Option<Lsn>,
    max_commit_ms: u64,
}

impl LogObjectBuilder {
    /// An empty object that begins with `start` and follows the object with digest `previous`.
    ///
    /// # Errors
    /// [`ColdError::Compress`] if the compressor cannot be set up.
    pub fn new(
        writer: WriterIdentity,
        start: Lsn,
        previous: ObjectHash,
    ) -> Result<Self, ColdError> {
        let compressor =
            zstd::bulk::Compressor::new(LEVEL).map_err(|source| ColdError::Compress { source })?;
        Ok(Self {
            writer,
            start,
            next: start,
            previous,
            compressor,
            object: vec![0; HEADER_LEN],
            block: Block::default(),
            blocks: Vec::new(),
            points: Vec::new(),
            batch_count: 0,
            raw_len: 0,
            commit_ms: None,
        })
    }

    /// Bytes of log in it so far, uncompressed.
    pub const fn raw_len(&self) -> u32 {
        self.raw_len
    }

    /// The record that the next batch must begin with.
    pub const fn next_lsn(&self) -> Lsn {
        self.next
    }

    /// Whether no batch is in it.
    pub const fn is_empty(&self) -> bool {
        self.batch_count == 0
    }

    /// Whether another batch with a body of that many bytes fits below [`crate::RAW_BYTES_MAX`].
    pub fn fits(&self, body_len: usize) -> bool {
        self.raw_len_with(body_len).is_some()
    }

    fn raw_len_with(&self, body_len: usize) -> Option<u32> {
        let added = u32::try_from(body_len.checked_add(FRAME_LEN)?).ok()?;
        self.raw_len.checked_add(added).filter(|len| *len <= RAW_BYTES_MAX)
    }

    /// Adds the batch that follows the last one.
    ///
    /// # Errors
    /// [`ColdError::Compress`] if the compressor fails; the builder is then of no more use.
    ///
    /// # Panics
    /// If the batch does not begin with [`LogObjectBuilder::next_lsn`], has no records, was committed
    /// before the last one, or does not fit: the caller cut the log wrongly, and an archive with a
    /// hole must not come to be.
    pub fn push(&mut self, batch: &ArchivedBatch) -> Result<(), ColdError> {
        assert!(
            batch.first_lsn == self.next,
            "batch {} does not continue the object at {}",
            batch.first_lsn,
            self.next
        );
        assert!(batch.record_count > 0, "a batch without records has no position");
        let (min, max) = self.commit_ms.unwrap_or((batch.commit_ms, batch.commit_ms));
        assert!(max <= batch.commit_ms, "the commit clock went back");
        let raw_len = self.raw_len_with(batch.body.len());
        assert!(raw_len.is_some(), "a batch does not fit into the object");
        self.raw_len = raw_len.unwrap_or_default();
        self.commit_ms = Some((min, batch.commit_ms));
        self.next = batch.range().end();
        self.batch_count += 1;
        let frame = BatchFrame {
            log_epoch: batch.log_epoch,
            first_lsn: batch.first_lsn,
            record_count: batch.record_count,
            commit_ms: batch.commit_ms,
            body_len: u32::try_from(batch.body.len()).unwrap_or(u32::MAX),
        };
        if self.block.raw.len() == BLOCK_BYTES_MAX as usize {
            self.end_block()?;
        }
        self.block.first_lsn.get_or_insert(batch.first_lsn);
        self.block.max_commit_ms = batch.commit_ms;
        self.put(&frame.encode())?;
        self.put(&batch.body)
    }

    /// Names a position among the batches pushed so far.
    ///
    /// # Panics
    /// If the position is not in this object, or for more than [`POINTS_MAX`] of them.
    pub fn add_point(&mut self, point: ArchivedPoint) {
        let inside = LsnRange::new(self.start, self.next).contains(point.lsn);
        assert!(inside, "restore point {} is not in this object", point.lsn);
        assert!(self.points.len() < POINTS_MAX as usize, "too many restore points");
        self.points.push(point);
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<(), ColdError> {
        while !bytes.is_empty() {
            if self.block.raw.len() == BLOCK_BYTES_MAX as usize {
                self.end_block()?;
            }
            let room = BLOCK_BYTES_MAX as usize - self.block.raw.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.raw.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// `raw length u32 | compressed length u32 | crc32c of the plain bytes | compressed bytes`.
    fn end_block(&mut self) -> Result<(), ColdError> {
        let block = std::mem::take(&mut self.block);
        if block.raw.is_empty() {
            return Ok(());
        }
        let compressed = self.compressor.compress(&block.raw);
        let compressed = compressed.map_err(|source| ColdError::Compress { source })?;
        let length = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let entry = BlockEntry {
            offset: self.object.len() as u64,
            stored_len: length(compressed.len() + 12),
            raw_len: length(block.raw.len()),
            first_lsn: block.first_lsn,
            max_commit_ms: block.max_commit_ms,
        };
        let checksum = crc32c::crc32c(&block.raw);
        self.object.extend_from_slice(&entry.raw_len.to_le_bytes());
        self.object.extend_from_slice(&length(compressed.len()).to_le_bytes());
        self.object.extend_from_slice(&checksum.to_le_bytes());
        self.object.extend_from_slice(&compressed);
        self.blocks.push(entry);
        Ok(())
    }

    /// The object.
    ///
    /// # Errors
    /// [`ColdError::Compress`] if the compressor fails.
    ///
    /// # Panics
    /// If no batch was pushed: an object without records has no range.
    pub fn finish(mut self) -> Result<LogObject, ColdError> {
        assert!(!self.is_empty(), "a log object without batches");
        self.end_block()?;
        let (min_commit_ms, max_commit_ms) = self.commit_ms.unwrap_or_default();
        let header = Header {
            writer: self.writer,
            range: LsnRange::new(self.start, self.next),
            batch_count: self.batch_count,
            raw_len: self.raw_len,
            min_commit_ms,
            max_commit_ms,
            previous: self.previous,
        };
        let mut object = self.object;
        let (head, _) = object.split_at_mut(HEADER_LEN);
        head.copy_from_slice(&header.encode());
        let layout = Layout::new(self.writer.database_id);
        let key = layout.log(self.writer.writer_epoch, self.start);
        let hash = put_end(&mut object, &self.blocks, &self.points)
            .map_err(|problem: FormatError| ColdError::Corrupt { key: key.clone(), problem })?;
        Ok(LogObject { key, bytes: object.into(), hash, range: header.range })
    }
}

impl std::fmt::Debug for LogObjectBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogObjectBuilder")
            .field("start", &self.start)
            .field("next", &self.next)
            .field("raw_len", &self.raw_len)
            .finish_non_exhaustive()
    }
}
