//! How numbers are brought into the range in which a graph computes.
//!
//! A graph only orders candidates, so it may measure another distance as long as the order is the
//! same: vectors of unit length under cosine, numbers up to 1 under the others. Its sums of `f32` or
//! `i32` then neither overflow nor vanish, whatever was stored.

use super::{graph::Shape, spec::SegmentSpec};
use nodedb_engine::{Metric, VectorStorage};

/// The largest number of a code of one byte.
const CODE_MAX: f64 = 127.0;
/// Bound of what a query under L2 may have in a graph whose rows have 1 at most. Squares of it are far
/// from overflowing, and it is so far away from every row that clipping to it changes no order that
/// `f32` could tell.
const FAR: f64 = 1e12;

/// One row of so many may be an outlier.
const OUTLIERS: usize = 64;
/// Outliers reach so many times as far as the others: what is less is no reason to clip.
const OUTLYING: f32 = 2.0;

/// The scale of one graph.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Scale {
    metric: Metric,
    storage: VectorStorage,
    /// What every number of every row is multiplied with under L2 and dot.
    factor: f64,
}

impl Scale {
    pub(super) fn of(shape: Shape) -> Self {
        let Shape { spec, reach, .. } = shape;
        Self::new(spec.metric, spec.storage, factor(spec.storage, reach))
    }

    /// A scale with a factor that was stored.
    pub(super) const fn new(metric: Metric, storage: VectorStorage, factor: f64) -> Self {
        Self { metric, storage, factor }
    }

    pub(super) const fn factor(&self) -> f64 {
        self.factor
    }

    pub(super) const fn storage(&self) -> VectorStorage {
        self.storage
    }

    /// A row as the graph holds it, for storage of numbers.
    pub(super) fn row(&self, vector: &[f32], out: &mut Vec<f32>) {
        let factor = self.row_factor(vector);
        out.clear();
        out.extend(vector.iter().map(|x| narrow(f64::from(*x) * factor)));
    }

    /// A row as the graph holds it, for storage of codes.
    pub(super) fn row_codes(&self, vector: &[f32], out: &mut Vec<i8>) {
        let factor = self.row_factor(vector);
        out.clear();
        out.extend(vector.iter().map(|x| code(f64::from(*x) * factor)));
    }

    /// A query as the graph compares it with rows, for storage of numbers.
    pub(super) fn query(&self, vector: &[f32]) -> Vec<f32> {
        let factor = self.query_factor(vector);
        let scaled = vector.iter().map(|x| (f64::from(*x) * factor).clamp(-FAR, FAR));
        scaled.map(narrow).collect()
    }

    /// A query as the graph compares it with rows, for storage of codes.
    pub(super) fn query_codes(&self, vector: &[f32]) -> Vec<i8> {
        let factor = self.query_factor(vector);
        vector.iter().map(|x| code(f64::from(*x) * factor)).collect()
    }

    fn row_factor(&self, vector: &[f32]) -> f64 {
        match self.metric {
            // A vector's own largest number uses the codes best: angles do not depend on lengths.
            Metric::Cosine if self.storage == VectorStorage::I8 => {
                factor(self.storage, largest(vector))
            }
            Metric::Cosine => 1.0 / f64::from(crate::kernel::norm(vector)),
            Metric::L2 | Metric::Dot => self.factor,
        }
    }

    fn query_factor(&self, vector: &[f32]) -> f64 {
        match self.metric {
            Metric::Cosine | Metric::L2 => self.row_factor(vector),
            // The order of products does not depend on the length of the query.
            Metric::Dot => factor(self.storage, largest(vector)),
        }
    }
}

/// How large the numbers of rows are, row by row.
#[derive(Debug)]
pub(super) struct Reach {
    largest: f32,
    /// The largest number of each row, where codes are scaled by them all.
    of_rows: Option<Vec<f32>>,
}

impl Reach {
    pub(super) fn new(spec: &SegmentSpec) -> Self {
        let codes = spec.storage == VectorStorage::I8 && spec.metric != Metric::Cosine;
        Self { largest: 0.0, of_rows: codes.then(Vec::new) }
    }

    pub(super) fn add(&mut self, vector: &[f32]) {
        let largest = largest(vector);
        self.largest = self.largest.max(largest);
        if let Some(rows) = &mut self.of_rows {
            rows.push(largest);
        }
    }

    /// The magnitude that codes must reach. A few rows far beyond all others are clipped to it rather
    /// than make zeros of all others: they are still the farthest, or those with the largest products,
    /// and what is found is measured in full.
    pub(super) fn end(self) -> f32 {
        let Some(mut rows) = self.of_rows.filter(|rows| !rows.is_empty()) else {
            return self.largest;
        };
        let place = rows.len() - 1 - rows.len() / OUTLIERS;
        let (_, usual, _) = rows.select_nth_unstable_by(place, f32::total_cmp);
        let bound = *usual * OUTLYING;
        // Where nearly all rows are zeros, the few others are what there is to tell apart.
        if bound > 0.0 { self.largest.min(bound) } else { self.largest }
    }
}

/// The largest magnitude among the numbers of a vector.
pub(super) fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(0.0, |largest, x| largest.max(x.abs()))
}

/// What brings numbers up to `largest` into the range of a storage.
fn factor(storage: VectorStorage, largest: f32) -> f64 {
    let range = match storage {
        VectorStorage::F32 | VectorStorage::Bf16 => 1.0,
        VectorStorage::I8 => CODE_MAX,
    };
    // All zeros stay what they are.
    if largest > 0.0 { range / f64::from(largest) } else { 1.0 }
}

#[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest number")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range of a code before")]
fn code(value: f64) -> i8 {
    value.round().clamp(-CODE_MAX, CODE_MAX) as i8
}
