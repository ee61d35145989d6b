//! The first 128 bytes of a log object.

use crate::{
    error::FormatError,
    hash::ObjectHash,
    layout::LSN_MAX,
    log_object::RAW_BYTES_MAX,
    writer::{Nonce, WriterEpoch, WriterIdentity},
};
use nodedb_types::{ByteReader, DatabaseId, LsnRange};

pub(crate) const HEADER_LEN: usize = 128;
const MAGIC: [u8; 8] = *b"NDBLOGOB";
const VERSION: u16 = 1;
const CODEC_ZSTD: u8 = 1;

/// What an object holds. Readable alone, by its own checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) writer: WriterIdentity,
    pub(crate) range: LsnRange,
    pub(crate) batch_count: u32,
    pub(crate) raw_len: u32,
    pub(crate) min_commit_ms: u64,
    pub(crate) max_commit_ms: u64,
    /// Digest of the object before; zero where the lineage begins.
    pub(crate) previous: ObjectHash,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.push(CODEC_ZSTD);
        bytes.push(0);
        bytes.extend_from_slice(&self.writer.writer_epoch.get().to_le_bytes());
        bytes.extend_from_slice(self.writer.database_id.as_bytes());
        bytes.extend_from_slice(self.writer.nonce.as_bytes());
        bytes.extend_from_slice(&self.range.start().get().to_le_bytes());
        bytes.extend_from_slice(&self.range.end().get().to_le_bytes());
        bytes.extend_from_slice(&self.batch_count.to_le_bytes());
        bytes.extend_from_slice(&self.raw_len.to_le_bytes());
        bytes.extend_from_slice(&self.min_commit_ms.to_le_bytes());
        bytes.extend_from_slice(&self.max_commit_ms.to_le_bytes());
        bytes.extend_from_slice(self.previous.as_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        assert!(bytes.len() == HEADER_LEN, "the fields fill the header");
        bytes
    }

    /// Reads the header at the start of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut whole = ByteReader::new(bytes);
        let bytes = whole.array::<HEADER_LEN>("header")?;
        let mut reader = ByteReader::new(&bytes);
        if reader.array("magic")? != MAGIC {
            return Err(FormatError::Magic);
        }
        let version = reader.u16("version")?;
        let codec = reader.u8("codec")?;
        let flags = reader.u8("flags")?;
        let epoch = reader.u32("writer epoch")?;
        let database_id = DatabaseId::from_bytes(reader.array("database id")?);
        let nonce = Nonce::from_bytes(reader.array("writer nonce")?);
        let start = reader.lsn("start lsn")?;
        let end = reader.lsn("end lsn")?;
        let batch_count = reader.u32("batch count")?;
        let raw_len = reader.u32("raw length")?;
        let min_commit_ms = reader.u64("first commit time")?;
        let max_commit_ms = reader.u64("last commit time")?;
        let previous = ObjectHash::from_bytes(reader.array("previous digest")?);
        let reserved = reader.u32("reserved")?;
        let covered = HEADER_LEN - reader.left();
        let written = reader.u32("checksum")?;
        reader.finish()?;
        let found = crc32c::crc32c(bytes.get(..covered).unwrap_or_default());
        if written != found {
            return Err(FormatError::Checksum { part: "header", written, found });
        }
        // Judged after the checksum: a flipped bit is damage, not another version.
        if version != VERSION {
            return Err(FormatError::Version { version: u32::from(version) });
        }
        check("codec", codec == CODEC_ZSTD)?;
        check("flags", flags == 0 && reserved == 0)?;
        check("end lsn", start < end && end.get() <= LSN_MAX)?;
        check("batch count", batch_count > 0)?;
        check("raw length", raw_len <= RAW_BYTES_MAX)?;
        check("last commit time", min_commit_ms <= max_commit_ms)?;
        let writer_epoch =
            WriterEpoch::from_u32(epoch).ok_or(FormatError::Field { field: "writer epoch" })?;
        Ok(Self {
            writer: WriterIdentity { database_id, writer_epoch, nonce },
            range: LsnRange::new(start, end),
            batch_count,
            raw_len,
            min_commit_ms,
            max_commit_ms,
            previous,
        })
    }
}

fn check(field: &'static str, holds: bool) -> Result<(), FormatError> {
    if holds { Ok(()) } else { Err(FormatError::Field { field }) }
}
