//! Which rows a document is stored in, and when they are packed.

use crate::{Begin, weight::Weight};

/// Rows that are added before the latest ones are packed.
const TAIL_MAX: usize = 64;
/// Rows at which they are packed even right after a load. There are 255 slots.
const ROWS_MAX: usize = 192;
/// What an update takes beside its operations, about: its header, peers and containers.
const FRAME_BYTES: usize = 80;
/// A replaced row above this size is removed at once; a smaller one waits to be written again.
const GARBAGE_BYTES_MAX: usize = 4 << 10;

/// The rows of a document in the order in which they are imported.
#[derive(Debug)]
pub(crate) struct Rows {
    list: Vec<Row>,
    used: u8,
    /// Number of rows at which packing is tried.
    due: usize,
    /// Bytes of all rows.
    bytes: usize,
}

#[derive(Debug)]
struct Row {
    slot: u8,
    bytes: usize,
    begin: Begin,
    /// What it takes in memory.
    memory: Weight,
}

impl Row {
    /// What it adds to a row that it is packed into, about.
    fn weight(&self) -> usize {
        self.bytes.saturating_sub(FRAME_BYTES).max(1)
    }
}

impl Default for Rows {
    fn default() -> Self {
        Self::used(0)
    }
}

impl Rows {
    /// No rows, in a document of which so many slots may have been written.
    pub(crate) const fn used(used: u8) -> Self {
        Self { list: Vec::new(), used, due: TAIL_MAX, bytes: 0 }
    }

    /// Ends a load: what is there was packed when it was worth it.
    pub(crate) fn loaded(&mut self) {
        self.due = (self.list.len() + TAIL_MAX).min(ROWS_MAX);
    }

    pub(crate) fn push(&mut self, slot: u8, bytes: usize, begin: Begin, memory: Weight) {
        assert!(self.list.iter().all(|row| row.slot != slot), "a slot holds one row");
        self.list.push(Row { slot, bytes, begin, memory });
        self.used = self.used.max(slot + 1);
        self.bytes += bytes;
    }

    /// The lowest slot that no row has; `None` if all are taken.
    pub(crate) fn free_slot(&self) -> Option<u8> {
        let mut taken = [false; 256];
        for row in &self.list {
            taken[usize::from(row.slot)] = true;
        }
        (0..u8::MAX).find(|slot| !taken[usize::from(*slot)])
    }

    /// The first of the rows that should be packed now.
    pub(crate) fn due(&self) -> Option<usize> {
        if self.list.len() < self.due {
            return None;
        }
        let mut first = self.list.len();
        let mut weight = 0_usize;
        // Sizes fall geometrically from what stays, so few rows stay and each byte moves a few times.
        for (place, row) in self.list.iter().enumerate().rev() {
            if weight > 0 && row.weight() > weight.saturating_mul(2) {
                break;
            }
            first = place;
            weight += row.weight();
        }
        (self.list.len() - first > 1).then_some(first)
    }

    /// Where the rows from `first` on begin.
    pub(crate) fn begin_of(&self, first: usize) -> Begin {
        let mut begin = Begin::default();
        for row in &self.list[first..] {
            begin.lower(&row.begin);
        }
        begin
    }

    /// Puts one row in the place of those from `first` on. Answers the slots to be removed.
    pub(crate) fn replace(
        &mut self,
        first: usize,
        slot: u8,
        bytes: usize,
        mut memory: Weight,
    ) -> Vec<u8> {
        let begin = self.begin_of(first);
        let replaced = self.list.split_off(first);
        self.bytes -= replaced.iter().map(|row| row.bytes).sum::<usize>();
        let large = replaced.iter().filter(|row| row.bytes > GARBAGE_BYTES_MAX);
        let freed = large.map(|row| row.slot).collect();
        if first > 0 {
            // The history that it has joined says nothing of the pieces that the texts are in.
            memory.texts = replaced.iter().fold(0, |all, row| row.memory.texts.saturating_add(all));
        }
        self.push(slot, bytes, begin, memory);
        self.due = self.list.len() + TAIL_MAX;
        freed
    }

    /// Tries again later.
    pub(crate) fn postpone(&mut self) {
        self.due = self.list.len() + TAIL_MAX / 2;
    }

    pub(crate) fn slots(&self) -> Vec<u8> {
        self.list.iter().map(|row| row.slot).collect()
    }

    pub(crate) const fn used_slots(&self) -> u8 {
        self.used
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What all rows take in memory.
    pub(crate) fn weight(&self) -> Weight {
        let mut weight = Weight::default();
        for row in &self.list {
            weight += row.memory;
        }
        weight
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.list.iter().map(|row| size_of::<Row>() + row.begin.memory_bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Merges of so many bytes each, packing whenever it is due, to 10 bytes a row that is replaced.
    fn grow(rows: &mut Rows, merges: usize, bytes: usize) -> (usize, usize) {
        let (mut written, mut most) = (0, 0);
        for _ in 0..merges {
            let slot = rows.free_slot().expect("a free slot");
            rows.push(slot, bytes, Begin::default(), Weight::default());
            if let Some(first) = rows.due() {
                let weight: usize = rows.list[first..].iter().map(Row::weight).sum();
                let slot = rows.free_slot().expect("a free slot");
                rows.replace(first, slot, weight + FRAME_BYTES, Weight::default());
                written += weight;
            }
            most = most.max(rows.list.len());
        }
        (written, most)
    }

    #[test]
    fn rows_stay_few_and_bytes_are_written_again_seldom() {
        let mut rows = Rows::default();
        let (written, most) = grow(&mut rows, 200_000, FRAME_BYTES + 5);
        assert!(most <= TAIL_MAX + 16, "{most} rows");
        assert!(written <= 200_000 * 5 * 12, "{written} bytes were written again");
        assert!(usize::from(rows.used) <= most + 2, "slots are written again: {}", rows.used);
    }

    #[test]
    fn a_large_row_is_packed_only_with_about_as_much_again() {
        let mut rows = Rows::default();
        rows.push(0, 1 << 20, Begin::default(), Weight::default());
        grow(&mut rows, 500, FRAME_BYTES + 5);
        assert_eq!(rows.list[0].bytes, 1 << 20, "it stays");
        rows.push(rows.free_slot().expect("free"), 600 << 10, Begin::default(), Weight::default());
        rows.due = 0;
        assert_eq!(rows.due(), Some(0), "more than half of it follows");
        assert_eq!(
            rows.replace(0, 200, 1700 << 10, Weight::default()).len(),
            2,
            "large ones are removed at once"
        );
        assert_eq!((rows.slots(), rows.used_slots()), (vec![200], 201));
    }

    #[test]
    fn there_are_255_slots() {
        let mut rows = Rows::default();
        for _ in 0..255 {
            let slot = rows.free_slot().expect("a free slot");
            rows.push(slot, 1, Begin::default(), Weight::default());
        }
        assert_eq!((rows.free_slot(), rows.used_slots()), (None, 255));
    }
}
