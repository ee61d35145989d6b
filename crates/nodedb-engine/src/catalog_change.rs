//! One change of the catalog.

use crate::{
    Collection, Index,
    collection::name,
    redo::{count, put_count},
};
use nodedb_types::{ByteReader, CollectionId, DecodeError, IndexId, Name, TenantId, put_bytes};

/// A change of the catalog, logged once for every vshard as one atomic group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CatalogChange {
    /// A tenant that was named for the first time.
    CreateTenant {
        /// Never reused.
        id: TenantId,
        /// Unique.
        name: Name,
    },
    /// A new collection.
    CreateCollection(Collection),
    /// A collection is gone. Its id stays as a drop marker.
    DropCollection {
        /// Which.
        id: CollectionId,
        /// Its indexes, so that the vector engine needs no catalog.
        indexes: Vec<IndexId>,
    },
    /// A new index of a collection. From its record on every write keeps it; if the collection may
    /// have documents it is `Building` until they are added.
    CreateIndex {
        /// Of which collection.
        collection: CollectionId,
        /// The index.
        index: Index,
    },
    /// An index has every document.
    IndexReady {
        /// Of which collection.
        collection: CollectionId,
        /// Which index.
        index: IndexId,
    },
    /// An index is gone. Its id is never used again.
    DropIndex {
        /// Of which collection.
        collection: CollectionId,
        /// Which index.
        index: IndexId,
    },
}

impl CatalogChange {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::CreateTenant { id, name } => {
                out.push(1);
                out.extend_from_slice(&id.get().to_le_bytes());
                put_bytes(out, name.as_str().as_bytes());
            }
            Self::CreateCollection(collection) => {
                out.push(2);
                collection.encode(out);
            }
            Self::DropCollection { id, indexes } => {
                out.push(3);
                out.extend_from_slice(&id.get().to_le_bytes());
                put_count(out, indexes.len());
                for index in indexes {
                    out.extend_from_slice(&index.get().to_le_bytes());
                }
            }
            Self::CreateIndex { collection, index } => {
                out.push(4);
                out.extend_from_slice(&collection.get().to_le_bytes());
                index.encode(out);
            }
            Self::IndexReady { collection, index } => put_index(out, 5, *collection, *index),
            Self::DropIndex { collection, index } => put_index(out, 6, *collection, *index),
        }
    }

    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        match reader.u8("catalog change")? {
            1 => {
                let (field, value) = ("tenant id", reader.u64("tenant id")?);
                // The catalog counts on from the highest.
                if value == u64::MAX {
                    return Err(DecodeError::OutOfRange { field, value });
                }
                let id = TenantId::new(value);
                Ok(Self::CreateTenant { id, name: name(reader, "tenant name")? })
            }
            2 => Collection::decode(reader).map(Self::CreateCollection),
            3 => {
                let id = CollectionId::new(reader.u32("collection id")?);
                let indexes = count(reader, "index count", 4)?;
                let indexes = (0..indexes)
                    .map(|_| reader.u32("index id").map(IndexId::new))
                    .collect::<Result<_, _>>()?;
                Ok(Self::DropCollection { id, indexes })
            }
            4 => {
                let collection = CollectionId::new(reader.u32("collection id")?);
                Ok(Self::CreateIndex { collection, index: Index::decode(reader)? })
            }
            5 => {
                let (collection, index) = index(reader)?;
                Ok(Self::IndexReady { collection, index })
            }
            6 => {
                let (collection, index) = index(reader)?;
                Ok(Self::DropIndex { collection, index })
            }
            other => {
                Err(DecodeError::OutOfRange { field: "catalog change", value: u64::from(other) })
            }
        }
    }
}

fn put_index(out: &mut Vec<u8>, code: u8, collection: CollectionId, index: IndexId) {
    out.push(code);
    out.extend_from_slice(&collection.get().to_le_bytes());
    out.extend_from_slice(&index.get().to_le_bytes());
}

fn index(reader: &mut ByteReader<'_>) -> Result<(CollectionId, IndexId), DecodeError> {
    let collection = CollectionId::new(reader.u32("collection id")?);
    Ok((collection, IndexId::new(reader.u32("index id")?)))
}
