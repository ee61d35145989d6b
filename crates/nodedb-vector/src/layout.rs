//! What the files of the engine are, as the manifest's `extra` says it.
//!
//! The bytes are described in `docs/formats/vectors.md`.

use crate::{definition::Definition, part::PartId, run::Row, tombstones::Of};
use nodedb_engine::{EngineError, FileRef, Manifest};
use nodedb_types::{ByteReader, DecodeError, IndexId, Lsn};
use std::{collections::BTreeMap, path::Path};

const VERSION: u32 = 2;
/// Files of a segment: rows, vectors, graph.
pub(crate) const SEGMENT_FILES: usize = 3;

/// Everything that a manifest names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) indexes: BTreeMap<IndexId, Known>,
    /// Oldest first.
    pub(crate) runs: Vec<Run>,
    pub(crate) segments: Vec<SegmentEntry>,
}

/// An index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    pub(crate) definition: Definition,
    /// Rows of runs up to here are void: they live in segments, or not at all.
    pub(crate) sealed: Option<Lsn>,
}

/// A run of rows of heads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub(crate) files: Vec<FileRef>,
    pub(crate) rows: u64,
}

/// A sealed segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SegmentEntry {
    pub(crate) index: IndexId,
    pub(crate) id: PartId,
    /// Dead ones included.
    pub(crate) rows: u32,
    pub(crate) files: [FileRef; SEGMENT_FILES],
    /// Which rows are dead; none without the file.
    pub(crate) dead: Option<FileRef>,
}

impl SegmentEntry {
    pub(crate) const fn of(&self) -> Of {
        Of { index: self.index, segment: self.id, rows: self.rows }
    }
}

impl Layout {
    /// Whether a row of a run says nothing any more: its index is gone, or sealed beyond it.
    pub(crate) fn is_void(&self, row: &Row) -> bool {
        self.indexes.get(&row.index).is_none_or(|known| Some(row.stamp.lsn) <= known.sealed)
    }

    /// The manifest that says so.
    #[expect(clippy::expect_used, reason = "limits keep every list far below 4 billion entries")]
    pub(crate) fn manifest(&self, floor: Option<Lsn>) -> Manifest {
        let fits = |count: usize| u32::try_from(count).expect("lists are shorter than 2^32");
        let mut extra = VERSION.to_le_bytes().to_vec();
        let mut files = Vec::new();
        extra.extend_from_slice(&fits(self.indexes.len()).to_le_bytes());
        for (id, known) in &self.indexes {
            extra.extend_from_slice(&id.get().to_le_bytes());
            known.definition.encode(&mut extra);
            extra.extend_from_slice(&Lsn::encode(known.sealed).to_le_bytes());
        }
        extra.extend_from_slice(&fits(self.runs.len()).to_le_bytes());
        for run in &self.runs {
            extra.extend_from_slice(&fits(run.files.len()).to_le_bytes());
            extra.extend_from_slice(&run.rows.to_le_bytes());
            files.extend_from_slice(&run.files);
        }
        extra.extend_from_slice(&fits(self.segments.len()).to_le_bytes());
        for segment in &self.segments {
            extra.extend_from_slice(&segment.index.get().to_le_bytes());
            extra.extend_from_slice(&segment.id.0.to_le_bytes());
            extra.extend_from_slice(&segment.rows.to_le_bytes());
            extra.push(u8::from(segment.dead.is_some()));
            files.extend_from_slice(&segment.files);
            files.extend(segment.dead.clone());
        }
        Manifest { floor, files, extra }
    }

    /// Reads the manifest at `path`.
    pub(crate) fn decode(path: &Path, manifest: &Manifest) -> Result<Self, EngineError> {
        // A new directory says nothing yet.
        if manifest.extra.is_empty() && manifest.files.is_empty() {
            return Ok(Self::default());
        }
        let mut reader = ByteReader::new(&manifest.extra);
        let version = reader.u32("layout version").unwrap_or(0);
        if version > VERSION {
            let path = path.to_owned();
            return Err(EngineError::UnsupportedFormat {
                path,
                found: version,
                supported: VERSION,
            });
        }
        let decoded = match version {
            VERSION => Self::decode_body(&mut reader, &manifest.files),
            other => out_of_range("layout version", u64::from(other)),
        };
        decoded.map_err(|error| EngineError::corrupt(path, error.to_string()))
    }

    fn decode_body(reader: &mut ByteReader<'_>, files: &[FileRef]) -> Result<Self, DecodeError> {
        let mut files = files.iter().cloned();
        let mut file = || files.next().ok_or(DecodeError::OutOfRange { field: "files", value: 0 });
        let mut layout = Self::default();
        for _ in 0..reader.u32("index count")? {
            let id = IndexId::new(reader.u32("index id")?);
            let definition = Definition::decode(reader)?;
            let sealed = reader.position("sealed lsn")?;
            if layout.indexes.insert(id, Known { definition, sealed }).is_some() {
                return out_of_range("index id", u64::from(id.get()));
            }
        }
        for _ in 0..reader.u32("run count")? {
            let parts = reader.u32("parts of a run")?;
            let rows = reader.u64("rows of a run")?;
            let files = (0..parts).map(|_| file()).collect::<Result<_, _>>()?;
            layout.runs.push(Run { files, rows });
        }
        for _ in 0..reader.u32("segment count")? {
            let index = IndexId::new(reader.u32("index id")?);
            let id = PartId(reader.u64("segment number")?);
            let rows = reader.u32("rows of a segment")?;
            let with_dead = reader.u8("flag of dead rows")?;
            let files = [file()?, file()?, file()?];
            let dead = match with_dead {
                0 => None,
                1 => Some(file()?),
                other => return out_of_range("flag of dead rows", u64::from(other)),
            };
            layout.segments.push(SegmentEntry { index, id, rows, files, dead });
        }
        reader.finish()?;
        layout.check(files.count())?;
        Ok(layout)
    }

    fn check(&self, spare_files: usize) -> Result<(), DecodeError> {
        if spare_files > 0 {
            return out_of_range("files", spare_files as u64);
        }
        let mut numbers = std::collections::BTreeSet::new();
        for segment in &self.segments {
            let known = self.indexes.contains_key(&segment.index);
            if !known || !numbers.insert(segment.id) || segment.id.0 == u64::MAX {
                return out_of_range("segment number", segment.id.0);
            }
        }
        Ok(())
    }
}

fn out_of_range<T>(field: &'static str, value: u64) -> Result<T, DecodeError> {
    Err(DecodeError::OutOfRange { field, value })
}
