//! The end of a log object: block index, restore points, digest.

use crate::{
    error::FormatError,
    hash::ObjectHash,
    log_object::{BLOCK_BYTES_MAX, POINTS_MAX},
};
use nodedb_types::{ByteReader, Lsn, Name, put_bytes};

pub(crate) const TRAILER_LEN: usize = 72;
/// Digest and magic: what the digest does not cover.
pub(crate) const UNCOVERED_LEN: usize = 40;
const INDEX_ENTRY_LEN: usize = 32;
const MAGIC: [u8; 8] = *b"NDBLOGED";

/// A named position in the archived log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchivedPoint {
    /// Its name.
    pub name: Name,
    /// Its record.
    pub lsn: Lsn,
    /// Its commit time in milliseconds since 1970.
    pub commit_ms: u64,
}

/// Where a compressed block stands and what begins in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlockEntry {
    /// Of its frame, from the start of the object.
    pub(crate) offset: u64,
    pub(crate) stored_len: u32,
    pub(crate) raw_len: u32,
    /// First record of the first batch that begins in it, if any does.
    pub(crate) first_lsn: Option<Lsn>,
    /// Commit time of the last batch that begins in it; 0 if none does.
    pub(crate) max_commit_ms: u64,
}

/// The fixed end of an object: `index offset u64 | points offset u64 | blocks u32 | points u32 |
/// object length u64 | digest | magic`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trailer {
    pub(crate) index_offset: u64,
    pub(crate) points_offset: u64,
    pub(crate) block_count: u32,
    pub(crate) point_count: u32,
    pub(crate) object_len: u64,
    pub(crate) hash: ObjectHash,
}

impl Trailer {
    /// Reads the last bytes of an object that has `object_len` of them.
    pub(crate) fn decode(bytes: &[u8], object_len: u64) -> Result<Self, FormatError> {
        let mut reader = ByteReader::new(bytes);
        let trailer = Self {
            index_offset: reader.u64("index offset")?,
            points_offset: reader.u64("points offset")?,
            block_count: reader.u32("block count")?,
            point_count: reader.u32("point count")?,
            object_len: reader.u64("object length")?,
            hash: ObjectHash::from_bytes(reader.array("digest")?),
        };
        // A torn object has no end, so it is never taken for a whole one.
        if reader.array("magic")? != MAGIC {
            return Err(FormatError::Magic);
        }
        reader.finish()?;
        let end = trailer.object_len.checked_sub(TRAILER_LEN as u64);
        let index_len = u64::from(trailer.block_count) * INDEX_ENTRY_LEN as u64;
        let index_end = trailer.index_offset.checked_add(index_len);
        let holds = trailer.object_len == object_len
            && index_end == Some(trailer.points_offset)
            && end.is_some_and(|end| trailer.points_offset <= end)
            && trailer.point_count <= POINTS_MAX;
        if holds { Ok(trailer) } else { Err(FormatError::Field { field: "trailer" }) }
    }

    /// Length of the section of restore points, in bytes.
    pub(crate) const fn points_len(&self) -> u64 {
        self.object_len - TRAILER_LEN as u64 - self.points_offset
    }
}

/// Appends index, points and trailer to an object, and its digest.
pub(crate) fn put_end(
    object: &mut Vec<u8>,
    blocks: &[BlockEntry],
    points: &[ArchivedPoint],
) -> Result<ObjectHash, FormatError> {
    let index_offset = object.len() as u64;
    for block in blocks {
        object.extend_from_slice(&block.offset.to_le_bytes());
        object.extend_from_slice(&block.stored_len.to_le_bytes());
        object.extend_from_slice(&block.raw_len.to_le_bytes());
        object.extend_from_slice(&Lsn::encode(block.first_lsn).to_le_bytes());
        object.extend_from_slice(&block.max_commit_ms.to_le_bytes());
    }
    let points_offset = object.len() as u64;
    for point in points {
        put_bytes(object, point.name.as_str().as_bytes());
        object.extend_from_slice(&point.lsn.get().to_le_bytes());
        object.extend_from_slice(&point.commit_ms.to_le_bytes());
    }
    let count = |field, len: usize| u32::try_from(len).or(Err(FormatError::Field { field }));
    let object_len = object.len() as u64 + TRAILER_LEN as u64;
    object.extend_from_slice(&index_offset.to_le_bytes());
    object.extend_from_slice(&points_offset.to_le_bytes());
    object.extend_from_slice(&count("block count", blocks.len())?.to_le_bytes());
    object.extend_from_slice(&count("point count", points.len())?.to_le_bytes());
    object.extend_from_slice(&object_len.to_le_bytes());
    let hash = ObjectHash::of(object);
    object.extend_from_slice(hash.as_bytes());
    object.extend_from_slice(&MAGIC);
    Ok(hash)
}

/// Reads the index of blocks: adjacent, from the header to the index, none larger than allowed.
pub(crate) fn decode_index(
    bytes: &[u8],
    first_offset: u64,
    trailer: &Trailer,
) -> Result<Vec<BlockEntry>, FormatError> {
    let mut reader = ByteReader::new(bytes);
    let mut blocks = Vec::new();
    let mut next = Some(first_offset);
    while reader.left() > 0 {
        let block = BlockEntry {
            offset: reader.u64("block offset")?,
            stored_len: reader.u32("block length")?,
            raw_len: reader.u32("block raw length")?,
            first_lsn: reader.position("block first lsn")?,
            max_commit_ms: reader.u64("block commit time")?,
        };
        let whole = next == Some(block.offset) && (1..=BLOCK_BYTES_MAX).contains(&block.raw_len);
        if !whole {
            return Err(FormatError::Field { field: "block index" });
        }
        next = block.offset.checked_add(u64::from(block.stored_len));
        blocks.push(block);
    }
    if next == Some(trailer.index_offset) {
        Ok(blocks)
    } else {
        Err(FormatError::Field { field: "block index" })
    }
}

/// Reads the section of restore points.
pub(crate) fn decode_points(bytes: &[u8], count: u32) -> Result<Vec<ArchivedPoint>, FormatError> {
    let mut reader = ByteReader::new(bytes);
    let mut points = Vec::new();
    for _ in 0..count {
        let name = Name::new(reader.text("point name")?)
            .or(Err(FormatError::Field { field: "point name" }))?;
        points.push(ArchivedPoint {
            name,
            lsn: reader.lsn("point lsn")?,
            commit_ms: reader.u64("point commit time")?,
        });
    }
    reader.finish()?;
    Ok(points)
}
