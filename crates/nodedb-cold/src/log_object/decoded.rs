//! From a log object back to batches.

use crate::{
    ColdError,
    error::FormatError,
    hash::ObjectHash,
    layout::Layout,
    log_object::{
        ArchivedBatch, ArchivedPoint, HEADER_LEN, Header, TRAILER_LEN, Trailer,
        batch::{BatchFrame, FRAME_LEN},
        decode_points,
        trailer::{BlockEntry, UNCOVERED_LEN, decode_index},
    },
    store::ObjectKey,
    writer::WriterEpoch,
};
use bytes::Bytes;
use nodedb_types::{ByteReader, DatabaseId, Lsn, LsnRange};

/// What an object must be, to be the one that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpectedIdentity {
    /// Whose.
    pub database_id: DatabaseId,
    /// Written in which epoch.
    pub writer_epoch: WriterEpoch,
    /// Its first record.
    pub start_lsn: Lsn,
}

impl ExpectedIdentity {
    /// Where such an object stands.
    pub fn key(&self) -> ObjectKey {
        Layout::new(self.database_id).log(self.writer_epoch, self.start_lsn)
    }

    pub(crate) fn check(&self, header: &Header) -> Result<(), FormatError> {
        let foreign = |field| Err(FormatError::Foreign { field });
        if header.writer.database_id != self.database_id {
            return foreign("database id");
        }
        if header.writer.writer_epoch != self.writer_epoch {
            return foreign("writer epoch");
        }
        if header.range.start() != self.start_lsn {
            return foreign("start lsn");
        }
        Ok(())
    }
}

/// A log object whose digest, header and index have been found right.
#[derive(Clone, Debug)]
pub struct DecodedLogObject {
    key: ObjectKey,
    bytes: Bytes,
    header: Header,
    blocks: Vec<BlockEntry>,
    points: Vec<ArchivedPoint>,
    hash: ObjectHash,
}

impl crate::LogObject {
    /// Checks an object that was read. Blocks are decompressed later, one at a time, by
    /// [`DecodedLogObject::batches`].
    ///
    /// # Errors
    /// [`ColdError::Corrupt`] for every bit that is not as it was written, for every truncation, and
    /// for an object that is not the expected one.
    pub fn decode(
        bytes: Bytes,
        expected: &ExpectedIdentity,
    ) -> Result<DecodedLogObject, ColdError> {
        let key = expected.key();
        decode(&key, bytes, expected).map_err(ColdError::corrupt(&key))
    }
}

fn decode(
    key: &ObjectKey,
    bytes: Bytes,
    expected: &ExpectedIdentity,
) -> Result<DecodedLogObject, FormatError> {
    let header = Header::decode(&bytes)?;
    let whole = bytes.len();
    let slice = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
    let end = whole.saturating_sub(TRAILER_LEN);
    let trailer = Trailer::decode(slice(end, whole), whole as u64)?;
    let covered = whole.saturating_sub(UNCOVERED_LEN);
    let found = ObjectHash::of(slice(0, covered));
    if found != trailer.hash {
        return Err(FormatError::Digest { written: trailer.hash, found });
    }
    expected.check(&header)?;
    let position = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let index_at = position(trailer.index_offset);
    let points_at = position(trailer.points_offset);
    let blocks = decode_index(slice(index_at, points_at), HEADER_LEN as u64, &trailer)?;
    let points = decode_points(slice(points_at, end), trailer.point_count)?;
    let raw_len: u64 = blocks.iter().map(|block| u64::from(block.raw_len)).sum();
    if raw_len != u64::from(header.raw_len) {
        return Err(FormatError::Field { field: "raw length" });
    }
    if !points.iter().all(|point| header.range.contains(point.lsn)) {
        return Err(FormatError::Field { field: "point lsn" });
    }
    Ok(DecodedLogObject { key: key.clone(), hash: trailer.hash, header, blocks, points, bytes })
}

impl DecodedLogObject {
    /// Where it stands.
    pub const fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The object as it was read.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its records.
    pub const fn range(&self) -> LsnRange {
        self.header.range
    }

    /// Its digest.
    pub const fn hash(&self) -> ObjectHash {
        self.hash
    }

    /// Digest of the object that it follows; zero where the archive begins.
    pub const fn previous(&self) -> ObjectHash {
        self.header.previous
    }

    /// Commit time of its last batch, in milliseconds since 1970.
    pub const fn max_commit_ms(&self) -> u64 {
        self.header.max_commit_ms
    }

    /// The restore points in it.
    pub fn points(&self) -> &[ArchivedPoint] {
        &self.points
    }

    /// Its batches, in order. Holds one decompressed block and one batch at a time.
    pub fn batches(&self) -> Batches {
        Batches {
            object: self.clone(),
            blocks: 0,
            block: Bytes::new(),
            next: self.header.range.start(),
            commit_ms: self.header.min_commit_ms,
            left: self.header.batch_count,
            ended: false,
        }
    }
}

