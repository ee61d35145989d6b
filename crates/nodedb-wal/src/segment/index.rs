//! Where to start reading within a segment.

use crate::format::{HEADER_PAGE, in_memory};
use nodedb_types::Lsn;

/// Bytes of log between two entries, at least.
pub(crate) const STRIDE: u64 = 64 << 10;

/// A batch: the LSN it starts with, or for one without records the next to come, and its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    first_lsn: Lsn,
    offset: u64,
}

/// The first batch that starts in each [`STRIDE`] of a segment. In memory only: recovery reads every
/// batch anyway and the writer knows where it puts one, so there is nothing on disk that could disagree
/// with the log.
#[derive(Clone, Debug)]
pub(crate) struct SparseIndex {
    // Ascending in both fields.
    entries: Vec<Entry>,
}

impl SparseIndex {
    /// The index of a segment whose first record is or will be `first_lsn`: reading starts at its link.
    pub(crate) fn new(first_lsn: Lsn) -> Self {
        Self { entries: vec![Entry { first_lsn, offset: HEADER_PAGE }] }
    }

    /// The same for a segment that is about to be written, with memory for all of it: a commit allocates
    /// nothing.
    pub(crate) fn for_writer(first_lsn: Lsn, segment_bytes: u64) -> Self {
        let mut entries = Vec::with_capacity(in_memory(segment_bytes.div_ceil(STRIDE)));
        entries.push(Entry { first_lsn, offset: HEADER_PAGE });
        Self { entries }
    }

    /// Takes note of a batch behind all noted before.
    pub(crate) fn note(&mut self, first_lsn: Lsn, offset: u64) {
        let Some(last) = self.entries.last() else {
            return;
        };
        assert!(first_lsn >= last.first_lsn, "batches are noted in the order of their records");
        assert!(offset >= last.offset, "batches are noted in the order of their places");
        if offset / STRIDE > last.offset / STRIDE {
            self.entries.push(Entry { first_lsn, offset });
        }
    }

    /// Where to start reading to find a record: at its batch or before.
    pub(crate) fn start_for(&self, lsn: Lsn) -> u64 {
        // The batch that holds the record starts at or below it, and every batch behind that one
        // above it.
        let after = self.entries.partition_point(|entry| entry.first_lsn <= lsn);
        let found = after.checked_sub(1).and_then(|index| self.entries.get(index));
        found.map_or(HEADER_PAGE, |entry| entry.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsn(value: u64) -> Lsn {
        Lsn::from_u64(value).expect("not 0")
    }

    /// The smallest batches there are, over the largest segment there is.
    #[test]
    fn an_index_never_has_more_entries_than_strides() {
        let segment_bytes = nodedb_types::limits::SEGMENT_BYTES_MAX;
        let mut index = SparseIndex::for_writer(lsn(1), segment_bytes);
        let room = index.entries.capacity();
        let offsets = (HEADER_PAGE..segment_bytes).step_by(512);
        for (number, offset) in offsets.enumerate().skip(1) {
            index.note(lsn(number as u64), offset);
        }
        assert_eq!(index.entries.len() as u64, segment_bytes / STRIDE);
        assert_eq!(index.entries.capacity(), room);
    }

    #[test]
    fn the_start_is_the_last_entry_at_or_below_the_record() {
        let mut index = SparseIndex::new(lsn(10));
        index.note(lsn(10), 4608);
        index.note(lsn(20), STRIDE + 512);
        index.note(lsn(30), STRIDE + 1024);
        index.note(lsn(40), 5 * STRIDE);
        for (wanted, offset) in [
            (10, HEADER_PAGE),
            (19, HEADER_PAGE),
            (20, STRIDE + 512),
            (39, STRIDE + 512),
            (40, 5 * STRIDE),
            (400, 5 * STRIDE),
        ] {
            assert_eq!(index.start_for(lsn(wanted)), offset, "{wanted}");
        }
    }
}
