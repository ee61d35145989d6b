//! Sealed segments: immutable rows of one vector index with an approximate index over them. A *flat*
//! one has no such index yet: every row is measured.
//!
//! A segment is three files: keys and stamps, the vectors in full, and the graph. [`SegmentBuilder`]
//! makes their bytes, [`Segment`] searches them where they lie, mapped from disk. Rows are known by
//! *slot*, their position in the order of keys. What was deleted or replaced since is the caller's to
//! know: it passes a filter, or a bitmap of dead slots.
//!
//! It knows nothing of manifests, flushing and the engine.
//!
//! ```text
//! SegmentBuilder::new(spec)
//!     .push_key(key, stamp)                    all keys, strictly ascending
//!     .push_vector(vector, file)               their vectors, checked; the file of them comes in pieces
//!     .end_vectors(file)                       its end
//!     .add(vector)                             the graph row by row, for a thread that paces itself
//!     .finish() -> KeysAndGraph                { rows, graph }: write, sync, name them
//! SegmentFile::open(files, path)               maps a real file, copies a simulated one
//! Segment::open(SegmentParts)                  checks every byte, then views the graph
//!     .len() .key(slot) .stamp(slot) .vector(slot) .find(key) .memory_bytes()
//!     .search(SegmentQuery, accept) -> hits    approximate; distances exact
//!     .exact(vector, slots, k) -> hits         every one of some slots
//!     .exact_except(vector, dead, k) -> hits   every one but the dead
//! ```
//!
//! # Invariants
//! - No byte reaches foreign code before the checksum of its file was found right, on the very bytes
//!   that are used: [`Checked`](header::Checked) is the proof.
//! - The owner of a view of the library drops it before the file.
//! - One search of a segment at a time, all others are `Busy`; everything else is shared freely.
//! - A filter's panic never unwinds into foreign code.
//! - Distances are computed from the vectors in full by [`kernel`](crate::kernel); hits ascend by
//!   (distance, slot), which is (distance, key).

mod builder;
mod error;
mod exact;
mod filter;
mod graph;
mod header;
mod nearest;
mod rows;
mod scale;
mod search;
mod slot;
mod spec;
mod usearch;
mod vectors;
mod view;

pub(crate) use builder::{KeysAndGraph, SegmentBuilder};
pub(crate) use error::SegmentError;
pub(crate) use search::SegmentQuery;
pub(crate) use spec::SegmentSpec;
pub(crate) use view::SegmentFile;
#[cfg(test)]
pub(crate) use {filter::Accept, nearest::Hit};

use graph::VectorIndex;
use header::{Checked, Part};
use nodedb_engine::EngineError;
use nodedb_types::Stamp;
use rows::Rows;
use usearch::UsearchGraph;
use vectors::Vectors;

/// The files of a segment, and what its owner knows about it.
#[derive(Debug)]
pub(crate) struct SegmentParts {
    pub(crate) spec: SegmentSpec,
    pub(crate) rows: SegmentFile,
    pub(crate) vectors: SegmentFile,
    pub(crate) graph: SegmentFile,
}

/// Bytes that a segment takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SegmentMemory {
    /// Of the heap.
    pub(crate) heap: usize,
    /// Mapped from files: the system may drop them from memory.
    pub(crate) mapped: usize,
}

/// A sealed segment, open.
#[derive(Debug)]
pub(crate) struct Segment {
    spec: SegmentSpec,
    rows: Rows,
    vectors: Vectors,
    graph: UsearchGraph,
    memory: SegmentMemory,
}

impl Segment {
    /// Opens the three files of a segment after checking all their bytes.
    ///
    /// # Errors
    /// `Corrupt` and `UnsupportedFormat` name the file. Files of different segments, or of another
    /// index than `spec` says, are `Corrupt` too.
    pub(crate) fn open(parts: SegmentParts) -> Result<Self, EngineError> {
        let SegmentParts { spec, rows, vectors, graph } = parts;
        let mut memory = SegmentMemory::default();
        for (heap, mapped) in [&rows, &vectors, &graph].map(SegmentFile::memory_bytes) {
            memory.heap += heap;
            memory.mapped += mapped;
        }
        let rows = Rows::new(Checked::new(Part::Rows, rows)?)?;
        let vectors = Vectors::new(Checked::new(Part::Vectors, vectors)?)?;
        let graph = Checked::new(Part::Graph, graph)?;
        let header = rows.checked().header;
        if header.spec != spec {
            return Err(rows.checked().corrupt("belongs to another index"));
        }
        for checked in [vectors.checked(), &graph] {
            if checked.header != header {
                return Err(checked.corrupt("belongs to another segment"));
            }
        }
        let graph = UsearchGraph::view(&graph)?;
        memory.heap += graph.memory_bytes();
        Ok(Self { spec, rows, vectors, graph, memory })
    }

    /// What it holds.
    #[cfg(test)]
    pub(crate) const fn spec(&self) -> &SegmentSpec {
        &self.spec
    }

    /// Number of rows: slots are below it.
    pub(crate) fn len(&self) -> u32 {
        self.rows.checked().header.rows
    }

    /// Whether there is a graph over the rows. A flat segment has none: every row is measured.
    pub(crate) fn is_graph(&self) -> bool {
        self.graph.is_built()
    }

    /// Bytes of keys and stamps.
    pub(crate) fn key_bytes(&self) -> usize {
        self.rows.checked().body().len()
    }

    /// The key of a slot.
    ///
    /// # Panics
    /// If there is no such slot; so do all that take one.
    pub(crate) fn key(&self, slot: u32) -> &[u8] {
        self.rows.key(slot)
    }

    /// When the row of a slot was written.
    pub(crate) fn stamp(&self, slot: u32) -> Stamp {
        self.rows.stamp(slot)
    }

    /// The vector of a slot, as it was pushed.
    pub(crate) fn vector(&self, slot: u32) -> &[f32] {
        self.vectors.matrix().row(slot)
    }

    /// The slot of a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        self.rows.find(key)
    }

    /// Bytes that it takes while it is open.
    pub(crate) const fn memory_bytes(&self) -> SegmentMemory {
        self.memory
    }
}

#[cfg(test)]
mod tests;
