//! The chain over batches: what binds each of them to all before it.

use crate::format::RECORD_HEADER;
use crc32c::{crc32c, crc32c_append};

/// Record headers that are hashed at once. One by one, they take longer than their records' payloads.
const HEADERS: usize = 64;

/// The chain crc of a batch, as far as it was fed.
///
/// Record headers carry the crc of their payloads, so hashing them is enough; other bodies are hashed whole.
#[derive(Debug)]
pub(crate) struct Chain {
    crc: u32,
    headers: [u8; HEADERS * RECORD_HEADER],
    filled: usize,
}

impl Chain {
    /// Starts with the chain before, the segment's number and the first 52 bytes of the batch header.
    pub(crate) fn new(head: &[u8], prev_chain: u32, segment: u64) -> Self {
        let crc = crc32c_append(crc32c(&prev_chain.to_le_bytes()), &segment.to_le_bytes());
        let crc = crc32c_append(crc, head.get(..52).unwrap_or_default());
        Self { crc, headers: [0; HEADERS * RECORD_HEADER], filled: 0 }
    }

    /// Adds the header of the next record.
    pub(crate) fn add(&mut self, header: &[u8; RECORD_HEADER]) {
        let place = self.headers.get_mut(self.filled..).and_then(|rest| rest.first_chunk_mut());
        if let Some(place) = place {
            *place = *header;
            self.filled += RECORD_HEADER;
        }
        if self.filled == self.headers.len() {
            self.hash();
        }
    }

    /// The crc of a batch with records.
    pub(crate) fn end(mut self) -> u32 {
        self.hash();
        self.crc
    }

    /// The crc of a batch with another body.
    pub(crate) fn end_with(self, body: &[u8]) -> u32 {
        assert_eq!(self.filled, 0, "a body is either records or hashed whole");
        crc32c_append(self.crc, body)
    }

    fn hash(&mut self) {
        let filled = self.headers.get(..self.filled).unwrap_or_default();
        self.crc = crc32c_append(self.crc, filled);
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_hashed_as_if_one_by_one() {
        for count in [0, 1, HEADERS - 1, HEADERS, HEADERS + 1, 3 * HEADERS] {
            let mut chain = Chain::new(&[7; 52], 1, 2);
            let mut expected = chain.crc;
            for index in 0..count {
                let header = [u8::try_from(index % 251).expect("small"); RECORD_HEADER];
                chain.add(&header);
                expected = crc32c_append(expected, &header);
            }
            assert_eq!(chain.end(), expected, "{count}");
        }
    }
}
