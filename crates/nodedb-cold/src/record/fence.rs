//! A fence: it stands under the name of a log object that must not be written any more.

use crate::{
    error::FormatError,
    record::{Envelope, open, seal},
    writer::WriterEpoch,
};
use bytes::Bytes;
use nodedb_types::ByteReader;

const ENVELOPE: Envelope = Envelope { magic: *b"NDBFENCE", version: 1 };

/// Tells the old writer, at the name that it creates next, that another has taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FenceRecord {
    /// The writer that has taken over.
    pub by: WriterEpoch,
}

impl FenceRecord {
    /// The bytes of the object.
    pub fn encode(&self) -> Bytes {
        seal(ENVELOPE, &self.by.get().to_le_bytes())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = ByteReader::new(open(ENVELOPE, bytes)?);
        let by = WriterEpoch::from_u32(reader.u32("writer epoch")?);
        reader.finish()?;
        let by = by.ok_or(FormatError::Field { field: "writer epoch" })?;
        Ok(Self { by })
    }
}
