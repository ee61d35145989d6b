//! One change of the catalog.

use crate::{
    Collection,
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
            other => {
                Err(DecodeError::OutOfRange { field: "catalog change", value: u64::from(other) })
            }
        }
    }
}
