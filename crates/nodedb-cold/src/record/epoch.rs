//! The objects `epoch/<writer epoch>`.

use crate::{
    error::FormatError,
    hash::ObjectHash,
    layout::LSN_MAX,
    record::{Envelope, open, seal},
    writer::{Nonce, WriterEpoch, WriterIdentity},
};
use bytes::Bytes;
use nodedb_types::{ByteReader, DatabaseId, Lsn};

const ENVELOPE: Envelope = Envelope { magic: *b"NDBEPOCH", version: 1 };

/// Who became the writer, and where its history leaves that of the writer before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochRecord {
    /// The writer.
    pub writer: WriterIdentity,
    /// The writer before it; `None` for the first.
    pub parent: Option<WriterEpoch>,
    /// The first record of this epoch. What the parent holds from here on is no history.
    pub start_lsn: Lsn,
    /// Digest of the log object before `start_lsn`; zero where the archive begins.
    pub chain: ObjectHash,
    /// When, in milliseconds since 1970.
    pub taken_ms: u64,
}

impl EpochRecord {
    /// The bytes of the object.
    pub fn encode(&self) -> Bytes {
        let mut body = Vec::with_capacity(88);
        body.extend_from_slice(self.writer.database_id.as_bytes());
        body.extend_from_slice(&self.writer.writer_epoch.get().to_le_bytes());
        body.extend_from_slice(self.writer.nonce.as_bytes());
        let parent = self.parent.map_or(0, WriterEpoch::get);
        body.extend_from_slice(&parent.to_le_bytes());
        body.extend_from_slice(&self.start_lsn.get().to_le_bytes());
        body.extend_from_slice(self.chain.as_bytes());
        body.extend_from_slice(&self.taken_ms.to_le_bytes());
        seal(ENVELOPE, &body)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = ByteReader::new(open(ENVELOPE, bytes)?);
        let database_id = DatabaseId::from_bytes(reader.array("database id")?);
        let epoch = reader.u32("writer epoch")?;
        let record = Self {
            writer: WriterIdentity {
                database_id,
                writer_epoch: WriterEpoch::from_u32(epoch)
                    .ok_or(FormatError::Field { field: "writer epoch" })?,
                nonce: Nonce::from_bytes(reader.array("writer nonce")?),
            },
            parent: WriterEpoch::from_u32(reader.u32("parent epoch")?),
            start_lsn: reader.lsn("start lsn")?,
            chain: ObjectHash::from_bytes(reader.array("chain")?),
            taken_ms: reader.u64("time")?,
        };
        reader.finish()?;
        if record.start_lsn.get() > LSN_MAX {
            return Err(FormatError::Field { field: "start lsn" });
        }
        if record.parent.is_some_and(|parent| parent >= record.writer.writer_epoch) {
            return Err(FormatError::Field { field: "parent epoch" });
        }
        Ok(record)
    }
}
