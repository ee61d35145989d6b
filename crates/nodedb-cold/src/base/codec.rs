//! The body of a base manifest as bytes.

use crate::{
    base::{BaseFile, BaseFloor, BaseManifest, BasePath, PART_BYTES_MAX, PartRef},
    error::FormatError,
    hash::ObjectHash,
    writer::WriterEpoch,
};
use bytes::Bytes;
use nodedb_types::{ByteReader, DatabaseId, Incarnation, LogEpoch, Lsn, Name, VshardId, put_bytes};

pub(super) fn encode_body(base: &BaseManifest) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    out.extend_from_slice(base.database_id.as_bytes());
    out.extend_from_slice(base.incarnation.as_bytes());
    out.extend_from_slice(&base.writer_epoch.get().to_le_bytes());
    out.extend_from_slice(&base.redo_lsn.get().to_le_bytes());
    out.extend_from_slice(&base.ceiling_lsn.get().to_le_bytes());
    out.extend_from_slice(&base.log_epoch.get().to_le_bytes());
    out.extend_from_slice(&base.commit_ms.to_le_bytes());
    out.extend_from_slice(&base.vshards.to_le_bytes());
    out.extend_from_slice(&base.segment_bytes.to_le_bytes());
    put_bytes(&mut out, &base.counters);
    put_count(&mut out, "floor count", base.floors.len())?;
    for floor in &base.floors {
        out.extend_from_slice(&floor.vshard.get().to_le_bytes());
        put_bytes(&mut out, floor.engine.as_str().as_bytes());
        out.extend_from_slice(&Lsn::encode(floor.proven).to_le_bytes());
        out.extend_from_slice(&Lsn::encode(floor.effective).to_le_bytes());
    }
    put_count(&mut out, "file count", base.files.len())?;
    for file in &base.files {
        put_bytes(&mut out, file.path.as_str().as_bytes());
        out.extend_from_slice(&file.len().to_le_bytes());
        put_count(&mut out, "part count", file.parts.len())?;
        for part in &file.parts {
            out.extend_from_slice(part.hash().as_bytes());
            out.extend_from_slice(&part.len().to_le_bytes());
        }
    }
    Ok(out)
}

fn put_count(out: &mut Vec<u8>, field: &'static str, count: usize) -> Result<(), FormatError> {
    let count = u32::try_from(count).or(Err(FormatError::Field { field }))?;
    out.extend_from_slice(&count.to_le_bytes());
    Ok(())
}

pub(super) fn decode_body(body: &[u8]) -> Result<BaseManifest, FormatError> {
    let mut reader = ByteReader::new(body);
    let base = BaseManifest {
        database_id: DatabaseId::from_bytes(reader.array("database id")?),
        incarnation: Incarnation::from_bytes(reader.array("incarnation")?),
        writer_epoch: WriterEpoch::from_u32(reader.u32("writer epoch")?)
            .ok_or(FormatError::Field { field: "writer epoch" })?,
        redo_lsn: reader.lsn("redo lsn")?,
        ceiling_lsn: reader.lsn("ceiling lsn")?,
        log_epoch: LogEpoch::new(reader.u32("log epoch")?),
        commit_ms: reader.u64("commit time")?,
        vshards: reader.u16("vshards")?,
        segment_bytes: reader.u64("segment bytes")?,
        counters: Bytes::copy_from_slice(reader.bytes("counters")?),
        floors: decode_floors(&mut reader)?,
        files: decode_files(&mut reader)?,
    };
    reader.finish()?;
    Ok(base)
}

// The lists grow as their entries are read: a count alone allocates nothing.

fn decode_floors(reader: &mut ByteReader<'_>) -> Result<Vec<BaseFloor>, FormatError> {
    let mut floors = Vec::new();
    for _ in 0..reader.u32("floor count")? {
        let vshard = VshardId::new(reader.u16("floor's vshard")?);
        let engine = Name::new(reader.text("engine")?);
        floors.push(BaseFloor {
            vshard,
            engine: engine.or(Err(FormatError::Field { field: "engine" }))?,
            proven: reader.position("proven floor")?,
            effective: reader.position("effective floor")?,
        });
    }
    Ok(floors)
}

fn decode_files(reader: &mut ByteReader<'_>) -> Result<Vec<BaseFile>, FormatError> {
    let mut files = Vec::new();
    for _ in 0..reader.u32("file count")? {
        let path = BasePath::new(reader.text("path")?)?;
        let len = reader.u64("file length")?;
        let mut parts = Vec::new();
        for _ in 0..reader.u32("part count")? {
            let hash = ObjectHash::from_bytes(reader.array("part digest")?);
            let len = reader.u32("part length")?;
            if !(1..=PART_BYTES_MAX).contains(&len) {
                return Err(FormatError::Field { field: "part length" });
            }
            parts.push(PartRef::new(hash, len));
        }
        let file = BaseFile { path, parts };
        if file.len() != len {
            return Err(FormatError::Field { field: "file length" });
        }
        files.push(file);
    }
    Ok(files)
}
