//! The objects `nonce/<writer epoch>-<log epoch>`.

use crate::{
    error::FormatError,
    record::{Envelope, open, seal},
    writer::{Nonce, Session, WriterIdentity},
};
use bytes::Bytes;
use nodedb_types::{ByteReader, LogEpoch};

const ENVELOPE: Envelope = Envelope { magic: *b"NDBNONCE", version: 1 };

/// Says which open of which directory took a log epoch. Of two copies, one finds the other's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NonceRecord {
    /// Drawn when the writer epoch was taken; copies share it.
    pub writer_nonce: Nonce,
    /// The open.
    pub session: Session,
}

impl NonceRecord {
    pub(crate) const fn new(writer: &WriterIdentity, session: Session) -> Self {
        Self { writer_nonce: writer.nonce, session }
    }

    /// The bytes of the object.
    pub fn encode(&self) -> Bytes {
        let mut body = Vec::with_capacity(36);
        body.extend_from_slice(self.writer_nonce.as_bytes());
        body.extend_from_slice(&self.session.log_epoch.get().to_le_bytes());
        body.extend_from_slice(self.session.nonce.as_bytes());
        seal(ENVELOPE, &body)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = ByteReader::new(open(ENVELOPE, bytes)?);
        let record = Self {
            writer_nonce: Nonce::from_bytes(reader.array("writer nonce")?),
            session: Session {
                log_epoch: LogEpoch::new(reader.u32("log epoch")?),
                nonce: Nonce::from_bytes(reader.array("session nonce")?),
            },
        };
        reader.finish()?;
        Ok(record)
    }
}
