//! Writes the files of a segment, piece by piece.

use crate::{
    layout::SEGMENT_FILES,
    part::PartId,
    segment::{SegmentBytes, SegmentFile, SegmentParts, SegmentSpec},
    vector_dir::VectorDir,
};
use nodedb_engine::{EngineError, NewFile, SyncedFile};
use nodedb_env::Files;

/// Bytes that are written at once.
const PIECE_BYTES: usize = 4 << 20;
/// What the files are, as their names say it.
const NAMES: [&str; SEGMENT_FILES] = ["rows", "vectors", "graph"];

/// The bytes of a segment on their way to disk.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    id: PartId,
    /// The first one is being written; a written one is gone.
    bytes: Vec<Vec<u8>>,
    file: Option<NewFile>,
    written: usize,
    done: Vec<SyncedFile>,
}

impl SegmentWriter {
    pub(crate) fn new(id: PartId, bytes: SegmentBytes) -> Self {
        let SegmentBytes { rows, vectors, graph } = bytes;
        let bytes = vec![rows, vectors, graph];
        Self { id, bytes, file: None, written: 0, done: Vec::new() }
    }

    /// Writes the next piece. Answers the files once all are whole and synced.
    pub(crate) fn write_some(
        &mut self,
        dir: &mut VectorDir,
    ) -> Result<Option<[SyncedFile; SEGMENT_FILES]>, EngineError> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => dir.begin_file(&self.next_name())?,
        };
        let bytes = self.bytes.first().and_then(|bytes| bytes.get(self.written..));
        let bytes = bytes.unwrap_or_default();
        let piece = bytes.get(..PIECE_BYTES).unwrap_or(bytes);
        file.append(piece)?;
        self.written += piece.len();
        if piece.len() < bytes.len() {
            self.file = Some(file);
            return Ok(None);
        }
        self.done.push(file.sync()?);
        self.bytes.remove(0);
        self.written = 0;
        if !self.bytes.is_empty() {
            return Ok(None);
        }
        let files = <[SyncedFile; SEGMENT_FILES]>::try_from(std::mem::take(&mut self.done));
        assert!(files.is_ok(), "a segment has {SEGMENT_FILES} files");
        Ok(files.ok())
    }

    fn next_name(&self) -> String {
        let what = NAMES.get(self.done.len()).copied().unwrap_or_default();
        format!("segment-{:020}-{what}.ndb", self.id.0)
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
