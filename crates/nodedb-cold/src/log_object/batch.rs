//! A batch of the log inside an object.

use crate::error::FormatError;
use bytes::Bytes;
use nodedb_types::{ByteReader, LogEpoch, Lsn, LsnRange};

/// `log epoch u32 | first lsn u64 | record count u32 | commit ms u64 | body length u32`.
pub(crate) const FRAME_LEN: usize = 28;

/// One commit batch, its records encoded exactly as in the log. This crate never looks inside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchivedBatch {
    /// The life of the log that wrote it.
    pub log_epoch: LogEpoch,
    /// Its first record.
    pub first_lsn: Lsn,
    /// Records in it, at least 1.
    pub record_count: u32,
    /// Commit time in milliseconds since 1970, by the commit clock, which never goes back.
    pub commit_ms: u64,
    /// The encoded records.
    pub body: Bytes,
}

impl ArchivedBatch {
    /// Its records.
    pub fn range(&self) -> LsnRange {
        LsnRange::starting_at(self.first_lsn, u64::from(self.record_count))
    }
}

/// The fields of a batch before its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BatchFrame {
    pub(crate) log_epoch: LogEpoch,
    pub(crate) first_lsn: Lsn,
    pub(crate) record_count: u32,
    pub(crate) commit_ms: u64,
    pub(crate) body_len: u32,
}

impl BatchFrame {
    pub(crate) fn encode(self) -> [u8; FRAME_LEN] {
        let mut bytes = [0; FRAME_LEN];
        let fields: [&[u8]; 5] = [
            &self.log_epoch.get().to_le_bytes(),
            &self.first_lsn.get().to_le_bytes(),
            &self.record_count.to_le_bytes(),
            &self.commit_ms.to_le_bytes(),
            &self.body_len.to_le_bytes(),
        ];
        let mut rest = bytes.as_mut_slice();
        for field in fields {
            let (head, tail) = rest.split_at_mut(field.len());
            head.copy_from_slice(field);
            rest = tail;
        }
        assert!(rest.is_empty(), "the fields fill the frame");
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = ByteReader::new(bytes);
        let frame = Self {
            log_epoch: LogEpoch::new(reader.u32("log epoch")?),
            first_lsn: reader.lsn("first lsn")?,
            record_count: reader.u32("record count")?,
            commit_ms: reader.u64("commit time")?,
            body_len: reader.u32("body length")?,
        };
        reader.finish()?;
        if frame.record_count == 0 {
            return Err(FormatError::Field { field: "record count" });
        }
        Ok(frame)
    }
}
