//! The row that says up to where the tables hold everything.

use crate::Dropped;
use nodedb_types::{ByteReader, CollectionId, DecodeError, IndexId, Lsn};
use std::collections::BTreeSet;

/// Ingested together with the rows it speaks of, so that neither is ever there without the other
/// (protocol rule P13). The highest sequence number in the tables proves nothing: it falls when
/// tombstones are compacted away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FloorRow {
    /// Everything up to here is in the tables.
    pub(crate) floor: Lsn,
    /// What was dropped up to there, whose rows compaction may remove. Ids are never reused.
    pub(crate) dropped: Dropped,
}

const FORMAT: u8 = 2;

impl FloorRow {
    /// The bytes; the table stands in `docs/formats/documents.md`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.floor.get().to_le_bytes());
        let Dropped { collections, indexes } = &self.dropped;
        put_ids(&mut out, collections.iter().map(|id| id.get()));
        put_ids(&mut out, indexes.iter().map(|id| id.get()));
        out
    }

    /// Reads what [`FloorRow::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let format = reader.u8("floor format")?;
        if format != FORMAT {
            return Err(DecodeError::OutOfRange {
                field: "floor format",
                value: u64::from(format),
            });
        }
        let floor = reader.lsn("floor")?;
        let collections = ids(&mut reader, "dropped collection", CollectionId::new)?;
        let indexes = ids(&mut reader, "dropped index", IndexId::new)?;
        reader.finish()?;
        Ok(Self { floor, dropped: Dropped { collections, indexes } })
    }
}

#[expect(clippy::expect_used, reason = "every id is there once, and there are 2^32")]
fn put_ids(out: &mut Vec<u8>, ids: impl ExactSizeIterator<Item = u32>) {
    let count = u32::try_from(ids.len()).expect("fewer than 2^32 ids");
    out.extend_from_slice(&count.to_le_bytes());
    out.extend(ids.flat_map(u32::to_le_bytes));
}

fn ids<T: Ord>(
    reader: &mut ByteReader<'_>,
    field: &'static str,
    id: impl Fn(u32) -> T,
) -> Result<BTreeSet<T>, DecodeError> {
    let count = reader.u32(field)?;
    (0..count).map(|_| reader.u32(field).map(&id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let row = FloorRow {
            floor: Lsn::FIRST.advance(9),
            dropped: Dropped {
                collections: [3, 1 << 31].map(CollectionId::new).into(),
                indexes: [7].map(IndexId::new).into(),
            },
        };
        let bytes = row.encode();
        assert_eq!(FloorRow::decode(&bytes), Ok(row));
        for cut in 0..bytes.len() {
            assert!(FloorRow::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(FloorRow::decode(&[1; 9]).is_err());
    }
}
