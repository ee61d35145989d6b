//! The limits of requests.

use crate::{AdmissionError, TenantLimits};
use nodedb_engine::{Index, VectorIndex};
use nodedb_types::limits;
use std::mem::discriminant;

/// Checks requests against the limits of one database. A record that could not be replayed must
/// never be logged, so everything is checked here before it is sent to a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admission {
    vshards: u16,
    group_bytes_max: usize,
    tenants: TenantLimits,
}

/// Room that a record takes in the log besides key, value and vectors.
const RECORD_OVERHEAD_BYTES: usize = 256;

impl Admission {
    /// The limits of a database with so many vshards, whose log takes groups of that many bytes, and
    /// of each of its tenants.
    pub const fn new(vshards: u16, group_bytes_max: usize, tenants: TenantLimits) -> Self {
        Self { vshards, group_bytes_max, tenants }
    }

    /// Checks whether a tenant that has so many collections may have one more.
    ///
    /// # Errors
    /// [`AdmissionError::TenantCollections`].
    pub const fn one_more_collection(self, collections: usize) -> Result<(), AdmissionError> {
        let limit = self.tenants.collections;
        if collections < limit { Ok(()) } else { Err(AdmissionError::TenantCollections { limit }) }
    }

    /// The longest value, in bytes.
    pub fn value_bytes_max(self) -> usize {
        limits::VALUE_BYTES_MAX.min(self.batch_bytes_max())
    }

    /// The longest batch, in bytes.
    pub fn batch_bytes_max(self) -> usize {
        let overhead = limits::KEY_BYTES_MAX + RECORD_OVERHEAD_BYTES;
        limits::BATCH_BYTES_MAX.min(self.group_bytes_max.saturating_sub(overhead))
    }

    /// Checks a key.
    ///
    /// # Errors
    /// [`AdmissionError::Key`].
    pub const fn key(self, key: &[u8]) -> Result<(), AdmissionError> {
        let limit = limits::KEY_BYTES_MAX;
        match key.len() {
            bytes if bytes == 0 || bytes > limit => Err(AdmissionError::Key { bytes, limit }),
            _ => Ok(()),
        }
    }

    /// Checks one write: its key, and its value with the vectors taken from it.
    ///
    /// # Errors
    /// [`AdmissionError::Key`], [`AdmissionError::Value`].
    pub fn write(self, key: &[u8], value_and_vector_bytes: usize) -> Result<(), AdmissionError> {
        self.key(key)?;
        let limit = self.value_bytes_max();
        if value_and_vector_bytes > limit {
            let key = String::from_utf8_lossy(key).into_owned();
            return Err(AdmissionError::Value { key, bytes: value_and_vector_bytes, limit });
        }
        Ok(())
    }

    /// Checks the size of a batch, given the bytes of each of its writes.
    ///
    /// # Errors
    /// [`AdmissionError::BatchOperations`], [`AdmissionError::BatchBytes`].
    pub fn batch(self, writes: impl ExactSizeIterator<Item = usize>) -> Result<(), AdmissionError> {
        let operations = writes.len();
        let limit = limits::BATCH_OPERATIONS_MAX;
        if operations == 0 || operations > limit {
            return Err(AdmissionError::BatchOperations { operations, limit });
        }
        let bytes = writes.map(|bytes| bytes + RECORD_OVERHEAD_BYTES).sum();
        let limit = self.batch_bytes_max();
        if bytes > limit { Err(AdmissionError::BatchBytes { bytes, limit }) } else { Ok(()) }
    }

    /// Checks the shape of a new collection.
    ///
    /// # Errors
    /// [`AdmissionError`] names the part that is out of range.
    pub fn collection(self, partitions: u16, indexes: &[Index]) -> Result<(), AdmissionError> {
        if partitions == 0 || partitions > self.vshards {
            return Err(AdmissionError::Partitions { partitions, vshards: self.vshards });
        }
        if indexes.len() > limits::INDEXES_MAX {
            let limit = limits::INDEXES_MAX;
            return Err(AdmissionError::Indexes { indexes: indexes.len(), limit });
        }
        for (position, index) in indexes.iter().enumerate() {
            self.index(index)?;
            let same = |other: &&Index| discriminant(*other) == discriminant(index);
            let mut earlier = indexes.iter().take(position).filter(same);
            if earlier.any(|other| other.over() == index.over()) {
                let (field, reason) = (index.over().to_owned(), "it is named twice");
                return Err(AdmissionError::Field { field, reason });
            }
        }
        Ok(())
    }

    /// Checks the shape of a new index.
    ///
    /// # Errors
    /// [`AdmissionError::Field`], [`AdmissionError::Dimensions`].
    pub fn index(self, index: &Index) -> Result<(), AdmissionError> {
        let field = || index.over().to_owned();
        let refused = |reason| Err(AdmissionError::Field { field: field(), reason });
        match index {
            Index::Vector(vector) => match vector.field.len() {
                0 => refused("the name is empty"),
                bytes if bytes > limits::NAME_BYTES_MAX => {
                    refused("the name is longer than 64 bytes")
                }
                _ => dimensions(vector),
            },
            Index::Field(path) if path.path.len() > limits::INDEX_PATH_BYTES_MAX => {
                refused("the path is longer than 256 bytes")
            }
            Index::Field(path) if path.path.split('.').any(str::is_empty) => {
                refused("a name in the path is empty")
            }
            Index::Field(_) => Ok(()),
        }
    }