/// The batches of one log object. After an error there are no more.
#[derive(Debug)]
pub struct Batches {
    object: DecodedLogObject,
    // Blocks decompressed so far.
    blocks: usize,
    // What is left of the last of them.
    block: Bytes,
    next: Lsn,
    commit_ms: u64,
    left: u32,
    ended: bool,
}

impl Iterator for Batches {
    type Item = Result<ArchivedBatch, ColdError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let result = self.step();
        self.ended = !matches!(result, Ok(Some(_)));
        result.map_err(ColdError::corrupt(&self.object.key)).transpose()
    }
}

impl Batches {
    fn step(&mut self) -> Result<Option<ArchivedBatch>, FormatError> {
        if self.left == 0 {
            return self.finish().map(|()| None);
        }
        let frame = self.take(FRAME_LEN)?;
        let frame = BatchFrame::decode(&frame)?;
        let end = self.next.get().checked_add(u64::from(frame.record_count));
        let end = end.and_then(Lsn::from_u64);
        // Dense, and never later than the header says: a reader that stops by time or position
        // decides by the header first.
        let ordered = frame.commit_ms >= self.commit_ms
            && frame.commit_ms <= self.object.header.max_commit_ms;
        let inside = end.filter(|end| *end <= self.object.header.range.end());
        let Some(end) = inside.filter(|_| frame.first_lsn == self.next) else {
            return Err(FormatError::Field { field: "batch first lsn" });
        };
        if !ordered {
            return Err(FormatError::Field { field: "batch commit time" });
        }
        let body_len = usize::try_from(frame.body_len)
            .or(Err(FormatError::Field { field: "batch body length" }))?;
        let body = self.take(body_len)?;
        self.next = end;
        self.commit_ms = frame.commit_ms;
        self.left -= 1;
        Ok(Some(ArchivedBatch {
            log_epoch: frame.log_epoch,
            first_lsn: frame.first_lsn,
            record_count: frame.record_count,
            commit_ms: frame.commit_ms,
            body,
        }))
    }

    /// The next `count` bytes of the log: a piece of one block, or copied from several.
    fn take(&mut self, count: usize) -> Result<Bytes, FormatError> {
        if self.block.is_empty() && count > 0 {
            self.next_block()?;
        }
        if self.block.len() >= count {
            return Ok(self.block.split_to(count));
        }
        // Grows with the blocks that are really there, never by what a length promises.
        let mut bytes = Vec::from(std::mem::take(&mut self.block));
        while bytes.len() < count {
            if self.block.is_empty() {
                self.next_block()?;
            }
            let missing = count - bytes.len();
            let piece = self.block.split_to(missing.min(self.block.len()));
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.into())
    }

    fn next_block(&mut self) -> Result<(), FormatError> {
        let entry = self.object.blocks.get(self.blocks);
        let entry = *entry.ok_or(FormatError::Field { field: "raw length" })?;
        self.block = decompress(&self.object.bytes, &entry)?;
        self.blocks += 1;
        Ok(())
    }

    fn finish(&self) -> Result<(), FormatError> {
        let whole = self.block.is_empty()
            && self.blocks == self.object.blocks.len()
            && self.next == self.object.header.range.end()
            && self.commit_ms == self.object.header.max_commit_ms;
        if whole { Ok(()) } else { Err(FormatError::Field { field: "batch count" }) }
    }
}

fn decompress(object: &[u8], entry: &BlockEntry) -> Result<Bytes, FormatError> {
    let broken = || FormatError::Block { offset: entry.offset, raw_len: entry.raw_len };
    let from = usize::try_from(entry.offset).or(Err(broken()))?;
    let stored = object.get(from..).ok_or_else(broken)?;
    let mut reader = ByteReader::new(stored);
    let raw_len = reader.u32("block raw length")?;
    let compressed = reader.u32("block length")?;
    let written = reader.u32("block checksum")?;
    // What the index promises was held against its limit; the frame must promise the same.
    if raw_len != entry.raw_len || compressed.checked_add(12) != Some(entry.stored_len) {
        return Err(broken());
    }
    let compressed = usize::try_from(compressed).or(Err(broken()))?;
    let compressed = reader.take("block", compressed)?;
    let capacity = usize::try_from(raw_len).or(Err(broken()))?;
    // Fails once more than `capacity` bytes come out, so a bomb is never unpacked.
    let plain = zstd::bulk::decompress(compressed, capacity).or(Err(broken()))?;
    if plain.len() != capacity {
        return Err(broken());
    }
    let found = crc32c::crc32c(&plain);
    if found == written {
        Ok(plain.into())
    } else {
        Err(FormatError::Checksum { part: "block", written, found })
    }
}
