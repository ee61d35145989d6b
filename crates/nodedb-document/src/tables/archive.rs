//! The archive format that frames the files of the tables: sections, a list of them, a trailer.

use nodedb_types::{ByteReader, DecodeError};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_128;

/// Length of the trailer at the end of a file.
pub(super) const TRAILER_BYTES: usize = 4 + 1 + 1 + 16 + 8 + 8;
/// A list of sections is far shorter; a longer one is damage.
const LIST_BYTES_MAX: u64 = 64 << 10;

/// Where the list of sections stands in a file, as the trailer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Trailer {
    pub(super) list: Range<u64>,
    digest: u128,
}

/// A named part of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Section {
    pub(super) name: Vec<u8>,
    pub(super) bytes: Range<u64>,
}

impl Trailer {
    /// Reads the last [`TRAILER_BYTES`] of a file of `file_bytes`. The trailer pins the length of the
    /// file: a file cut or grown by a single byte does not have it.
    pub(super) fn decode(file_bytes: u64, trailer: &[u8]) -> Result<Self, String> {
        let mut reader = ByteReader::new(trailer);
        let parsed = (|| {
            let head: [u8; 6] = reader.array("trailer magic")?;
            let digest = u128::from_le_bytes(reader.array("list checksum")?);
            let start = reader.u64("list position")?;
            let length = reader.u64("list length")?;
            reader.finish()?;
            Ok((head, digest, start, length))
        })();
        let (head, digest, start, length) =
            parsed.map_err(|error: DecodeError| error.to_string())?;
        if head != *b"SFA!\x01\x00" {
            return Err("the trailer is not where the file ends".to_owned());
        }
        let end = start.checked_add(length);
        let list_end = file_bytes.checked_sub(TRAILER_BYTES as u64);
        match end {
            Some(end) if Some(end) == list_end && length <= LIST_BYTES_MAX => {
                Ok(Self { list: start..end, digest })
            }
            _ => Err("the trailer does not fit the length of the file".to_owned()),
        }
    }

    /// Reads the list of sections, which all lie in front of it.
    pub(super) fn sections(&self, list: &[u8]) -> Result<Vec<Section>, String> {
        if xxh3_128(list) != self.digest {
            return Err("the checksum of the list of sections does not match".to_owned());
        }
        let mut reader = ByteReader::new(list);
        let parsed = (|| {
            reader.take("list magic", 4)?;
            let count = reader.u32("section count")?;
            let mut sections = Vec::new();
            for _ in 0..count {
                sections.push(section(&mut reader, self.list.start)?);
            }
            reader.finish()?;
            Ok(sections)
        })();
        parsed.map_err(|error: DecodeError| error.to_string())
    }
}

fn section(reader: &mut ByteReader<'_>, limit: u64) -> Result<Section, DecodeError> {
    let start = reader.u64("section position")?;
    let length = reader.u64("section length")?;
    let name = reader.u16("section name length")?;
    let name = reader.take("section name", usize::from(name))?.to_vec();
    let end = start.checked_add(length).filter(|end| *end <= limit);
    let end = end.ok_or(DecodeError::OutOfRange { field: "section length", value: length })?;
    Ok(Section { name, bytes: start..end })
}
