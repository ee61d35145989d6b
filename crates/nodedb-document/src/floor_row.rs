//! The row that says up to where the tables hold everything.

use nodedb_types::{ByteReader, CollectionId, DecodeError, Lsn};
use std::collections::BTreeSet;

/// Ingested together with the rows it speaks of, so that neither is ever there without the other
/// (protocol rule P13). The highest sequence number in the tables proves nothing: it falls when
/// tombstones are compacted away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FloorRow {
    /// Everything up to here is in the tables.
    pub(crate) floor: Lsn,
    /// Collections dropped up to there, whose rows compaction may remove. Ids are never reused.
    pub(crate) dropped: BTreeSet<CollectionId>,
}

const FORMAT: u8 = 1;

impl FloorRow {
    /// The bytes; the table stands in `docs/formats/documents.md`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.floor.get().to_le_bytes());
        for id in &self.dropped {
            out.extend_from_slice(&id.get().to_le_bytes());
        }
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
        let mut dropped = BTreeSet::new();
        while reader.left() > 0 {
            dropped.insert(CollectionId::new(reader.u32("dropped collection")?));
        }
        Ok(Self { floor, dropped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let row = FloorRow {
            floor: Lsn::FIRST.advance(9),
            dropped: [3, 1 << 31].map(CollectionId::new).into(),
        };
        let bytes = row.encode();
        assert_eq!(FloorRow::decode(&bytes), Ok(row));
        for cut in (0..bytes.len()).filter(|cut| *cut != 9 && *cut != 13) {
            assert!(FloorRow::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(FloorRow::decode(&[2; 9]).is_err());
    }
}
