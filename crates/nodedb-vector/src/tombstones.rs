//! The file that says which rows of a segment are dead. It is written anew, under a new name, by each
//! flush after one more row has died.
//!
//! The bytes are described in `docs/formats/vectors.md`.

use crate::part::PartId;
use nodedb_engine::EngineError;
use nodedb_types::{ByteReader, DecodeError, IndexId};
use roaring::RoaringBitmap;
use std::path::Path;

const MAGIC: [u8; 8] = *b"NDBVDED\x01";
const VERSION: u32 = 1;

/// Which segment the bits are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Of {
    pub(crate) index: IndexId,
    pub(crate) segment: PartId,
    /// Rows of the segment, dead ones included.
    pub(crate) rows: u32,
}

/// The bytes of the file.
#[expect(clippy::expect_used, reason = "writing to memory does not fail")]
pub(crate) fn encode(of: Of, dead: &RoaringBitmap) -> Vec<u8> {
    assert!(dead.max().is_none_or(|slot| slot < of.rows), "only rows of the segment die");
    let mut out = Vec::with_capacity(32 + dead.serialized_size());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&of.index.get().to_le_bytes());
    out.extend_from_slice(&of.segment.0.to_le_bytes());
    out.extend_from_slice(&of.rows.to_le_bytes());
    dead.serialize_into(&mut out).expect("memory takes all");
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// Reads the bytes of the file at `path`.
pub(crate) fn decode(path: &Path, of: Of, bytes: &[u8]) -> Result<RoaringBitmap, EngineError> {
    let version = bytes.get(8..12).and_then(|field| field.try_into().ok());
    if bytes.starts_with(&MAGIC)
        && let Some(found) = version.map(u32::from_le_bytes)
        && found > VERSION
    {
        let path = path.to_owned();
        return Err(EngineError::UnsupportedFormat { path, found, supported: VERSION });
    }
    let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
        return Err(EngineError::corrupt(path, "shorter than its checksum"));
    };
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return Err(EngineError::corrupt(path, "checksum does not match"));
    }
    decode_body(of, body).map_err(|error| EngineError::corrupt(path, error.to_string()))
}

fn decode_body(of: Of, body: &[u8]) -> Result<RoaringBitmap, DecodeError> {
    let mut reader = ByteReader::new(body);
    let wrong = |field, value| Err(DecodeError::OutOfRange { field, value });
    let magic: [u8; 8] = reader.array("magic")?;
    if magic != MAGIC {
        return wrong("magic", u64::from_le_bytes(magic));
    }
    let version = reader.u32("version")?;
    if version != VERSION {
        return wrong("version", u64::from(version));
    }
    let found = Of {
        index: IndexId::new(reader.u32("index id")?),
        segment: PartId(reader.u64("segment number")?),
        rows: reader.u32("row count")?,
    };
    if found != of {
        return wrong("segment number", found.segment.0);
    }
    let length = reader.left();
    let mut bits = reader.take("dead rows", length)?;
    let dead = RoaringBitmap::deserialize_from(&mut bits);
    match dead {
        Ok(dead) if bits.is_empty() && dead.max().is_none_or(|slot| slot < of.rows) => Ok(dead),
        _ => wrong("dead rows", length as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_types::ErrorKind;

    const OF: Of = Of { index: IndexId::new(3), segment: PartId(9), rows: 200_000 };

    fn read(of: Of, bytes: &[u8]) -> Result<RoaringBitmap, EngineError> {
        decode(Path::new("dead.ndb"), of, bytes)
    }

    #[test]
    fn sparse_dense_and_no_bits_read_back() {
        let sparse = [0, 65_535, 65_536, 199_999].into_iter().collect();
        let dense = (0..150_000).collect();
        for dead in [RoaringBitmap::new(), sparse, dense] {
            assert_eq!(read(OF, &encode(OF, &dead)).expect("whole"), dead);
        }
    }

    #[test]
    fn damage_and_the_bits_of_another_segment_are_refused() {
        let bytes = encode(OF, &[1, 5, 70_000].into_iter().collect());
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(read(OF, &flipped).is_err(), "{at}");
            assert!(read(OF, &bytes[..at]).is_err(), "{at}");
        }
        for other in [
            Of { index: IndexId::new(4), ..OF },
            Of { segment: PartId(8), ..OF },
            Of { rows: 200_001, ..OF },
        ] {
            assert_eq!(read(other, &bytes).expect_err("foreign").kind(), ErrorKind::Corrupt);
        }
    }

    /// Whoever forges a checksum gets an error all the same.
    #[test]
    fn no_bits_make_the_decoder_panic() {
        let bytes = encode(OF, &(0..5000).chain([90_000]).collect());
        for at in 28..bytes.len() - 4 {
            for bit in 0..8 {
                let mut forged = bytes.clone();
                forged[at] ^= 1 << bit;
                let end = forged.len() - 4;
                let checksum = crc32c::crc32c(&forged[..end]);
                forged[end..].copy_from_slice(&checksum.to_le_bytes());
                if let Ok(dead) = read(OF, &forged) {
                    assert!(dead.max() < Some(OF.rows));
                }
            }
        }
    }
}
