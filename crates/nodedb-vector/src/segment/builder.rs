//! Making a segment, in slices.

use super::{
    error::SegmentError,
    graph::{Shape, VectorIndex, VectorIndexBuilder},
    header::{HEADER_BYTES, Header, Part},
    rows::RowsBuilder,
    scale::largest,
    spec::SegmentSpec,
    usearch::{UsearchBuilder, UsearchGraph},
    vectors::VectorsBuilder,
};
use nodedb_types::Stamp;

/// The three files of a segment, complete. Write each under a new name, sync, and let a manifest name
/// them: from then on they may be opened.
#[derive(Debug)]
pub(crate) struct SegmentBytes {
    /// Keys and stamps.
    pub(crate) rows: Vec<u8>,
    /// The vectors in full.
    pub(crate) vectors: Vec<u8>,
    /// The approximate index.
    pub(crate) graph: Vec<u8>,
}

/// How far the graph is built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    /// Rows in the graph.
    pub(crate) built: u32,
    /// Rows of the segment.
    pub(crate) total: u32,
}

impl Progress {
    pub(crate) const fn is_done(self) -> bool {
        self.built == self.total
    }
}

/// A segment in the making: first all rows, then the graph over them.
///
/// Holds the vectors twice while it builds: in full, and as the graph stores them.
#[derive(Debug)]
pub(crate) struct SegmentBuilder {
    spec: SegmentSpec,
    rows: RowsBuilder,
    vectors: VectorsBuilder,
    /// The largest magnitude among all numbers.
    largest: f32,
    graph: Option<UsearchBuilder>,
    built: u32,
    /// The row that is being added.
    vector: Vec<f32>,
}

impl SegmentBuilder {
    /// A segment without rows, with room for the vectors of `capacity` of them.
    pub(crate) fn new(spec: SegmentSpec, capacity: usize) -> Self {
        Self {
            spec,
            rows: RowsBuilder::default(),
            vectors: VectorsBuilder::new(spec, capacity),
            largest: 0.0,
            graph: None,
            built: 0,
            vector: Vec::new(),
        }
    }

    /// Appends a row whose vector passed [`check_vector`](crate::check_vector).
    ///
    /// # Panics
    /// If the key is not above the last one, the vector is none of this index, or the graph was begun.
    pub(crate) fn push(&mut self, key: &[u8], stamp: Stamp, vector: &[f32]) {
        assert!(self.graph.is_none(), "all rows come before the graph");
        let checked = crate::check_vector(self.spec.dimensions, self.spec.metric, vector);
        assert_eq!(checked, Ok(()), "vectors are checked before they are logged");
        self.rows.push(key, stamp);
        self.vectors.push(vector);
        self.largest = self.largest.max(largest(vector));
    }

    /// Rows pushed so far.
    pub(crate) const fn len(&self) -> u32 {
        self.rows.len()
    }

    /// Adds up to `rows` more rows to the graph: 0.1 to 1 ms each, growing with the logarithm of their
    /// number. The first call also takes memory for all of them.
    ///
    /// # Errors
    /// `Graph` if the library refuses, for want of memory for example; the builder is of no use then.
    pub(crate) fn build_some(&mut self, rows: u32) -> Result<Progress, SegmentError> {
        let total = self.rows.len();
        let mut graph = match self.graph.take() {
            Some(graph) => graph,
            None => UsearchGraph::builder(Shape {
                spec: self.spec,
                rows: total,
                largest: self.largest,
            })?,
        };
        let until = self.built.saturating_add(rows).min(total);
        while self.built < until {
            self.vectors.read(self.built, &mut self.vector);
            graph.add(self.built, &self.vector)?;
            self.built += 1;
        }
        self.graph = Some(graph);
        Ok(Progress { built: self.built, total })
    }

    /// Completes the files, after building what of the graph is still missing.
    ///
    /// # Errors
    /// As [`build_some`](Self::build_some).
    pub(crate) fn finish(mut self) -> Result<SegmentBytes, SegmentError> {
        let progress = self.build_some(u32::MAX)?;
        assert!(progress.is_done(), "the graph has every row");
        let (mut rows, identity) = self.rows.finish();
        let header = Header { spec: self.spec, rows: progress.total, identity };
        let mut vectors = self.vectors.finish();
        let mut graph = vec![0; HEADER_BYTES];
        if let Some(builder) = self.graph {
            builder.save(&mut graph)?;
        }
        header.seal(Part::Rows, &mut rows);
        header.seal(Part::Vectors, &mut vectors);
        header.seal(Part::Graph, &mut graph);
        Ok(SegmentBytes { rows, vectors, graph })
    }
}
