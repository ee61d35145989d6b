//! What the catalog knows of a collection.

use crate::redo::{count, put_count};
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

/// How far apart two vectors are. Smaller is nearer for all of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Metric {
    /// 1 - cosine of the angle, 0 to 2. A zero vector has no angle and is refused.
    Cosine,
    /// Squared Euclidean distance.
    L2,
    /// Negated dot product.
    Dot,
}

impl Metric {
    /// Its name in commands and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::L2 => "l2",
            Self::Dot => "dot",
        }
    }
}

/// A vector index over one field of a collection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VectorIndex {
    /// Never reused.
    pub id: IndexId,
    /// Top-level member of the document that holds the vector.
    pub field: String,
    /// Numbers per vector, 1 to [`limits::VECTOR_DIMENSIONS_MAX`].
    pub dimensions: u32,
    /// How distance is measured.
    pub metric: Metric,
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
}

impl Collection {
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
            out.extend_from_slice(&index.id.get().to_le_bytes());
            put_bytes(out, index.field.as_bytes());
            out.extend_from_slice(&index.dimensions.to_le_bytes());
            out.push(match index.metric {
                Metric::Cosine => 1,
                Metric::L2 => 2,
                Metric::Dot => 3,
            });
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
        let indexes = count(reader, "index count", 13)?;
        let vectors = (0..indexes).map(|_| vector_index(reader)).collect::<Result<_, _>>()?;
        Ok(Self { id, tenant, name, kind, partitions, vectors })
    }
}

pub(crate) fn name(reader: &mut ByteReader<'_>, field: &'static str) -> Result<Name, DecodeError> {
    Name::new(reader.text(field)?).or(Err(DecodeError::NotText { field }))
}

/// An id after which there is a next one: the catalog counts on from the highest.
fn countable(reader: &mut ByteReader<'_>, field: &'static str) -> Result<u32, DecodeError> {
    match reader.u32(field)? {
        u32::MAX => out_of_range(field, u64::from(u32::MAX)),
        id => Ok(id),
    }
}

fn vector_index(reader: &mut ByteReader<'_>) -> Result<VectorIndex, DecodeError> {
    let id = IndexId::new(countable(reader, "index id")?);
    let field = reader.text("index field")?.to_owned();
    let dimensions = reader.u32("dimensions")?;
    let metric = match reader.u8("metric")? {
        1 => Metric::Cosine,
        2 => Metric::L2,
        3 => Metric::Dot,
        other => return out_of_range("metric", u64::from(other)),
    };
    Ok(VectorIndex { id, field, dimensions, metric })
}

fn out_of_range<T>(field: &'static str, value: u64) -> Result<T, DecodeError> {
    Err(DecodeError::OutOfRange { field, value })
}
