//! Bytes that no compression shortens.

use nodedb_testkit::SeededRandom;

/// `len` bytes without pattern: what a log and a disk get at worst.
pub fn payload(seed: u64, len: usize) -> Vec<u8> {
    let random = SeededRandom::new(seed);
    let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
    while bytes.len() < len {
        bytes.extend(random.next_u64().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn has_the_length_and_no_pattern() {
        let bytes = payload(1, 4_099);
        assert_eq!(bytes.len(), 4_099);
        let distinct: BTreeSet<u64> = bytes
            .chunks_exact(8)
            .map(|chunk| chunk.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
            .collect();
        assert_eq!(distinct.len(), 512);
        assert_ne!(payload(1, 16), payload(2, 16));
    }
}
