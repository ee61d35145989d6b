//! What the engine knows of an index, kept with its files: it is replayed without the catalog.

use crate::segment::SegmentSpec;
use nodedb_engine::{CatalogChange, Index, Metric, Redo, VectorIndex, VectorStorage};
use nodedb_types::{ByteReader, DecodeError, IndexId, limits};

/// Numbers per vector, how distance is measured, and how sealed segments keep numbers. Never changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Definition {
    /// Numbers per vector, 1 to [`limits::VECTOR_DIMENSIONS_MAX`].
    pub dimensions: u32,
    /// How distance is measured.
    pub metric: Metric,
    /// How the graphs of sealed segments keep numbers.
    pub storage: VectorStorage,
}

impl Definition {
    /// What the catalog says of an index, without its name and state.
    pub const fn of(index: &VectorIndex) -> Self {
        Self { dimensions: index.dimensions, metric: index.metric, storage: index.storage }
    }

    /// Numbers per vector, as lengths of slices count.
    #[expect(clippy::expect_used, reason = "a vector has at most 16,384 numbers")]
    pub(crate) fn width(self) -> usize {
        usize::try_from(self.dimensions).expect("dimensions fit into a length")
    }

    /// Bytes of the numbers of a vector as graphs keep them.
    pub(crate) fn storage_bytes(self) -> u64 {
        let number = match self.storage {
            VectorStorage::F32 => 4,
            VectorStorage::Bf16 => 2,
            VectorStorage::I8 => 1,
        };
        u64::from(self.dimensions) * number
    }

    /// What the segments of an index so defined hold.
    pub(crate) const fn spec(self, index: IndexId) -> SegmentSpec {
        let Self { dimensions, metric, storage } = self;
        SegmentSpec { index, dimensions, metric, storage }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.dimensions.to_le_bytes());
        self.metric.encode(out);
        self.storage.encode(out);
    }

    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let dimensions = reader.u32("dimensions")?;
        if !matches!(usize::try_from(dimensions), Ok(1..=limits::VECTOR_DIMENSIONS_MAX)) {
            let value = u64::from(dimensions);
            return Err(DecodeError::OutOfRange { field: "dimensions", value });
        }
        let metric = Metric::decode(reader)?;
        Ok(Self { dimensions, metric, storage: VectorStorage::decode(reader)? })
    }
}

/// The vector indexes that a record brings.
pub(crate) fn created(redo: &Redo) -> impl Iterator<Item = &VectorIndex> {
    let (several, one) = match redo {
        Redo::Catalog(CatalogChange::CreateCollection(collection)) => (&*collection.vectors, None),
        Redo::Catalog(CatalogChange::CreateIndex { index: Index::Vector(index), .. }) => {
            (&[][..], Some(index))
        }
        Redo::Catalog(_)
        | Redo::Put { .. }
        | Redo::Delete { .. }
        | Redo::IndexRows { .. }
        | Redo::Idempotency(_)
        | Redo::CrdtMerge { .. }
        | Redo::CrdtSnapshot { .. } => (&[][..], None),
    };
    several.iter().chain(one)
}

/// The indexes of any sort that a record ends.
pub(crate) fn dropped(redo: &Redo) -> &[IndexId] {
    match redo {
        Redo::Catalog(CatalogChange::DropCollection { indexes, .. }) => indexes,
        Redo::Catalog(CatalogChange::DropIndex { index, .. }) => std::slice::from_ref(index),
        Redo::Catalog(_)
        | Redo::Put { .. }
        | Redo::Delete { .. }
        | Redo::IndexRows { .. }
        | Redo::Idempotency(_)
        | Redo::CrdtMerge { .. }
        | Redo::CrdtSnapshot { .. } => &[],
    }
}
