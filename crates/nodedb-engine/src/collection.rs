//! What the catalog knows of a collection.

use crate::{
    FieldIndex, Index, IndexState, VectorIndex,
    index::{field_index, vector_index},
    redo::{count, put_count},
};
use nodedb_types::{
    ByteReader, CollectionId, DecodeError, IndexId, Name, TenantId, limits, put_bytes,
};

/// What a collection holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CollectionKind {
    /// JSON documents.
    Document,
    /// Raw bytes.
    Bytes,
    /// CRDT documents.
    Crdt,
}

impl CollectionKind {
    /// Its name in commands and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Bytes => "bytes",
            Self::Crdt => "crdt",
        }
    }
}

/// A collection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Collection {
    /// Never reused.
    pub id: CollectionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub name: Name,
    /// What it holds.
    pub kind: CollectionKind,
    /// Over how many vshards its keys are spread, 1 to the number of vshards.
    pub partitions: u16,
    /// Its vector indexes.
    pub vectors: Vec<VectorIndex>,
    /// Its field indexes.
    pub fields: Vec<FieldIndex>,
}

impl Collection {
    /// The index over a path.
    pub fn field_index(&self, path: &str) -> Option<&FieldIndex> {
        self.fields.iter().find(|index| index.path == path)
    }

    /// The ids of all its indexes.
    pub fn index_ids(&self) -> impl Iterator<Item = IndexId> {
        let vectors = self.vectors.iter().map(|index| index.id);
        vectors.chain(self.fields.iter().map(|index| index.id))
    }

    /// An index by id.
    pub fn index(&self, id: IndexId) -> Option<Index> {
        let vectors = self.vectors.iter().cloned().map(Index::Vector);
        let fields = self.fields.iter().cloned().map(Index::Field);
        vectors.chain(fields).find(|index| index.id() == id)
    }

    /// Adds an index.
    pub(crate) fn add_index(&mut self, index: Index) {
        match index {
            Index::Vector(index) => self.vectors.push(index),
            Index::Field(index) => self.fields.push(index),
        }
    }

    /// Marks an index as complete.
    pub(crate) fn index_ready(&mut self, id: IndexId) {
        let vectors = self.vectors.iter_mut().map(|index| (index.id, &mut index.state));
        let fields = self.fields.iter_mut().map(|index| (index.id, &mut index.state));
        for (_, state) in vectors.chain(fields).filter(|(other, _)| *other == id) {
            *state = IndexState::Ready;
        }
    }

    /// Removes an index.
    pub(crate) fn drop_index(&mut self, id: IndexId) {
        self.vectors.retain(|index| index.id != id);
        self.fields.retain(|index| index.id != id);
    }

    /// The index over a field.
    pub fn vector_index(&self, field: &str) -> Option<&VectorIndex> {
        self.vectors.iter().find(|index| index.field == field)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.get().to_le_bytes());
        out.extend_from_slice(&self.tenant.get().to_le_bytes());
        put_bytes(out, self.name.as_str().as_bytes());
        out.push(match self.kind {
            CollectionKind::Document => 1,
            CollectionKind::Bytes => 2,
            CollectionKind::Crdt => 3,
        });
        out.extend_from_slice(&self.partitions.to_le_bytes());
        put_count(out, self.vectors.len());
        for index in &self.vectors {
            index.encode(out);
        }
        put_count(out, self.fields.len());
        for index in &self.fields {
            index.encode(out);
        }
    }

    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let id = CollectionId::new(countable(reader, "collection id")?);
        let tenant = TenantId::new(reader.u64("tenant id")?);
        let name = name(reader, "collection name")?;
        let kind = match reader.u8("collection kind")? {
            1 => CollectionKind::Document,
            2 => CollectionKind::Bytes,
            3 => CollectionKind::Crdt,
            other => return out_of_range("collection kind", u64::from(other)),
        };
        let partitions = reader.u16("partitions")?;
        if partitions == 0 || partitions > limits::VSHARDS_MAX {
            return out_of_range("partitions", u64::from(partitions));
        }
        let indexes = count(reader, "vector index count", 15)?;
        let vectors = (0..indexes).map(|_| vector_index(reader)).collect::<Result<_, _>>()?;
        let indexes = count(reader, "field index count", 10)?;
        let fields = (0..indexes).map(|_| field_index(reader)).collect::<Result<_, _>>()?;
        Ok(Self { id, tenant, name, kind, partitions, vectors, fields })
    }
}

pub(crate) fn name(reader: &mut ByteReader<'_>, field: &'static str) -> Result<Name, DecodeError> {
    Name::new(reader.text(field)?).or(Err(DecodeError::NotText { field }))
}

/// An id after which there is a next one: the catalog counts on from the highest.
pub(crate) fn countable(
    reader: &mut ByteReader<'_>,
    field: &'static str,
) -> Result<u32, DecodeError> {
    match reader.u32(field)? {
        u32::MAX => out_of_range(field, u64::from(u32::MAX)),
        id => Ok(id),
    }
}

pub(crate) fn out_of_range<T>(field: &'static str, value: u64) -> Result<T, DecodeError> {
    Err(DecodeError::OutOfRange { field, value })
}
