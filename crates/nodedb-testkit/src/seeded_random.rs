//! Chance by seed: the splitmix64 sequence, one counter and one mixing step.

use nodedb_env::Random;
use parking_lot::Mutex;
use std::io;

/// The same bytes for the same seed.
#[derive(Debug)]
pub struct SeededRandom {
    sequence: Mutex<Sequence>,
}

impl SeededRandom {
    /// Starts the sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self { sequence: Mutex::new(Sequence::new(seed)) }
    }

    /// The next number.
    pub fn next_u64(&self) -> u64 {
        self.sequence.lock().next()
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        self.sequence.lock().below(bound)
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut sequence = self.sequence.lock();
        for chunk in buffer.chunks_mut(8) {
            let bytes = sequence.next().to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
        Ok(())
    }
}

/// The sequence itself, for those that have exclusive access.
#[derive(Clone, Debug)]
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`. The bias of the remainder is 2^-32 for the bounds of a simulation.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is a number below the bound");
        self.next() % bound
    }

    /// Up to and including `most`.
    pub(crate) fn up_to(&mut self, most: usize) -> usize {
        let bound = (most as u64).saturating_add(1);
        usize::try_from(self.below(bound)).unwrap_or(most)
    }

    /// True `eighths` times in eight.
    pub(crate) fn chance(&mut self, eighths: u64) -> bool {
        self.below(8) < eighths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_bytes() {
        let mut first = [0; 21];
        let mut again = [0; 21];
        let mut other = [0; 21];
        SeededRandom::new(1).fill(&mut first).unwrap();
        SeededRandom::new(1).fill(&mut again).unwrap();
        SeededRandom::new(2).fill(&mut other).unwrap();
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_ne!(first[..8], first[8..16]);
    }

    #[test]
    fn bounds_are_kept_and_reached() {
        let random = SeededRandom::new(3);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[usize::try_from(random.below(5)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 5]);
        let mut sequence = Sequence::new(4);
        assert!((0..100).all(|_| sequence.chance(8)));
        assert!((0..100).all(|_| !sequence.chance(0)));
    }

    #[test]
    fn the_published_first_number_of_seed_zero() {
        assert_eq!(SeededRandom::new(0).next_u64(), 0xe220_a839_7b1d_cdaf);
    }
}
