//! A new segment from a former head or from other segments, in slices.

use crate::{
    part::{Part, PartId, PartRows},
    rebuilt::{Input, NOWHERE, Rebuilt, Sealed},
    segment::{Segment, SegmentBuilder, SegmentError, SegmentSpec},
    segment_writer::SegmentWriter,
    vector_dir::VectorDir,
};
use nodedb_engine::{EngineError, EngineKind};
use nodedb_types::Lsn;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

/// Numbers of rows that a slice copies: 4 MiB.
const COPIED_NUMBERS: usize = 1 << 20;
/// Numbers of rows that a slice adds to a graph, which takes 10 to 15 ms: 32 rows of 384 dimensions.
const GRAPH_NUMBERS: usize = 12_288;

/// A segment in the making, for the maintenance thread. Between two slices it may wait as long as it
/// must, and dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Rebuild {
    number: u64,
    dir: Arc<Mutex<VectorDir>>,
    spec: SegmentSpec,
    id: PartId,
    /// What it is made from, with the rows that were dead at the beginning.
    parts: Vec<Part>,
    inputs: Vec<Input>,
    sealed_until: Option<Lsn>,
    stage: Stage,
}

/// What a slice comes to.
#[derive(Debug)]
pub enum RebuildStep {
    /// There is more to do.
    More(Box<Rebuild>),
    /// The segment is there, for [`VectorEngine::end_rebuild`](crate::VectorEngine::end_rebuild).
    Done(Rebuilt),
}

#[derive(Debug)]
enum Stage {
    Copy { cursors: Vec<Cursor>, builder: SegmentBuilder },
    Graph(SegmentBuilder),
    Write(SegmentWriter),
}

/// How far the rows of an input are copied.
#[derive(Debug)]
struct Cursor {
    /// The slots in the order of keys, where that is not their own order.
    order: Option<Vec<u32>>,
    at: u32,
}

impl Rebuild {
    /// A rebuild of some parts of one index into part `id`.
    pub(crate) fn new(
        number: u64,
        dir: Arc<Mutex<VectorDir>>,
        spec: SegmentSpec,
        id: PartId,
        parts: Vec<Part>,
    ) -> Self {
        let inputs = parts
            .iter()
            .map(|part| Input { id: part.id, dead: Arc::clone(&part.dead), slots: Vec::new() })
            .collect();
        let sealed_until = parts.iter().find_map(|part| match part.rows {
            PartRows::Aside { until, .. } => Some(until),
            PartRows::Sealed(_) => None,
        });
        let live: u64 = parts.iter().map(Part::live).sum();
        let builder = SegmentBuilder::new(spec, usize::try_from(live).unwrap_or(0));
        let stage = Stage::Copy { cursors: Vec::new(), builder };
        Self { number, dir, spec, id, parts, inputs, sealed_until, stage }
    }

    /// Its number, for [`VectorEngine::give_up_rebuild`](crate::VectorEngine::give_up_rebuild).
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Does some 10 to 20 ms of work, but for the moments in which memory for a large segment is taken,
    /// copied once, or read once.
    ///
    /// # Errors
    /// [`EngineError`]; the rebuild is over then, and what it was made from is as it was.
    pub fn step(mut self: Box<Self>) -> Result<RebuildStep, EngineError> {
        let spec = self.spec;
        self.stage = match self.stage {
            Stage::Copy { mut cursors, mut builder } => {
                if cursors.is_empty() {
                    cursors.extend(self.parts.iter().map(Cursor::new));
                    for (input, part) in self.inputs.iter_mut().zip(&self.parts) {
                        input.slots.resize(part.rows.length(), NOWHERE);
                    }
                }
                let rows = (COPIED_NUMBERS / spec.width()).max(1);
                let copied = (0..rows).all(|_| self.copy_row(&mut cursors, &mut builder));
                match (copied, builder.len()) {
                    (true, _) => Stage::Copy { cursors, builder },
                    (false, 0) => return Ok(RebuildStep::Done(self.end(None))),
                    (false, _) => Stage::Graph(builder),
                }
            }
            Stage::Graph(mut builder) => {
                let rows = u32::try_from((GRAPH_NUMBERS / spec.width()).max(1)).unwrap_or(1);
                let failed = |error| self.failed(error);
                if builder.build_some(rows).map_err(failed)?.is_done() {
                    let bytes = builder.finish().map_err(failed)?;
                    Stage::Write(SegmentWriter::new(self.id, bytes))
                } else {
                    Stage::Graph(builder)
                }
            }
            Stage::Write(mut writer) => {
                let mut dir = lock(&self.dir)?;
                match writer.write_some(&mut dir)? {
                    None => {
                        drop(dir);
                        Stage::Write(writer)
                    }
                    Some(files) => {
                        let parts = SegmentWriter::parts(spec, &**dir.files(), &files)?;
                        drop(dir);
                        let segment = Arc::new(Segment::open(parts)?);
                        let sealed = Sealed { segment, files };
                        return Ok(RebuildStep::Done(self.end(Some(sealed))));
                    }
                }
            }
        };
        Ok(RebuildStep::More(self))
    }

    /// Copies the row with the least key. Whether there was one.
    fn copy_row(&mut self, cursors: &mut [Cursor], builder: &mut SegmentBuilder) -> bool {
        let mut least: Option<(usize, u32, &[u8])> = None;
        for (number, (cursor, part)) in cursors.iter_mut().zip(&self.parts).enumerate() {
            let Some(slot) = cursor.live(part) else { continue };
            let key = part.rows.key(slot);
            if least.is_none_or(|(_, _, least)| key < least) {
                least = Some((number, slot, key));
            }
        }
        let Some((number, slot, key)) = least else {
            return false;
        };
        let to = builder.len();
        let Some(((part, cursor), input)) = self
            .parts
            .get(number)
            .zip(cursors.get_mut(number))
            .zip(self.inputs.get_mut(number))
        else {
            return false;
        };
        builder.push(key, part.rows.stamp(slot), part.rows.vector(slot));
        let place = usize::try_from(slot).ok().and_then(|slot| input.slots.get_mut(slot));
        assert!(place.is_some(), "each slot has its place");
        if let Some(place) = place {
            *place = to;
        }
        cursor.at += 1;
        true
    }

    fn end(self: Box<Self>, sealed: Option<Sealed>) -> Rebuilt {
        Rebuilt {
            number: self.number,
            index: self.spec.index,
            id: self.id,
            inputs: self.inputs,
            sealed_until: self.sealed_until,
            sealed,
        }
    }

    fn failed(&self, error: SegmentError) -> EngineError {
        let path = lock(&self.dir).map(|dir| dir.path().to_owned()).unwrap_or_default();
        EngineError::io("building a segment in", path)(io::Error::other(error))
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
