//! A stored value with the stamp of the write that made it.

use bytes::{Buf, Bytes};
use nodedb_types::{ByteReader, DecodeError, LogEpoch, Stamp};

/// A stored value and which write it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The write.
    pub stamp: Stamp,
    /// When it expires, in milliseconds of the commit clock; `None` for never.
    pub expires: Option<u64>,
    /// What it wrote: canonical JSON text, raw bytes, or the row list of a CRDT document.
    pub value: Bytes,
}

const STAMP_BYTES: usize = 4 + 8;
const NEVER: u8 = 0;
const EXPIRES: u8 = 1;

impl Stored {
    /// Bytes in front of the value.
    const fn head_bytes(expires: Option<u64>) -> usize {
        STAMP_BYTES + if expires.is_some() { 1 + 8 } else { 1 }
    }

    /// The bytes of a row in the tables.
    pub(crate) fn encode(stamp: Stamp, expires: Option<u64>, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::head_bytes(expires) + value.len());
        out.extend_from_slice(&stamp.epoch.get().to_le_bytes());
        out.extend_from_slice(&stamp.lsn.get().to_le_bytes());
        match expires {
            None => out.push(NEVER),
            Some(time) => {
                out.push(EXPIRES);
                out.extend_from_slice(&time.to_le_bytes());
            }
        }
        out.extend_from_slice(value);
        out
    }

    /// Reads what [`Stored::encode`] wrote.
    pub(crate) fn decode(row: Bytes) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(&row);
        let epoch = LogEpoch::new(reader.u32("row epoch")?);
        let lsn = reader.lsn("row lsn")?;
        let expires = match reader.u8("row expiry flag")? {
            NEVER => None,
            EXPIRES => Some(reader.u64("row expiry")?),
            other => {
                let value = u64::from(other);
                return Err(DecodeError::OutOfRange { field: "row expiry flag", value });
            }
        };
        let mut value = row;
        // In place: a slice of it would be one more handle to count.
        value.advance(Self::head_bytes(expires));
        Ok(Self { stamp: Stamp { epoch, lsn }, expires, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_types::Lsn;

    #[test]
    fn reads_what_it_wrote_and_no_other_flag() {
        let stamp = Stamp { epoch: LogEpoch::new(3), lsn: Lsn::FIRST.advance(8) };
        for (expires, head) in [(None, 13), (Some(0), 21), (Some(u64::MAX), 21)] {
            for value in ["", "value"] {
                let row = Bytes::from(Stored::encode(stamp, expires, value.as_bytes()));
                assert_eq!(row.len(), head + value.len());
                let stored = Stored { stamp, expires, value: Bytes::from(value) };
                assert_eq!(Stored::decode(row.clone()), Ok(stored));
                for cut in 0..head {
                    assert!(Stored::decode(row.slice(..cut)).is_err(), "cut at {cut}");
                }
            }
        }
        let mut row = Stored::encode(stamp, None, b"");
        row[12] = 2;
        assert!(Stored::decode(row.into()).is_err());
    }
}