    /// Checks the number of candidates of a search.
    ///
    /// # Errors
    /// [`AdmissionError::Candidates`].
    pub fn candidates(self, candidates: usize) -> Result<(), AdmissionError> {
        let limit = limits::SEARCH_RESULTS_MAX;
        if (1..=limit).contains(&candidates) {
            return Ok(());
        }
        Err(AdmissionError::Candidates { candidates, limit })
    }

    /// Checks the number of neighbours of a search.
    ///
    /// # Errors
    /// [`AdmissionError::Neighbours`].
    pub fn neighbours(self, k: usize) -> Result<(), AdmissionError> {
        let limit = limits::SEARCH_RESULTS_MAX;
        if (1..=limit).contains(&k) { Ok(()) } else { Err(AdmissionError::Neighbours { k, limit }) }
    }
}

fn dimensions(index: &VectorIndex) -> Result<(), AdmissionError> {
    let limit = limits::VECTOR_DIMENSIONS_MAX;
    let fits = usize::try_from(index.dimensions).is_ok_and(|n| (1..=limit).contains(&n));
    if fits {
        return Ok(());
    }
    let (field, dimensions) = (index.field.clone(), index.dimensions);
    Err(AdmissionError::Dimensions { field, dimensions, limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_engine::{FieldIndex, IndexState, Metric, VectorStorage};
    use nodedb_types::IndexId;

    const LIMITS: TenantLimits = TenantLimits { in_flight: 1, collections: 2, bytes: None };
    const WIDE: Admission = Admission::new(8, 60 << 20, LIMITS);

    fn index(field: &str, dimensions: u32) -> Index {
        let (id, metric, storage) = (IndexId::new(1), Metric::L2, VectorStorage::default());
        let (field, state) = (field.to_owned(), IndexState::Ready);
        Index::Vector(VectorIndex { id, field, dimensions, metric, storage, state })
    }

    fn path(path: &str) -> Index {
        let (id, state) = (IndexId::new(2), IndexState::Ready);
        Index::Field(FieldIndex { id, path: path.to_owned(), unique: false, state })
    }

    #[test]
    fn every_limit_is_accepted_and_one_more_is_refused() {
        assert!(WIDE.key(&[0; limits::KEY_BYTES_MAX]).is_ok());
        assert!(WIDE.key(&[0; limits::KEY_BYTES_MAX + 1]).is_err());
        assert!(WIDE.key(&[]).is_err());
        assert!(WIDE.write(b"k", limits::VALUE_BYTES_MAX).is_ok());
        assert!(WIDE.write(b"k", limits::VALUE_BYTES_MAX + 1).is_err());
        assert!(WIDE.batch(vec![1; limits::BATCH_OPERATIONS_MAX].into_iter()).is_ok());
        assert!(WIDE.batch(vec![1; limits::BATCH_OPERATIONS_MAX + 1].into_iter()).is_err());
        assert!(WIDE.batch(Vec::new().into_iter()).is_err());
        let most = WIDE.batch_bytes_max() - RECORD_OVERHEAD_BYTES;
        assert!(WIDE.batch([most].into_iter()).is_ok());
        assert!(WIDE.batch([most + 1].into_iter()).is_err());
        assert!(WIDE.neighbours(limits::SEARCH_RESULTS_MAX).is_ok());
        assert!(WIDE.neighbours(limits::SEARCH_RESULTS_MAX + 1).is_err());
        assert!(WIDE.neighbours(0).is_err());
    }

    #[test]
    fn candidates_and_collections_of_a_tenant_have_limits() {
        assert!(WIDE.candidates(0).is_err());
        assert!(WIDE.candidates(limits::SEARCH_RESULTS_MAX).is_ok());
        assert!(WIDE.candidates(limits::SEARCH_RESULTS_MAX + 1).is_err());
        assert!(WIDE.one_more_collection(1).is_ok());
        assert!(WIDE.one_more_collection(2).is_err());
    }

    #[test]
    fn small_segments_lower_the_limits() {
        let small = Admission::new(8, 60 << 10, LIMITS);
        assert!(small.value_bytes_max() < 60 << 10);
        assert!(small.write(b"k", small.value_bytes_max()).is_ok());
        assert!(small.write(b"k", small.value_bytes_max() + 1).is_err());
    }

    #[test]
    fn collections_are_checked_part_by_part() {
        let dimensions = u32::try_from(limits::VECTOR_DIMENSIONS_MAX).expect("fits");
        assert!(WIDE.collection(8, &[index("a", dimensions), index("b", 1)]).is_ok());
        for (partitions, vectors) in [
            (0, vec![]),
            (9, vec![]),
            (1, vec![index("a", 0)]),
            (1, vec![index("a", dimensions + 1)]),
            (1, vec![index("", 4)]),
            (1, vec![index(&"a".repeat(65), 4)]),
            (1, vec![index("a", 4), index("a", 4)]),
            (1, vec![path("a.b"), path("a.b")]),
            (1, vec![path("")]),
            (1, vec![path("a..b")]),
            (1, vec![path(&"a".repeat(limits::INDEX_PATH_BYTES_MAX + 1))]),
        ] {
            assert!(WIDE.collection(partitions, &vectors).is_err(), "{partitions} {vectors:?}");
        }
        let longest = "a".repeat(limits::INDEX_PATH_BYTES_MAX);
        assert!(WIDE.collection(1, &[index("a", 4), path("a"), path(&longest)]).is_ok());
        let fields: Vec<_> = (0..17).map(|i| index(&format!("f{i}"), 4)).collect();
        assert!(WIDE.collection(1, &fields[..16]).is_ok());
        assert!(WIDE.collection(1, &fields).is_err());
    }
}
