//! The frame of all three files of a segment: header, body, checksum.
//!
//! The bytes are described in `docs/formats/vectors.md`.

use super::{spec::SegmentSpec, view::SegmentFile};
use nodedb_engine::{EngineError, Metric, VectorStorage};
use nodedb_types::{ByteReader, DecodeError, IndexId, limits};
use std::{ops::Range, path::Path, sync::Arc};

const VERSION: u32 = 1;
/// The body begins on a cache line.
pub(super) const HEADER_BYTES: usize = 64;
const CHECKSUM_BYTES: usize = 4;
/// What of the header is not used. Zero, and refused otherwise.
const RESERVED_BYTES: usize = 24;

/// One of the three files of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// Keys and stamps.
    Rows,
    /// The vectors in full, and their lengths.
    Vectors,
    /// The approximate index.
    Graph,
}

impl Part {
    const fn magic(self) -> [u8; 8] {
        match self {
            Self::Rows => *b"NDBVROW\x01",
            Self::Vectors => *b"NDBVFUL\x01",
            Self::Graph => *b"NDBVGRA\x01",
        }
    }
}

/// What every file of a segment says about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) spec: SegmentSpec,
    pub(super) rows: u32,
    /// CRC-32C of keys and stamps as they stand in the file of rows: ties the three files together, so
    /// that the vectors of another segment are not taken for those of this one.
    pub(super) identity: u32,
}

impl Header {
    /// Completes a file: `file` has room for the header, and then the body.
    pub(super) fn seal(&self, part: Part, file: &mut Vec<u8>) {
        assert!(file.len() >= HEADER_BYTES, "the header has its place before the body");
        let header = self.encode(part, (file.len() - HEADER_BYTES) as u64);
        let place = file.get_mut(..HEADER_BYTES).unwrap_or_default();
        place.copy_from_slice(&header);
        let checksum = crc32c::crc32c(file);
        file.extend_from_slice(&checksum.to_le_bytes());
    }

    /// What stands before a body of so many bytes.
    pub(super) fn encode(&self, part: Part, body: u64) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&part.magic());
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&self.spec.index.get().to_le_bytes());
        header.extend_from_slice(&self.spec.dimensions.to_le_bytes());
        self.spec.metric.encode(&mut header);
        self.spec.storage.encode(&mut header);
        header.extend_from_slice(&[0; 2]);
        header.extend_from_slice(&self.rows.to_le_bytes());
        header.extend_from_slice(&self.identity.to_le_bytes());
        header.extend_from_slice(&body.to_le_bytes());
        header.extend_from_slice(&[0; RESERVED_BYTES]);
        assert_eq!(header.len(), HEADER_BYTES, "the body begins on a cache line");
        header
    }

    fn decode(part: Part, bytes: &[u8], body: usize) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let magic: [u8; 8] = reader.array("magic")?;
        if magic != part.magic() {
            return out_of_range("magic", u64::from_le_bytes(magic));
        }
        let version = reader.u32("version")?;
        if version != VERSION {
            return out_of_range("version", u64::from(version));
        }
        let index = IndexId::new(reader.u32("index id")?);
        let dimensions = dimensions(reader.u32("dimensions")?)?;
        let metric = Metric::decode(&mut reader)?;
        let storage = VectorStorage::decode(&mut reader)?;
        zeros(reader.take("reserved bytes", 2)?)?;
        let rows = reader.u32("row count")?;
        let identity = reader.u32("identity")?;
        let promised = reader.u64("body length")?;
        if promised != body as u64 {
            return out_of_range("body length", promised);
        }
        zeros(reader.take("reserved bytes", RESERVED_BYTES)?)?;
        reader.finish()?;
        let spec = SegmentSpec { index, dimensions, metric, storage };
        Ok(Self { spec, rows, identity })
    }
}

/// A file whose every byte passed the checksum. The only way to its body: nothing else may be handed
/// to foreign code.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    file: Arc<SegmentFile>,
    body: Range<usize>,
    pub(super) header: Header,
}

impl Checked {
    /// Checks length, checksum and header of `file`, on the very bytes that are read later.
    pub(super) fn new(part: Part, file: SegmentFile) -> Result<Self, EngineError> {
        let corrupt = |message: String| EngineError::corrupt(file.path(), message);
        let bytes = file.bytes();
        refuse_other_version(part, bytes, file.path())?;
        let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(corrupt("shorter than its checksum".to_owned()));
        };
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return Err(corrupt("checksum does not match".to_owned()));
        }
        let Some((header, body)) = content.split_at_checked(HEADER_BYTES) else {
            return Err(corrupt("shorter than its header".to_owned()));
        };
        let header =
            Header::decode(part, header, body.len()).map_err(|e| corrupt(e.to_string()))?;
        let body = HEADER_BYTES..content.len();
        Ok(Self { file: Arc::new(file), body, header })
    }

    pub(super) fn body(&self) -> &[u8] {
        self.file.bytes().get(self.body.clone()).unwrap_or_default()
    }

    pub(super) fn file(&self) -> &Arc<SegmentFile> {
        &self.file
    }

    /// An error about this file.
    pub(super) fn corrupt(&self, message: impl Into<String>) -> EngineError {
        EngineError::corrupt(self.file.path(), message)
    }
}

/// A higher version may have its checksum elsewhere, so this stands before the checksum.
fn refuse_other_version(part: Part, bytes: &[u8], path: &Path) -> Result<(), EngineError> {
    let version = bytes.get(8..12).and_then(|field| field.try_into().ok());
    match version.map(u32::from_le_bytes) {
        Some(found) if found > VERSION && bytes.starts_with(&part.magic()) => {
            Err(EngineError::UnsupportedFormat { path: path.to_owned(), found, supported: VERSION })
        }
        _ => Ok(()),
    }
}

fn dimensions(value: u32) -> Result<u32, DecodeError> {
    match usize::try_from(value) {
        Ok(1..=limits::VECTOR_DIMENSIONS_MAX) => Ok(value),
        _ => out_of_range("dimensions", u64::from(value)),
    }
}

fn zeros(bytes: &[u8]) -> Result<(), DecodeError> {
    match bytes.iter().find(|byte| **byte != 0) {
        Some(byte) => out_of_range("reserved bytes", u64::from(*byte)),
        None => Ok(()),
    }
}

fn out_of_range<T>(field: &'static str, value: u64) -> Result<T, DecodeError> {
    Err(DecodeError::OutOfRange { field, value })
}
