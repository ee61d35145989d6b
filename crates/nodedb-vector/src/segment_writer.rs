//! Writes the files of a segment, piece by piece.

use crate::{
    layout::SEGMENT_FILES,
    part::PartId,
    segment::{KeysAndGraph, SegmentFile, SegmentParts, SegmentSpec},
    vector_dir::VectorDir,
};
use nodedb_engine::{EngineError, NewFile, SyncedFile};
use nodedb_env::Files;

/// Bytes that are written at once.
const PIECE_BYTES: usize = 4 << 20;

/// The file of vectors, which grows while its numbers are read.
#[derive(Debug)]
pub(crate) struct VectorsWriter {
    id: PartId,
    file: NewFile,
}

impl VectorsWriter {
    pub(crate) fn begin(id: PartId, dir: &mut VectorDir) -> Result<Self, EngineError> {
        Ok(Self { id, file: dir.begin_file(&name(id, "vectors"))? })
    }

    /// Appends what comes next.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.file.append(bytes)
    }

    /// Ends the file, which is whole.
    pub(crate) fn end(self) -> Result<WrittenVectors, EngineError> {
        Ok(WrittenVectors { id: self.id, file: self.file.sync()? })
    }
}

/// The file of vectors, whole and synced.
#[derive(Debug)]
pub(crate) struct WrittenVectors {
    id: PartId,
    file: SyncedFile,
}

/// The other two files on their way to disk.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    vectors: WrittenVectors,
    bytes: KeysAndGraph,
    /// The one that is being written.
    file: Option<NewFile>,
    written: usize,
    rows: Option<SyncedFile>,
}

/// What a call of [`SegmentWriter::write_some`] comes to.
#[derive(Debug)]
pub(crate) enum Writing {
    More(SegmentWriter),
    /// All files are whole and synced: rows, vectors, graph.
    Done([SyncedFile; SEGMENT_FILES]),
}

impl SegmentWriter {
    pub(crate) const fn new(vectors: WrittenVectors, bytes: KeysAndGraph) -> Self {
        Self { vectors, bytes, file: None, written: 0, rows: None }
    }

    /// Writes the next piece. Answers how many bytes it has.
    pub(crate) fn write_some(
        mut self,
        dir: &mut VectorDir,
    ) -> Result<(Writing, usize), EngineError> {
        let (bytes, what) = match self.rows {
            None => (&self.bytes.rows, "rows"),
            Some(_) => (&self.bytes.graph, "graph"),
        };
        let mut file = match self.file.take() {
            Some(file) => file,
            None => dir.begin_file(&name(self.vectors.id, what))?,
        };
        let rest = bytes.get(self.written..).unwrap_or_default();
        let piece = rest.get(..PIECE_BYTES).unwrap_or(rest);
        file.append(piece)?;
        let count = piece.len();
        if count < rest.len() {
            self.written += count;
            self.file = Some(file);
            return Ok((Writing::More(self), count));
        }
        let file = file.sync()?;
        let Some(rows) = self.rows.take() else {
            self.written = 0;
            self.rows = Some(file);
            return Ok((Writing::More(self), count));
        };
        Ok((Writing::Done([rows, self.vectors.file, file]), count))
    }

    /// Maps the files, for their first open.
    pub(crate) fn parts(
        spec: SegmentSpec,
        files: &dyn Files,
        written: &[SyncedFile; SEGMENT_FILES],
    ) -> Result<SegmentParts, EngineError> {
        let [rows, vectors, graph] = written;
        let open = |file: &SyncedFile| SegmentFile::open(files, file.path());
        Ok(SegmentParts { spec, rows: open(rows)?, vectors: open(vectors)?, graph: open(graph)? })
    }
}

fn name(id: PartId, what: &str) -> String {
    format!("segment-{:020}-{what}.ndb", id.0)
}
