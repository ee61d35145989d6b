//! What an idempotency key remembers of a vshard's part of a request.

use crate::{Written, group::Place};
use bytes::Bytes;
use nodedb_types::{ByteReader, DecodeError, LogEpoch, Lsn, LsnRange, Stamp};

/// What a vshard's part of a request came to. Positions are relative to the record that holds it, the last
/// of the part, since it is encoded before the log gives the group its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Remembered {
    /// Records of the part in front of it.
    pub(crate) records: u32,
    /// For each write which record is its own; none of a delete without a key to delete.
    pub(crate) writes: Vec<(Place, Option<u32>)>,
}

/// A request that has been done: its outcome, and the record that says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    pub(crate) at: Stamp,
    pub(crate) remembered: Remembered,
}

const FORMAT: u8 = 1;

impl Remembered {
    /// The bytes; the table stands in `docs/formats/documents.md`.
    #[expect(clippy::expect_used, reason = "a group has far fewer than 2^32 writes")]
    pub(crate) fn encode(&self) -> Bytes {
        let number = |value: usize| u32::try_from(value).expect("limits are below 2^32");
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.records.to_le_bytes());
        out.extend_from_slice(&number(self.writes.len()).to_le_bytes());
        for (place, record) in &self.writes {
            out.extend_from_slice(&number(place.get()).to_le_bytes());
            out.push(u8::from(record.is_some()));
            out.extend(record.iter().flat_map(|record| record.to_le_bytes()));
        }
        out.into()
    }

    /// Reads what [`Remembered::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let refuse = |field, value: u64| Err(DecodeError::OutOfRange { field, value });
        let format = reader.u8("outcome format")?;
        if format != FORMAT {
            return refuse("outcome format", format.into());
        }
        let records = reader.u32("outcome records")?;
        let count = reader.u32("outcome writes")?;
        let mut writes = Vec::new();
        for _ in 0..count {
            let place = reader.u32("outcome place")?;
            let place = usize::try_from(place).map_or(Place::new(usize::MAX), Place::new);
            let record = match reader.u8("outcome flag")? {
                0 => None,
                1 => Some(reader.u32("outcome record")?),
                other => return refuse("outcome flag", other.into()),
            };
            if let Some(record) = record.filter(|record| *record >= records) {
                return refuse("outcome record", record.into());
            }
            writes.push((place, record));
        }
        reader.finish()?;
        Ok(Self { records, writes })
    }
}

impl Known {
    /// The records of the part, the remembering one included.
    ///
    /// # Errors
    /// The outcome claims more records than there can be.
    pub(crate) fn records(&self) -> Result<LsnRange, DecodeError> {
        let field = "outcome records";
        let value = u64::from(self.remembered.records);
        let first = self.at.lsn.get().checked_sub(value).and_then(Lsn::from_u64);
        let first = first.ok_or(DecodeError::OutOfRange { field, value })?;
        Ok(LsnRange::new(first, self.at.lsn.next()))
    }

    /// What each write came to, with its place in the request.
    ///
    /// # Errors
    /// As [`Known::records`].
    pub(crate) fn writes(&self) -> Result<Vec<(Place, Written)>, DecodeError> {
        let (first, epoch) = (self.records()?.start(), self.at.epoch);
        Ok(self.remembered.stamped(epoch, first))
    }
}

impl Remembered {
    fn stamped(&self, epoch: LogEpoch, first: Lsn) -> Vec<(Place, Written)> {
        let stamp = |record: u32| Stamp { epoch, lsn: first.advance(record.into()) };
        let writes = self.writes.iter();
        writes.map(|(place, record)| (*place, Written { stamp: record.map(stamp) })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let remembered = Remembered {
            records: 2,
            writes: vec![(Place::new(0), Some(1)), (Place::new(7), None), (Place::new(3), Some(0))],
        };
        let bytes = remembered.encode();
        assert_eq!(Remembered::decode(&bytes), Ok(remembered));
        for cut in 0..bytes.len() {
            assert!(Remembered::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut beyond = bytes.to_vec();
        beyond[1] = 1;
        assert!(Remembered::decode(&beyond).is_err(), "record 1 of 1");
    }

    #[test]
    fn positions_are_relative_to_the_remembering_record() {
        let remembered = Remembered { records: 1, writes: vec![(Place::new(0), Some(0))] };
        let stamp = |lsn| Stamp { epoch: LogEpoch::new(3), lsn };
        let second = Lsn::FIRST.next();
        let known = Known { at: stamp(second), remembered: remembered.clone() };
        let written = Written { stamp: Some(stamp(Lsn::FIRST)) };
        assert_eq!(known.writes(), Ok(vec![(Place::new(0), written)]));
        let records = known.records().expect("in order");
        assert_eq!((records.start(), records.last()), (Lsn::FIRST, Some(second)));
        let known = Known { at: stamp(Lsn::FIRST), remembered };
        assert!(known.records().is_err(), "there is nothing in front of the first record");
    }
}
