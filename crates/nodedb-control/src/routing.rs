//! Which vshard holds a key.

use nodedb_types::{CollectionId, VshardId};
use xxhash_rust::xxh3::xxh3_64;

/// Placement of keys. It is part of the format: data that was written stays where it was put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Routing {
    vshards: u16,
}

impl Routing {
    /// Placement over so many vshards.
    ///
    /// # Panics
    /// If `vshards` is 0.
    pub fn new(vshards: u16) -> Self {
        assert!(vshards > 0, "a database has at least one vshard");
        Self { vshards }
    }

    /// All vshards.
    pub fn all(self) -> impl Iterator<Item = VshardId> {
        (0..self.vshards).map(VshardId::new)
    }

    /// The vshard of a key, in a collection of that many partitions.
    ///
    /// # Panics
    /// If `partitions` is 0 or above the number of vshards; the catalog holds no such collection.
    pub fn vshard(self, collection: CollectionId, partitions: u16, key: &[u8]) -> VshardId {
        self.check(partitions);
        let partition = xxh3_64(key) % u64::from(partitions);
        self.place(collection, partition)
    }

    /// The vshards of a collection, one per partition.
    ///
    /// # Panics
    /// As [`Routing::vshard`].
    pub fn partitions(
        self,
        collection: CollectionId,
        partitions: u16,
    ) -> impl Iterator<Item = VshardId> {
        self.check(partitions);
        (0..u64::from(partitions)).map(move |partition| self.place(collection, partition))
    }

    fn check(self, partitions: u16) {
        assert!(
            (1..=self.vshards).contains(&partitions),
            "{partitions} partitions over {} vshards",
            self.vshards
        );
    }

    /// Collections begin at different vshards, so that many small ones spread.
    #[expect(clippy::expect_used, reason = "a remainder of a u16 fits a u16")]
    fn place(self, collection: CollectionId, partition: u64) -> VshardId {
        let place = (u64::from(collection.get()) + partition) % u64::from(self.vshards);
        VshardId::new(u16::try_from(place).expect("below the number of vshards"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn placement_is_part_of_the_format() {
        let routing = Routing::new(8);
        let collection = CollectionId::new(1);
        let places: Vec<u16> = ["a", "b", "c", "key-1", ""]
            .iter()
            .map(|key| routing.vshard(collection, 8, key.as_bytes()).get())
            .collect();
        assert_eq!(places, GOLDEN, "changing this loses every stored key");
    }

    const GOLDEN: [u16; 5] = [0, 0, 4, 2, 3];

    #[test]
    fn partitions_are_distinct_and_hold_every_key() {
        let routing = Routing::new(5);
        for partitions in 1..=5 {
            let collection = CollectionId::new(7);
            let all: BTreeSet<_> = routing.partitions(collection, partitions).collect();
            assert_eq!(all.len(), usize::from(partitions));
            for key in 0..1000_u32 {
                let vshard = routing.vshard(collection, partitions, &key.to_le_bytes());
                assert!(all.contains(&vshard));
            }
        }
    }
}
