//! The first page of a segment file.

use crate::{
    error::WalError,
    format::{BATCH_ALIGN, EPOCH_MAX, HEADER_PAGE, VERSION, in_memory},
};
use crc32c::crc32c;
use nodedb_types::{ByteReader, DecodeError, LogEpoch, limits};
use std::path::Path;

const MAGIC: [u8; 8] = *b"KWALSEG\x01";
const CRC_AT: usize = 124;

/// Which segment of which log, and which life of its file. Every batch header is bound to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) log_id: [u8; 16],
    pub(crate) segment: u64,
    /// Random at every use of a file, so that the batches of its earlier lives are no batches.
    pub(crate) seed: u32,
}

/// The header of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) identity: Identity,
    pub(crate) segment_bytes: u64,
    /// The life of the log in which this segment was started.
    pub(crate) epoch: LogEpoch,
    pub(crate) created_unix_ms: u64,
}

impl SegmentHeader {
    /// The whole page.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(in_memory(HEADER_PAGE));
        page.extend_from_slice(&MAGIC);
        page.extend_from_slice(&VERSION.to_le_bytes());
        page.extend_from_slice(&4096_u16.to_le_bytes());
        page.extend_from_slice(&0_u32.to_le_bytes());
        page.extend_from_slice(&self.identity.log_id);
        page.extend_from_slice(&self.identity.segment.to_le_bytes());
        page.extend_from_slice(&self.segment_bytes.to_le_bytes());
        page.extend_from_slice(&self.epoch.get().to_le_bytes());
        page.extend_from_slice(&self.identity.seed.to_le_bytes());
        page.extend_from_slice(&512_u32.to_le_bytes());
        page.resize(112, 0);
        page.extend_from_slice(&self.created_unix_ms.to_le_bytes());
        page.resize(CRC_AT, 0);
        let crc = crc32c(&page);
        page.extend_from_slice(&crc.to_le_bytes());
        page.resize(in_memory(HEADER_PAGE), 0);
        page
    }

    /// Reads a page, as far as it can be judged without knowing the log.
    ///
    /// # Errors
    /// `Damaged` or `UnsupportedFormat`.
    pub(crate) fn decode(page: &[u8], path: &Path) -> Result<Self, WalError> {
        let damaged = |reason| WalError::Damaged { path: path.to_owned(), reason };
        let (covered, rest) =
            page.split_at_checked(CRC_AT).ok_or_else(|| damaged("the header page is short"))?;
        let stored = rest.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        if !covered.starts_with(&MAGIC) || stored != Some(crc32c(covered)) {
            return Err(damaged("its header does not check out"));
        }
        let (version, header) =
            Self::fields(covered).map_err(|_short| damaged("its header is malformed"))?;
        if version != VERSION {
            return Err(WalError::UnsupportedFormat {
                path: path.to_owned(),
                found: version,
                supported: VERSION,
            });
        }
        if rest.get(4..).is_none_or(|rest| rest.iter().any(|byte| *byte != 0)) {
            return Err(damaged("the rest of its header page is not zero"));
        }
        header.ok_or_else(|| damaged("its header asks for what this format does not have"))
    }

    fn fields(covered: &[u8]) -> Result<(u16, Option<Self>), DecodeError> {
        let mut reader = ByteReader::new(covered);
        let _magic = reader.array::<8>("magic")?;
        let version = reader.u16("format version")?;
        let header_len = reader.u16("header length")?;
        let flags = reader.u32("flags")?;
        let log_id = reader.array("log id")?;
        let segment = reader.u64("segment number")?;
        let segment_bytes = reader.u64("segment size")?;
        let epoch = LogEpoch::new(reader.u32("log epoch")?);
        let seed = reader.u32("seed")?;
        let align = u64::from(reader.u32("batch alignment")?);
        let reserved = reader.take("reserved", 52)?;
        let created_unix_ms = reader.u64("creation time")?;
        let known = flags == 0
            && u64::from(header_len) == HEADER_PAGE
            && align == BATCH_ALIGN
            && epoch.get() <= EPOCH_MAX
            // So that what follows them can be counted, also where no CONTROL says what to expect.
            && segment <= u64::MAX / 2
            && (limits::SEGMENT_BYTES_MIN..=limits::SEGMENT_BYTES_MAX).contains(&segment_bytes)
            && reserved.iter().all(|byte| *byte == 0);
        let identity = Identity { log_id, segment, seed };
        let header = Self { identity, segment_bytes, epoch, created_unix_ms };
        Ok((version, known.then_some(header)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            identity: Identity { log_id: [3; 16], segment: 9, seed: 0xdead_beef },
            segment_bytes: 65536,
            epoch: LogEpoch::new(2),
            created_unix_ms: 11,
        }
    }

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_is_noticed() {
        let clean = header().encode();
        let path = Path::new("segment");
        assert_eq!(SegmentHeader::decode(&clean, path).ok(), Some(header()));
        for bit in 0..clean.len() * 8 {
            let mut page = clean.clone();
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&page, path).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut page = header().encode();
        page[8] = 2;
        let crc = crc32c(&page[..CRC_AT]);
        page[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        let refused = SegmentHeader::decode(&page, Path::new("segment"));
        assert!(matches!(refused, Err(WalError::UnsupportedFormat { found: 2, supported: 1, .. })));
    }
}
