//! The vectors of a segment in full, row behind row, and their lengths.

use super::{
    header::{Checked, HEADER_BYTES},
    slot::position,
    spec::SegmentSpec,
    view::numbers,
};
use crate::kernel::{self, Probe};
use nodedb_engine::{EngineError, Metric};

const NUMBER_BYTES: usize = size_of::<f32>();

/// What a file of vectors is made from. Holds them as they will stand in the file, once.
#[derive(Debug)]
pub(super) struct VectorsBuilder {
    spec: SegmentSpec,
    file: Vec<u8>,
    norms: Vec<u8>,
}

impl VectorsBuilder {
    pub(super) fn new(spec: SegmentSpec, capacity: usize) -> Self {
        let mut file = Vec::with_capacity(HEADER_BYTES + capacity * spec.width() * NUMBER_BYTES);
        file.resize(HEADER_BYTES, 0);
        Self { spec, file, norms: Vec::new() }
    }

    pub(super) fn push(&mut self, vector: &[f32]) {
        self.file.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
        if self.spec.metric == Metric::Cosine {
            self.norms.extend_from_slice(&kernel::norm(vector).to_le_bytes());
        }
    }

    /// The vector of a row, into `out`.
    pub(super) fn read(&self, row: u32, out: &mut Vec<f32>) {
        let bytes = self.spec.width() * NUMBER_BYTES;
        let start = HEADER_BYTES + position(row) * bytes;
        let row = self.file.get(start..start + bytes);
        let (numbers, _) = row.unwrap_or_default().as_chunks::<NUMBER_BYTES>();
        out.clear();
        out.extend(numbers.iter().map(|x| f32::from_le_bytes(*x)));
        assert_eq!(out.len(), self.spec.width(), "the row was pushed");
    }

    /// A file without its header: room for it, then the body.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.file.append(&mut self.norms);
        self.file
    }
}

/// The checked file.
#[derive(Debug)]
pub(super) struct Vectors {
    checked: Checked,
    width: usize,
    /// Numbers of all vectors, and where the norms begin.
    numbers: usize,
}

impl Vectors {
    pub(super) fn new(checked: Checked) -> Result<Self, EngineError> {
        let spec = checked.header.spec;
        let rows = position(checked.header.rows);
        let norms = if spec.metric == Metric::Cosine { rows } else { 0 };
        let vectors = rows.checked_mul(spec.width());
        let bytes = vectors.and_then(|vectors| vectors.checked_add(norms));
        let bytes = bytes.and_then(|numbers| numbers.checked_mul(NUMBER_BYTES));
        match vectors {
            Some(numbers) if bytes == Some(checked.body().len()) => {
                Ok(Self { checked, width: spec.width(), numbers })
            }
            _ => Err(checked.corrupt("its length is not that of its rows")),
        }
    }

    pub(super) fn checked(&self) -> &Checked {
        &self.checked
    }

    /// The numbers where they lie, looked up once for many rows.
    pub(super) fn matrix(&self) -> Matrix<'_> {
        let (vectors, norms) = self.checked.body().split_at(self.numbers * NUMBER_BYTES);
        Matrix { all: numbers(vectors), norms: numbers(norms), width: self.width }
    }
}

/// The numbers of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<'a> {
    /// All vectors, row behind row.
    pub(super) all: &'a [f32],
    /// Lengths of the vectors under cosine; empty under others.
    pub(super) norms: &'a [f32],
    width: usize,
}

impl<'a> Matrix<'a> {
    #[expect(clippy::expect_used, reason = "callers hand in slots below the count of rows")]
    pub(super) fn row(&self, slot: u32) -> &'a [f32] {
        let start = position(slot) * self.width;
        self.all.get(start..start + self.width).expect("a slot is below the count of rows")
    }

    /// Distance of the vector of a slot.
    #[inline]
    pub(super) fn distance(&self, probe: &Probe<'_>, slot: u32) -> f32 {
        let norm = self.norms.get(position(slot)).copied();
        probe.distance(self.row(slot), norm.unwrap_or_default())
    }
}
