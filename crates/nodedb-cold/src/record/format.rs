//! The object `FORMAT`.

use crate::{
    error::FormatError,
    record::{Envelope, open, seal},
};
use bytes::Bytes;
use nodedb_types::{ByteReader, DatabaseId, Incarnation, limits};

const ENVELOPE: Envelope = Envelope { magic: *b"NDBFORMT", version: 1 };

/// Whose archive this is and what a reader must understand. Written once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FormatRecord {
    /// The database.
    pub database_id: DatabaseId,
    /// Its history.
    pub incarnation: Incarnation,
    /// Number of vshards: a restore without a base image begins with so many empty ones.
    pub vshards: u16,
    /// Size of a log segment, in bytes.
    pub segment_bytes: u64,
    /// When the archive was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Features that a reader must know, one bit each. None exists yet.
    pub required_features: u64,
}

impl FormatRecord {
    /// The bytes of the object.
    pub fn encode(&self) -> Bytes {
        let mut body = Vec::with_capacity(48);
        body.extend_from_slice(self.database_id.as_bytes());
        body.extend_from_slice(self.incarnation.as_bytes());
        body.extend_from_slice(&self.vshards.to_le_bytes());
        body.extend_from_slice(&self.segment_bytes.to_le_bytes());
        body.extend_from_slice(&self.created_ms.to_le_bytes());
        body.extend_from_slice(&self.required_features.to_le_bytes());
        seal(ENVELOPE, &body)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = ByteReader::new(open(ENVELOPE, bytes)?);
        let record = Self {
            database_id: DatabaseId::from_bytes(reader.array("database id")?),
            incarnation: Incarnation::from_bytes(reader.array("incarnation")?),
            vshards: reader.u16("vshards")?,
            segment_bytes: reader.u64("segment bytes")?,
            created_ms: reader.u64("creation time")?,
            required_features: reader.u64("required features")?,
        };
        reader.finish()?;
        if record.required_features != 0 {
            let bits = record.required_features;
            return Err(FormatError::Feature { bits });
        }
        let in_range = (1..=limits::VSHARDS_MAX).contains(&record.vshards);
        if !in_range {
            return Err(FormatError::Field { field: "vshards" });
        }
        let sizes = limits::SEGMENT_BYTES_MIN..=limits::SEGMENT_BYTES_MAX;
        if !sizes.contains(&record.segment_bytes) {
            return Err(FormatError::Field { field: "segment bytes" });
        }
        Ok(record)
    }
}
