//! Exact search of a segment: every row that counts is measured.

use super::{
    Segment,
    error::SegmentError,
    nearest::{Hit, Nearest},
};
use crate::{check_vector, kernel::Probe};
use roaring::RoaringBitmap;

/// Rows that are measured at once: their distances stay in the nearest cache.
const BLOCK_ROWS: usize = 256;

impl Segment {
    /// The `k` nearest of some slots, nearest first.
    ///
    /// # Errors
    /// `Query` if the vector is none of this index.
    ///
    /// # Panics
    /// If there is no such slot.
    pub(crate) fn exact(
        &self,
        vector: &[f32],
        slots: impl Iterator<Item = u32>,
        k: usize,
    ) -> Result<Vec<Hit>, SegmentError> {
        check_vector(self.spec.dimensions, self.spec.metric, vector)?;
        let probe = Probe::new(self.spec.metric, vector);
        let mut nearest = Nearest::new(k, self.rows.len());
        let matrix = self.vectors.matrix();
        for slot in slots {
            nearest.show(Hit { slot, distance: matrix.distance(&probe, slot) });
        }
        Ok(nearest.finish())
    }

    /// The `k` nearest of all slots but the `dead`, nearest first.
    ///
    /// # Errors
    /// `Query` if the vector is none of this index.
    pub(crate) fn exact_except(
        &self,
        vector: &[f32],
        dead: &RoaringBitmap,
        k: usize,
    ) -> Result<Vec<Hit>, SegmentError> {
        check_vector(self.spec.dimensions, self.spec.metric, vector)?;
        Ok(self.scan(vector, k, |slot| !dead.contains(slot)))
    }

    /// The `k` nearest to a checked vector of all that `accept` takes. It is asked for those slots alone
    /// that are nearer than what was found before.
    pub(super) fn scan(
        &self,
        vector: &[f32],
        k: usize,
        mut accept: impl FnMut(u32) -> bool,
    ) -> Vec<Hit> {
        let probe = Probe::new(self.spec.metric, vector);
        let mut nearest = Nearest::new(k, self.rows.len());
        let mut distances = [0.0; BLOCK_ROWS];
        let mut slot = 0;
        let matrix = self.vectors.matrix();
        let mut norms = matrix.norms.chunks(BLOCK_ROWS);
        for rows in matrix.all.chunks(BLOCK_ROWS * self.spec.width()) {
            let count = rows.len() / self.spec.width();
            let distances = distances.get_mut(..count).unwrap_or_default();
            probe.distances(rows, norms.next().unwrap_or_default(), distances);
            for distance in distances {
                let hit = Hit { slot, distance: *distance };
                if nearest.takes(hit) && accept(slot) {
                    nearest.show(hit);
                }
                slot += 1;
            }
        }
        assert_eq!(slot, self.len(), "every row was measured");
        nearest.finish()
    }
}
