//! A new segment from a former head or from other segments, step by step.

use crate::{
    layout::SEGMENT_FILES,
    part::{Part, PartId, PartRows},
    rebuilt::{Input, NOWHERE, Rebuilt, Sealed},
    segment::{Segment, SegmentBuilder, SegmentError, SegmentSpec},
    segment_writer::SegmentWriter,
    vector_dir::VectorDir,
};
use nodedb_engine::{EngineError, EngineKind, SyncedFile};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

/// Numbers of rows that a step copies: 4 MiB.
const COPIED_NUMBERS: usize = 1 << 20;
/// Numbers of rows that a step adds to a graph, which takes 10 to 15 ms: 32 rows of 384 dimensions.
const GRAPH_NUMBERS: usize = 12_288;

/// A segment in the making, for the maintenance thread. Between two steps it may wait as long as it
/// must, and dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Rebuild {
    work: Box<Work>,
}

#[derive(Debug)]
struct Work {
    recipe: Recipe,
    stage: Stage,
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
}

#[derive(Debug)]
enum Stage {
    Copy(Copying),
    Graph(SegmentBuilder, Vec<Input>),
    Write(SegmentWriter, Vec<Input>),
}

/// Rows on their way into a builder.
#[derive(Debug)]
struct Copying {
    inputs: Vec<Input>,
    /// Of each input.
    cursors: Vec<Cursor>,
    builder: SegmentBuilder,
}

/// How far the rows of an input are copied.
#[derive(Debug)]
struct Cursor {
    /// The slots in the order of keys, where that is not their own order.
    order: Option<Vec<u32>>,
    at: u32,
}

impl Rebuild {
    pub(crate) fn new(recipe: Recipe) -> Self {
        let live: u64 = recipe.parts.iter().map(Part::live).sum();
        let builder = SegmentBuilder::new(recipe.spec, usize::try_from(live).unwrap_or(0));
        let copying = Copying { inputs: Vec::new(), cursors: Vec::new(), builder };
        Self::at(recipe, Stage::Copy(copying))
    }

    fn at(recipe: Recipe, stage: Stage) -> Self {
        Self { work: Box::new(Work { recipe, stage }) }
    }

    /// Its number, for [`VectorEngine::give_up_rebuild`](crate::VectorEngine::give_up_rebuild).
    pub const fn number(&self) -> u64 {
        self.work.recipe.number
    }

    /// Does some 10 to 20 ms of work, but for the moments in which memory for a large segment is taken,
    /// copied once, or read once.
    ///
    /// # Errors
    /// [`EngineError`]; the rebuild is over then, and what it was made from is as it was.
    pub fn step(self) -> Result<RebuildStep, EngineError> {
        let Work { recipe, stage } = *self.work;
        let stage = match stage {
            Stage::Copy(mut copying) => {
                if copying.copy_some(&recipe) {
                    Stage::Copy(copying)
                } else if copying.builder.len() == 0 {
                    return Ok(RebuildStep::Done(Box::new(recipe.end(copying.inputs, None))));
                } else {
                    Stage::Graph(copying.builder, copying.inputs)
                }
            }
            Stage::Graph(mut builder, inputs) => {
                let rows = u32::try_from((GRAPH_NUMBERS / recipe.spec.width()).max(1));
                let failed = |error| recipe.failed(error);
                if builder.build_some(rows.unwrap_or(1)).map_err(failed)?.is_done() {
                    let bytes = builder.finish().map_err(failed)?;
                    Stage::Write(SegmentWriter::new(recipe.id, bytes), inputs)
                } else {
                    Stage::Graph(builder, inputs)
                }
            }
            Stage::Write(mut writer, inputs) => {
                let files = writer.write_some(&mut *lock(&recipe.dir)?)?;
                let Some(files) = files else {
                    let stage = Stage::Write(writer, inputs);
                    return Ok(RebuildStep::More(Self::at(recipe, stage)));
                };
                let sealed = recipe.open(files)?;
                return Ok(RebuildStep::Done(Box::new(recipe.end(inputs, Some(sealed)))));
            }
        };
        Ok(RebuildStep::More(Self::at(recipe, stage)))
    }
}

impl Recipe {
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

impl Copying {
    /// Copies some more rows. Whether there may be another one.
    fn copy_some(&mut self, recipe: &Recipe) -> bool {
        if self.cursors.is_empty() {
            self.cursors.extend(recipe.parts.iter().map(Cursor::new));
            self.inputs.extend(recipe.parts.iter().map(|part| Input {
                id: part.id,
                dead: Arc::clone(&part.dead),
                slots: vec![NOWHERE; part.rows.length()],
            }));
        }
        let rows = (COPIED_NUMBERS / recipe.spec.width()).max(1);
        (0..rows).all(|_| self.copy_row(&recipe.parts))
    }

    /// Copies the row with the least key. Whether there was one.
    fn copy_row(&mut self, parts: &[Part]) -> bool {
        let mut least: Option<(usize, u32, &[u8])> = None;
        for (number, (cursor, part)) in self.cursors.iter_mut().zip(parts).enumerate() {
            let Some(slot) = cursor.live(part) else { continue };
            let key = part.rows.key(slot);
            if least.is_none_or(|(_, _, least)| key < least) {
                least = Some((number, slot, key));
            }
        }
        let Some((number, slot, key)) = least else {
            return false;
        };
        let Some((part, cursor)) = parts.get(number).zip(self.cursors.get_mut(number)) else {
            return false;
        };
        cursor.at += 1;
        let to = self.builder.len();
        self.builder.push(key, part.rows.stamp(slot), part.rows.vector(slot));
        let input = self.inputs.get_mut(number);
        let place = usize::try_from(slot).ok().zip(input);
        let place = place.and_then(|(slot, input)| input.slots.get_mut(slot));
        assert!(place.is_some(), "each slot has its place");
        if let Some(place) = place {
            *place = to;
        }
        true
    }
}

/// The directory, which only the maintenance thread uses.
pub(crate) fn lock(dir: &Mutex<VectorDir>) -> Result<MutexGuard<'_, VectorDir>, EngineError> {
    dir.lock().or(Err(EngineError::FlushPanicked { engine: EngineKind::Vectors }))
}

impl Cursor {
    fn new(part: &Part) -> Self {
        let order = match &part.rows {
            PartRows::Sealed(_) => None,
            PartRows::Aside { flat, .. } => {
                let slots = flat.rows().map(|(_, row)| u32::try_from(row));
                Some(slots.filter_map(Result::ok).collect())
            }
        };
        Self { order, at: 0 }
    }

    /// The next slot whose row lives.
    fn live(&mut self, part: &Part) -> Option<u32> {
        while self.at < part.slots() {
            let at = usize::try_from(self.at).ok();
            let slot = match &self.order {
                None => Some(self.at),
                Some(order) => at.and_then(|at| order.get(at)).copied(),
            };
            if let Some(slot) = slot.filter(|slot| !part.dead.contains(*slot)) {
                return Some(slot);
            }
            self.at += 1;
        }
        None
    }
}
