//! The vectors of a segment in full, row behind row, and their lengths.

use super::{
    header::{Checked, Header, Part},
    slot::position,
    spec::SegmentSpec,
    view::numbers,
};
use crate::kernel::{self, Probe};
use nodedb_engine::{EngineError, Metric};

const NUMBER_BYTES: usize = size_of::<f32>();

/// A file of vectors on its way to disk, of which only the lengths of the vectors are kept.
#[derive(Debug)]
pub(super) struct VectorsBuilder {
    spec: SegmentSpec,
    norms: Vec<u8>,
    /// Of what was handed out.
    checksum: u32,
    rows: u32,
}

impl VectorsBuilder {
    /// Appends the header to `file`, and everything else comes behind it.
    pub(super) fn begin(header: &Header, file: &mut Vec<u8>) -> Self {
        let spec = header.spec;
        let norms = usize::from(spec.metric == Metric::Cosine);
        let numbers = position(header.rows) * (spec.width() + norms);
        let start = file.len();
        file.extend_from_slice(&header.encode(Part::Vectors, (numbers * NUMBER_BYTES) as u64));
        let checksum = crc32c::crc32c(file.get(start..).unwrap_or_default());
        Self { spec, norms: Vec::new(), checksum, rows: 0 }
    }

    /// Appends a vector.
    pub(super) fn push(&mut self, vector: &[f32], file: &mut Vec<u8>) {
        let start = file.len();
        file.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
        self.add_checksum(file, start);
        self.rows += 1;
        if self.spec.metric == Metric::Cosine {
            self.norms.extend_from_slice(&kernel::norm(vector).to_le_bytes());
        }
    }

    /// Vectors that were appended.
    pub(super) const fn rows(&self) -> u32 {
        self.rows
    }

    /// Appends what comes behind the last vector.
    pub(super) fn end(&mut self, file: &mut Vec<u8>) {
        let start = file.len();
        file.append(&mut self.norms);
        self.add_checksum(file, start);
        file.extend_from_slice(&self.checksum.to_le_bytes());
    }

    fn add_checksum(&mut self, file: &[u8], start: usize) {
        let bytes = file.get(start..).unwrap_or_default();
        self.checksum = crc32c::crc32c_append(self.checksum, bytes);
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
