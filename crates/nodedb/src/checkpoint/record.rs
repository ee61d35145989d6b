//! The checkpoint record: the floors of every engine of every vshard.

use nodedb_data::Proven;
use nodedb_engine::{EngineKind, Floor};
use nodedb_types::{ByteReader, DecodeError, Lsn, VshardId};

/// What a checkpoint proves. Its bytes are described in `docs/formats/checkpoint.md`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct CheckpointRecord {
    /// The durable position that the vshards were asked at.
    pub(crate) barrier: Lsn,
    /// The first record that recovery needs.
    pub(crate) redo: Lsn,
    /// The floors, of every engine of every vshard.
    pub(crate) floors: Vec<(VshardId, EngineKind, Floor)>,
}

const FORMAT: u8 = 1;
const FLOOR_BYTES: usize = 19;

impl CheckpointRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.barrier.get().to_le_bytes());
        out.extend_from_slice(&self.redo.get().to_le_bytes());
        out.extend_from_slice(&(self.floors.len() as u64).to_le_bytes());
        for (vshard, engine, floor) in &self.floors {
            out.extend_from_slice(&vshard.get().to_le_bytes());
            out.push(engine.code());
            out.extend_from_slice(&Lsn::encode(floor.own()).to_le_bytes());
            out.extend_from_slice(&Lsn::encode(floor.effective()).to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(payload);
        let format = u64::from(reader.u8("checkpoint format")?);
        if format != u64::from(FORMAT) {
            return Err(DecodeError::OutOfRange { field: "checkpoint format", value: format });
        }
        let barrier = reader.lsn("barrier")?;
        let redo = reader.lsn("redo")?;
        let count = reader.u64("floor count")?;
        let most = (reader.left() / FLOOR_BYTES) as u64;
        if count > most {
            return Err(DecodeError::OutOfRange { field: "floor count", value: count });
        }
        let floors = (0..count).map(|_| floor(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { barrier, redo, floors })
    }

    /// The floors as recovery checks them against the engines' files.
    pub(crate) fn proven(&self) -> Vec<Proven> {
        let proven = |(vshard, engine, floor): &(VshardId, EngineKind, Floor)| Proven {
            vshard: *vshard,
            engine: *engine,
            floor: *floor,
        };
        self.floors.iter().map(proven).collect()
    }
}

fn floor(reader: &mut ByteReader<'_>) -> Result<(VshardId, EngineKind, Floor), DecodeError> {
    let vshard = VshardId::new(reader.u16("vshard")?);
    let code = reader.u8("engine")?;
    let out_of_range = |field, value| DecodeError::OutOfRange { field, value };
    let engine =
        EngineKind::from_code(code).ok_or_else(|| out_of_range("engine", u64::from(code)))?;
    let own = reader.position("own floor")?;
    let effective = reader.position("effective floor")?;
    let floor = Floor::recorded(own, effective)
        .ok_or_else(|| out_of_range("effective floor", Lsn::encode(effective)))?;
    Ok((vshard, engine, floor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_every_prefix_is_refused() {
        let lsn = |value| Lsn::from_u64(value);
        let floor = Floor::recorded(lsn(3), lsn(9)).expect("in order");
        let record = CheckpointRecord {
            barrier: Lsn::FIRST.advance(8),
            redo: Lsn::FIRST.advance(3),
            floors: vec![
                (VshardId::new(0), EngineKind::Documents, floor),
                (VshardId::new(7), EngineKind::Catalog, Floor::default()),
            ],
        };
        let bytes = record.encode();
        assert_eq!(CheckpointRecord::decode(&bytes), Ok(record));
        for cut in 0..bytes.len() {
            assert!(CheckpointRecord::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
