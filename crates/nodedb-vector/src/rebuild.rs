//! A new segment from a former head or from other segments, step by step.

use crate::{
    copying::Copying,
    layout::SEGMENT_FILES,
    part::{Part, PartId, PartRows},
    rebuilt::{Input, Rebuilt, Sealed},
    segment::{Segment, SegmentBuilder, SegmentError, SegmentSpec},
    segment_writer::{SegmentWriter, VectorsWriter, Writing, WrittenVectors},
    vector_dir::VectorDir,
};
use nodedb_engine::{EngineError, EngineKind, SyncedFile};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

/// Keys that a step copies.
const COPIED_KEYS: usize = 16_384;
/// Numbers of rows that a step copies: 4 MiB.
const COPIED_NUMBERS: usize = 1 << 20;
/// Numbers of rows that a step adds to a graph, which takes 10 to 15 ms: 32 rows of 384 dimensions.
const GRAPH_NUMBERS: usize = 12_288;

/// A segment in the making, for the maintenance thread. Between two steps it may wait as long as it
/// must, and dropping it leaves nothing behind.
///
/// Vectors go from what it is made of to disk a few at a time. In memory stand the keys, 12 bytes for
/// each row, and the graph, twice while it is saved: what of that a merge may take is an option.
#[derive(Debug)]
pub struct Rebuild {
    work: Box<Work>,
}

#[derive(Debug)]
struct Work {
    recipe: Recipe,
    stage: Stage,
    unpaid: u64,
}

/// What a step comes to.
#[derive(Debug)]
pub enum RebuildStep {
    /// There is more to do.
    More(Rebuild),
    /// The segment is there, for [`VectorEngine::end_rebuild`](crate::VectorEngine::end_rebuild).
    Done(Box<Rebuilt>),
}

/// What is made of what.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) number: u64,
    pub(crate) dir: Arc<Mutex<VectorDir>>,
    pub(crate) spec: SegmentSpec,
    /// The number of the new part.
    pub(crate) id: PartId,
    /// What it is made from, with the rows that were dead at the beginning.
    pub(crate) parts: Vec<Part>,
    /// Whether a graph is built.
    pub(crate) shape: Shape,
}

/// What a segment becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// Rows that are measured one by one: as much work as copying them.
    Flat,
    /// Rows with a graph over them.
    Graph,
}

#[derive(Debug)]
enum Stage {
    Keys(Copying),
    Vectors(Making, VectorsWriter),
    Graph(Making, WrittenVectors),
    Write(SegmentWriter, Vec<Input>),
}

/// A segment of which all keys are known.
#[derive(Debug)]
struct Making {
    builder: SegmentBuilder,
    inputs: Vec<Input>,
    /// Where each row comes from: the place of its part, and the slot there.
    order: Vec<(u32, u32)>,
    /// Rows of which the vector was taken.
    at: usize,
    /// What is to be written next.
    buffer: Vec<u8>,
}

impl Rebuild {
    pub(crate) fn new(recipe: Recipe) -> Self {
        let copying = Copying::new(recipe.spec);
        Self { work: Box::new(Work { recipe, stage: Stage::Keys(copying), unpaid: 0 }) }
    }

    /// Its number, for [`VectorEngine::give_up_rebuild`](crate::VectorEngine::give_up_rebuild).
    pub const fn number(&self) -> u64 {
        self.work.recipe.number
    }

    /// Whether memory is waiting for it: rows that are sealed leave it.
    pub fn frees_memory(&self) -> bool {
        self.work.recipe.parts.iter().any(|part| !part.is_sealed())
    }

    /// Bytes that were written since the last call, for whoever paces it.
    pub fn take_unpaid(&mut self) -> u64 {
        std::mem::take(&mut self.work.unpaid)
    }

    /// Does some 10 to 20 ms of work, but for the moments in which a graph is saved or a large file is
    /// read once.
    ///
    /// # Errors
    /// [`EngineError`]; the rebuild is over then, and what it was made from is as it was.
    pub fn step(self) -> Result<RebuildStep, EngineError> {
        let Work { recipe, stage, mut unpaid } = *self.work;
        let stage = match stage {
            Stage::Keys(mut copying) => {
                if copying.copy_some(&recipe.parts, COPIED_KEYS) {
                    Stage::Keys(copying)
                } else if copying.builder.len() == 0 {
                    return Ok(RebuildStep::Done(Box::new(recipe.end(copying.inputs, None))));
                } else {
                    let writer = VectorsWriter::begin(recipe.id, &mut *lock(&recipe.dir)?)?;
                    Stage::Vectors(Making::new(copying), writer)
                }
            }
            Stage::Vectors(making, writer) => recipe.copy_vectors(making, writer, &mut unpaid)?,
            Stage::Graph(making, vectors) => recipe.build_graph(making, vectors)?,
            Stage::Write(writer, inputs) => {
                let (writing, count) = writer.write_some(&mut *lock(&recipe.dir)?)?;
                unpaid += count as u64;
                match writing {
                    Writing::More(writer) => Stage::Write(writer, inputs),
                    Writing::Done(files) => {
                        let sealed = recipe.open(files)?;
                        return Ok(RebuildStep::Done(Box::new(recipe.end(inputs, Some(sealed)))));
                    }
                }
            }
        };
        Ok(RebuildStep::More(Self { work: Box::new(Work { recipe, stage, unpaid }) }))
    }
}

