//! Equally long rows of numbers in blocks of memory.

/// Numbers per block, about: 256 KiB.
const BLOCK_NUMBERS: usize = 64 << 10;

/// A matrix that grows by whole blocks. One slice for all rows would be copied whole each time it
/// outgrows its allocation, which stalls the core for as long as copying gigabytes takes.
#[derive(Debug)]
pub(crate) struct Blocks {
    stride: usize,
    rows_per_block: usize,
    rows: usize,
    memory: Vec<Vec<f32>>,
}

impl Blocks {
    /// A matrix without rows, of `stride` numbers each.
    pub(crate) fn new(stride: usize) -> Self {
        assert!(stride > 0, "a vector has at least one number");
        Self {
            stride,
            rows_per_block: (BLOCK_NUMBERS / stride).max(1),
            rows: 0,
            memory: Vec::new(),
        }
    }

    pub(crate) const fn stride(&self) -> usize {
        self.stride
    }

    /// Memory that the rows take: the room behind the last one was never touched.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.rows * self.stride * size_of::<f32>()
    }

    pub(crate) fn push(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.stride, "vectors of one index are of one length");
        if self.rows == self.memory.len() * self.rows_per_block {
            self.memory.push(Vec::with_capacity(self.rows_per_block * self.stride));
        }
        if let Some(block) = self.memory.last_mut() {
            block.extend_from_slice(row);
        }
        self.rows += 1;
    }

    pub(crate) fn get(&self, row: usize) -> Option<&[f32]> {
        let start = row % self.rows_per_block * self.stride;
        let block = self.memory.get(row / self.rows_per_block)?;
        block.get(start..start + self.stride)
    }

    pub(crate) fn set(&mut self, row: usize, numbers: &[f32]) {
        let start = row % self.rows_per_block * self.stride;
        let block = self.memory.get_mut(row / self.rows_per_block);
        let slot = block.and_then(|block| block.get_mut(start..start + self.stride));
        assert!(slot.is_some(), "row {row} of {} is there", self.rows);
        if let Some(slot) = slot {
            slot.copy_from_slice(numbers);
        }
    }

    /// Puts the last row in the place of `row`, and forgets the last.
    pub(crate) fn swap_remove(&mut self, row: usize) {
        assert!(row < self.rows, "row {row} of {} is there", self.rows);
        let last = self.rows - 1;
        if row != last
            && let Some(moved) = self.get(last).map(<[f32]>::to_vec)
        {
            self.set(row, &moved);
        }
        self.rows = last;
        if let Some(block) = self.memory.last_mut() {
            block.truncate(block.len() - self.stride);
            if block.is_empty() {
                self.memory.pop();
            }
        }
    }

    /// All rows in order, several one behind the other in each slice.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.memory.iter().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_growth_and_removal_over_block_bounds() {
        // Two rows per block.
        let stride = BLOCK_NUMBERS / 2;
        let mut blocks = Blocks::new(stride);
        for value in 0..5_u8 {
            blocks.push(&vec![f32::from(value); stride]);
        }
        blocks.swap_remove(1);
        blocks.swap_remove(3);
        let firsts = |blocks: &Blocks| {
            let rows = blocks.iter().flat_map(|rows| rows.chunks_exact(stride));
            rows.map(|row| row[0]).collect::<Vec<_>>()
        };
        assert_eq!(firsts(&blocks), [0.0, 4.0, 2.0]);
        assert_eq!(blocks.get(3), None);
        assert_eq!(blocks.memory_bytes(), 3 * stride * 4);
        blocks.set(2, &vec![9.0; stride]);
        blocks.swap_remove(0);
        assert_eq!(firsts(&blocks), [9.0, 4.0]);
        blocks.swap_remove(0);
        blocks.swap_remove(0);
        assert_eq!((firsts(&blocks), blocks.memory_bytes()), (vec![], 0));
    }
}
