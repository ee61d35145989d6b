//! A stored value with the stamp of the write that made it.

use bytes::Bytes;
use nodedb_types::{ByteReader, DecodeError, LogEpoch, Stamp};

/// A stored value and which write it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The write.
    pub stamp: Stamp,
    /// What it wrote: canonical JSON text, raw bytes, or the row list of a CRDT document.
    pub value: Bytes,
}

const STAMP_BYTES: usize = 4 + 8;

impl Stored {
    /// The bytes of a row in the tables.
    pub(crate) fn encode(stamp: Stamp, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(STAMP_BYTES + value.len());
        out.extend_from_slice(&stamp.epoch.get().to_le_bytes());
        out.extend_from_slice(&stamp.lsn.get().to_le_bytes());
        out.extend_from_slice(value);
        out
    }

    /// Reads what [`Stored::encode`] wrote.
    pub(crate) fn decode(row: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(row);
        let epoch = LogEpoch::new(reader.u32("row epoch")?);
        let lsn = reader.lsn("row lsn")?;
        Ok(Self { stamp: Stamp { epoch, lsn }, value: row.slice(STAMP_BYTES..) })
    }
}