impl Recipe {
    fn copy_vectors(
        &self,
        mut making: Making,
        mut writer: VectorsWriter,
        unpaid: &mut u64,
    ) -> Result<Stage, EngineError> {
        let rows = (COPIED_NUMBERS / self.spec.width()).max(1);
        let until = making.order.len().min(making.at + rows);
        while making.at < until {
            let vector = making.vector(&self.parts);
            making.builder.push_vector(vector, &mut making.buffer);
        }
        let ended = making.at == making.order.len();
        if ended {
            making.builder.end_vectors(&mut making.buffer);
        }
        writer.append(&making.buffer)?;
        *unpaid += making.buffer.len() as u64;
        making.buffer.clear();
        if !ended {
            return Ok(Stage::Vectors(making, writer));
        }
        making.at = 0;
        making.buffer = Vec::new();
        let vectors = writer.end()?;
        match self.shape {
            Shape::Graph => Ok(Stage::Graph(making, vectors)),
            Shape::Flat => self.finish(making, vectors),
        }
    }

    fn build_graph(
        &self,
        mut making: Making,
        vectors: WrittenVectors,
    ) -> Result<Stage, EngineError> {
        let rows = (GRAPH_NUMBERS / self.spec.width()).max(1);
        let until = making.order.len().min(making.at + rows);
        while making.at < until {
            let vector = making.vector(&self.parts);
            making.builder.add(vector).map_err(|error| self.failed(error))?;
        }
        if making.at < making.order.len() {
            return Ok(Stage::Graph(making, vectors));
        }
        self.finish(making, vectors)
    }

    fn finish(&self, making: Making, vectors: WrittenVectors) -> Result<Stage, EngineError> {
        let bytes = making.builder.finish().map_err(|error| self.failed(error))?;
        Ok(Stage::Write(SegmentWriter::new(vectors, bytes), making.inputs))
    }

    fn open(&self, files: [SyncedFile; SEGMENT_FILES]) -> Result<Sealed, EngineError> {
        let system = Arc::clone(lock(&self.dir)?.files());
        let parts = SegmentWriter::parts(self.spec, &*system, &files)?;
        Ok(Sealed { segment: Arc::new(Segment::open(parts)?), files })
    }

    fn end(self, inputs: Vec<Input>, sealed: Option<Sealed>) -> Rebuilt {
        let sealed_until = self.parts.iter().find_map(|part| match part.rows {
            PartRows::Aside { until, .. } => Some(until),
            PartRows::Sealed(_) => None,
        });
        let Self { number, spec, id, .. } = self;
        Rebuilt { number, index: spec.index, id, inputs, sealed_until, sealed }
    }

    fn failed(&self, error: SegmentError) -> EngineError {
        let path = lock(&self.dir).map(|dir| dir.path().to_owned()).unwrap_or_default();
        EngineError::io("building a segment in", path)(io::Error::other(error))
    }
}

impl Making {
    fn new(copying: Copying) -> Self {
        let Copying { builder, inputs, order, .. } = copying;
        Self { builder, inputs, order, at: 0, buffer: Vec::new() }
    }

    /// The vector of the next row.
    #[expect(clippy::expect_used, reason = "the order lists slots of the parts it was made from")]
    fn vector<'a>(&mut self, parts: &'a [Part]) -> &'a [f32] {
        let place = self.order.get(self.at).copied();
        let part = |(part, slot)| Some((parts.get(usize::try_from(part).ok()?)?, slot));
        let (part, slot) = place.and_then(part).expect("there is a next row");
        self.at += 1;
        part.rows.vector(slot)
    }
}

/// The directory, which only the maintenance thread uses.
pub(crate) fn lock(dir: &Mutex<VectorDir>) -> Result<MutexGuard<'_, VectorDir>, EngineError> {
    dir.lock().or(Err(EngineError::FlushPanicked { engine: EngineKind::Vectors }))
}
