//! Where a memtable keeps the bytes of its rows.
//!
//! Rows are made by the threads of callers and let go by the thread that flushes, hundreds of thousands at a
//! time. One by one they would take the allocator's locks from everybody who writes meanwhile: with chunks
//! there is one release for many rows, and the caller's own memory goes as soon as the row is kept.

use bytes::{Bytes, BytesMut};

/// The size of the first chunk, so that a memtable of few rows is small.
const CHUNK_MIN: usize = 1 << 10;
/// The size of a chunk at most. A reader who holds a value holds its chunk: about what a block of a table is.
const CHUNK_MAX: usize = 16 << 10;
/// The largest piece that is copied; a larger one stays where it is, and wastes no end of a chunk.
const PIECE_MAX: usize = 4 << 10;

/// Chunks that are filled from front to back. The pieces keep their chunk; the arena only the one it fills.
#[derive(Debug, Default)]
pub(super) struct Arena {
    chunk: BytesMut,
    bytes: usize,
}

impl Arena {
    /// Keeps a copy, or a large piece as it is.
    pub(super) fn keep(&mut self, piece: Bytes) -> Bytes {
        if piece.len() > PIECE_MAX {
            self.bytes += piece.len();
            return piece;
        }
        if self.chunk.capacity() < piece.len() {
            // The end of the chunk is lost, and counted.
            self.bytes += self.chunk.capacity();
            let size = self.bytes.clamp(CHUNK_MIN, CHUNK_MAX).max(piece.len());
            self.chunk = BytesMut::with_capacity(size);
        }
        let room = self.chunk.capacity();
        self.chunk.extend_from_slice(&piece);
        let kept = self.chunk.split().freeze();
        assert!(self.chunk.capacity() + kept.len() <= room, "a chunk is filled once, in place");
        self.bytes += kept.len();
        kept
    }

    /// How much was kept, with what chunks lost at their ends. It never falls: what is pruned of a chunk
    /// leaves memory with the last of its rows.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_share_chunks_and_large_ones_stay_where_they_are() {
        let mut arena = Arena::default();
        let pieces: Vec<_> = (0..1000_usize)
            .map(|at| Bytes::from(vec![at.to_le_bytes()[0]; at % 300]))
            .chain([Bytes::from(vec![7; PIECE_MAX]), Bytes::new()])
            .collect();
        let kept: Vec<_> = pieces.iter().map(|piece| arena.keep(piece.clone())).collect();
        assert_eq!(kept, pieces, "what was kept first is whole at the end");
        let sum: usize = pieces.iter().map(Bytes::len).sum();
        assert!((sum..sum + sum / 4 + CHUNK_MAX).contains(&arena.bytes()), "{}", arena.bytes());

        let large = Bytes::from(vec![1; PIECE_MAX + 1]);
        let before = arena.bytes();
        assert_eq!(arena.keep(large.clone()).as_ptr(), large.as_ptr());
        assert_eq!(arena.bytes(), before + large.len());
    }

    #[test]
    fn the_first_piece_may_be_larger_than_the_first_chunk() {
        let mut arena = Arena::default();
        let piece = Bytes::from(vec![3; CHUNK_MIN + 1]);
        assert_eq!(arena.keep(piece.clone()), piece);
        assert_eq!(arena.bytes(), piece.len());
    }

    /// Who holds a value holds its chunk.
    #[test]
    fn chunks_grow_to_a_bound() {
        let mut arena = Arena::default();
        let mut smallest = usize::MAX;
        for _ in 0..2000 {
            let kept = arena.keep(Bytes::from_static(&[5; 100]));
            let room = arena.chunk.capacity() + kept.len();
            assert!(room <= CHUNK_MAX);
            smallest = smallest.min(room);
        }
        assert!(smallest < CHUNK_MIN);
    }
}
