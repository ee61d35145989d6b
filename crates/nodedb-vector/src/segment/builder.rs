//! Making a segment, in slices.

use super::{
    error::SegmentError,
    graph::{Shape, VectorIndex, VectorIndexBuilder},
    header::{HEADER_BYTES, Header, Part},
    rows::RowsBuilder,
    scale::Reach,
    spec::SegmentSpec,
    usearch::{UsearchBuilder, UsearchGraph, save_none},
    vectors::VectorsBuilder,
};
use nodedb_types::Stamp;

/// Two of the files of a segment, complete. The third, of vectors, was handed out before.
#[derive(Debug)]
pub(crate) struct KeysAndGraph {
    /// Keys and stamps.
    pub(crate) rows: Vec<u8>,
    /// The approximate index, or that there is none.
    pub(crate) graph: Vec<u8>,
}

/// A segment in the making: first all keys, then all vectors, then the graph over them, which a flat
/// segment does without.
///
/// Holds the keys, and of the vectors only what the graph stores of them: the file of vectors is handed
/// out piece by piece as they come.
#[derive(Debug)]
pub(crate) struct SegmentBuilder {
    spec: SegmentSpec,
    rows: RowsBuilder,
    vectors: Option<VectorsBuilder>,
    reach: Option<Reach>,
    graph: Option<UsearchBuilder>,
    built: u32,
}

impl SegmentBuilder {
    /// A segment without rows.
    pub(crate) fn new(spec: SegmentSpec) -> Self {
        let reach = Some(Reach::new(&spec));
        Self { spec, rows: RowsBuilder::default(), vectors: None, reach, graph: None, built: 0 }
    }

    /// Appends a key.
    ///
    /// # Panics
    /// If it is not above the last one, or a vector has come.
    pub(crate) fn push_key(&mut self, key: &[u8], stamp: Stamp) {
        assert!(self.vectors.is_none(), "all keys come before the first vector");
        self.rows.push(key, stamp);
    }

    /// Keys pushed so far.
    pub(crate) const fn len(&self) -> u32 {
        self.rows.len()
    }

    fn header(&self) -> Header {
        Header { spec: self.spec, rows: self.rows.len(), identity: self.rows.identity() }
    }

    /// Takes the vector of the next key, which passed [`check_vector`](crate::check_vector), and appends
    /// to `file` what of the file of vectors is known by it.
    ///
    /// # Panics
    /// If the vector is none of this index.
    pub(crate) fn push_vector(&mut self, vector: &[f32], file: &mut Vec<u8>) {
        let checked = crate::check_vector(self.spec.dimensions, self.spec.metric, vector);
        assert_eq!(checked, Ok(()), "vectors are checked before they are logged");
        let mut vectors = self.take_vectors(file);
        vectors.push(vector, file);
        self.vectors = Some(vectors);
        if let Some(reach) = &mut self.reach {
            reach.add(vector);
        }
    }

    /// Appends the end of the file of vectors.
    ///
    /// # Panics
    /// If a key has no vector.
    pub(crate) fn end_vectors(&mut self, file: &mut Vec<u8>) {
        let mut vectors = self.take_vectors(file);
        assert_eq!(vectors.rows(), self.rows.len(), "each key has its vector");
        vectors.end(file);
        self.vectors = Some(vectors);
    }

    fn take_vectors(&mut self, file: &mut Vec<u8>) -> VectorsBuilder {
        match self.vectors.take() {
            Some(vectors) => vectors,
            None => VectorsBuilder::begin(&self.header(), file),
        }
    }

    /// Adds the next row to the graph: 0.1 to 1 ms, growing with the logarithm of their number. The
    /// first call also takes memory for all of them.
    ///
    /// # Errors
    /// `Graph` if the library refuses, for want of memory for example; the builder is of no use then.
    pub(crate) fn add(&mut self, vector: &[f32]) -> Result<(), SegmentError> {
        let mut graph = if let Some(graph) = self.graph.take() {
            graph
        } else {
            let reach = self.reach.take().map_or(0.0, Reach::end);
            let shape = Shape { spec: self.spec, rows: self.rows.len(), reach };
            UsearchGraph::builder(shape)?
        };
        graph.add(self.built, vector)?;
        self.built += 1;
        self.graph = Some(graph);
        Ok(())
    }

    /// Completes the files.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// # Panics
    /// If the graph has some rows and not all.
    pub(crate) fn finish(self) -> Result<KeysAndGraph, SegmentError> {
        let header = self.header();
        let mut graph = vec![0; HEADER_BYTES];
        match self.graph {
            None => save_none(&mut graph),
            Some(builder) => {
                assert_eq!(self.built, header.rows, "the graph has every row");
                builder.save(&mut graph)?;
            }
        }
        header.seal(Part::Graph, &mut graph);
        let mut rows = self.rows.finish();
        header.seal(Part::Rows, &mut rows);
        Ok(KeysAndGraph { rows, graph })
    }
}
