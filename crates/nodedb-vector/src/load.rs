//! An engine from its files.

use crate::{
    VectorEngine, VectorOptions,
    changes::Changes,
    layout::Layout,
    live_index::LiveIndex,
    part::{Part, PartId, PartRows},
    run,
    upkeep::Upkeep,
    vector_dir::{OpenSegment, VectorDir},
};
use nodedb_engine::{EngineError, Flushed};
use nodedb_types::{DecodeError, IndexId};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

/// The indexes as of the floor.
pub(crate) fn indexes(dir: &VectorDir) -> Result<BTreeMap<IndexId, LiveIndex>, EngineError> {
    let mut loading = Loading::new(dir.layout());
    dir.read_runs(|part| {
        loading.take_run(&part);
        Ok(())
    })?;
    for segment in dir.read_segments()? {
        loading.take_segment(segment);
    }
    loading.finish(dir.path())
}

/// Indexes on their way from files, to be used or only to be checked.
#[derive(Debug)]
pub(crate) struct Loading<'a> {
    layout: &'a Layout,
    indexes: BTreeMap<IndexId, LiveIndex>,
}

impl<'a> Loading<'a> {
    pub(crate) fn new(layout: &'a Layout) -> Self {
        let known = layout.indexes.iter();
        let indexes = known.map(|(id, known)| (*id, LiveIndex::new(known.definition))).collect();
        Self { layout, indexes }
    }

    /// Takes the rows of a part of a run; parts come from the oldest run on.
    pub(crate) fn take_run(&mut self, part: &run::Part) {
        for row in part.rows.iter().filter(|row| !self.layout.is_void(row)) {
            take_over(&mut self.indexes, row);
        }
    }

    pub(crate) fn take_segment(&mut self, open: OpenSegment) {
        let OpenSegment { index, id, segment, dead } = open;
        let rows = PartRows::Sealed(Arc::new(segment));
        let part = Part { id, rows, dead: Arc::new(dead) };
        if let Some(live) = self.indexes.get_mut(&index) {
            live.parts.push(part);
        }
    }

    /// The indexes, of which `dir` is the directory.
    pub(crate) fn finish(self, dir: &Path) -> Result<BTreeMap<IndexId, LiveIndex>, EngineError> {
        for (index, live) in &self.indexes {
            check(*index, live).map_err(|error| EngineError::corrupt(dir, error.to_string()))?;
        }
        Ok(self.indexes)
    }
}

fn take_over(indexes: &mut BTreeMap<IndexId, LiveIndex>, row: &run::Row) {
    let Some(live) = indexes.get_mut(&row.index) else {
        return;
    };
    match row.vector() {
        Some(vector) => drop(live.head.set(&row.key, row.stamp, &vector)),
        None => drop(live.head.remove(&row.key)),
    }
}

/// A key must not live twice: one of its rows would be a deleted or replaced one.
fn check(index: IndexId, live: &LiveIndex) -> Result<(), DecodeError> {
    let twice = || DecodeError::OutOfRange {
        field: "living rows of a key, by index",
        value: u64::from(index.get()),
    };
    for (key, _) in live.head.rows() {
        if live.parts.iter().any(|part| part.find(key).is_some()) {
            return Err(twice());
        }
    }
    for (number, part) in live.parts.iter().enumerate() {
        for other in live.parts.iter().skip(number + 1) {
            // The keys of both in one pass: they are sorted.
            let mut keys = other.live_slots().map(|slot| other.rows.key(slot)).peekable();
            for key in part.live_slots().map(|slot| part.rows.key(slot)) {
                while keys.next_if(|other| *other < key).is_some() {}
                if keys.peek() == Some(&key) {
                    return Err(twice());
                }
            }
        }
    }
    Ok(())
}

/// An engine of these indexes.
pub(crate) fn engine(
    mut indexes: BTreeMap<IndexId, LiveIndex>,
    flushed: Flushed,
    dir: VectorDir,
    options: VectorOptions,
) -> VectorEngine {
    let parts = indexes.values().flat_map(|live| &live.parts);
    let next = parts.map(|part| part.id.0 + 1).max().unwrap_or(0);
    let upkeep = Upkeep::new(options, PartId(next), indexes.keys().copied());
    let mut unsealed = 0;
    for live in indexes.values_mut() {
        live.counted = live.unsealed_bytes();
        unsealed += live.counted;
    }
    VectorEngine {
        indexes,
        flushed,
        applied: flushed.floor(),
        changes: Changes::default(),
        frozen: None,
        flushes: 0,
        upkeep,
        unsealed,
        dir: Arc::new(Mutex::new(dir)),
    }
}
