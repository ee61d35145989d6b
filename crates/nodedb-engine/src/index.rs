//! Indexes over fields of a collection.

use crate::{
    collection::{countable, out_of_range},
    redo::flag,
};
use nodedb_types::{ByteReader, DecodeError, IndexId, put_bytes};

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

    /// Appends its number on disk.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Cosine => 1,
            Self::L2 => 2,
            Self::Dot => 3,
        });
    }

    /// Reads what [`Metric::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        match reader.u8("metric")? {
            1 => Ok(Self::Cosine),
            2 => Ok(Self::L2),
            3 => Ok(Self::Dot),
            other => out_of_range("metric", u64::from(other)),
        }
    }
}

/// How the numbers of a vector index are kept in its sealed segments. Distances of answers are always
/// computed from the full numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum VectorStorage {
    /// 4 bytes a number.
    F32,
    /// 2 bytes a number, with the range of 4.
    #[default]
    Bf16,
    /// 1 byte a number.
    I8,
}

impl VectorStorage {
    /// Its name in commands and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::I8 => "i8",
        }
    }

    /// Appends its number on disk.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
            Self::I8 => 3,
        });
    }

    /// Reads what [`VectorStorage::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        match reader.u8("vector storage")? {
            1 => Ok(Self::F32),
            2 => Ok(Self::Bf16),
            3 => Ok(Self::I8),
            other => out_of_range("vector storage", u64::from(other)),
        }
    }
}

/// Whether an index may be searched.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum IndexState {
    /// It has every document.
    #[default]
    Ready,
    /// Writes keep it, and the documents from before are still being added.
    Building,
}

/// An index over some field of a collection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Index {
    /// A vector index.
    Vector(VectorIndex),
    /// A field index.
    Field(FieldIndex),
}

/// An ordered index over the values that a path leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldIndex {
    /// Never reused.
    pub id: IndexId,
    /// Names of the members from the document's root to the value, with dots between them.
    pub path: String,
    /// Whether two documents may not have the same value. Only with one partition (protocol rule P12).
    pub unique: bool,
    /// Whether it may be read.
    pub state: IndexState,
}

/// A vector index over one field of a collection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VectorIndex {
    /// Never reused.
    pub id: IndexId,
    /// Top-level member of the document that holds the vector.
    pub field: String,
    /// Numbers per vector, 1 to [`nodedb_types::limits::VECTOR_DIMENSIONS_MAX`].
    pub dimensions: u32,
    /// How distance is measured.
    pub metric: Metric,
    /// How its segments keep numbers.
    pub storage: VectorStorage,
    /// Whether it may be searched.
    pub state: IndexState,
}

impl Index {
    /// Its id.
    pub const fn id(&self) -> IndexId {
        match self {
            Self::Vector(index) => index.id,
            Self::Field(index) => index.id,
        }
    }

    /// Whether it may be read.
    pub const fn state(&self) -> IndexState {
        match self {
            Self::Vector(index) => index.state,
            Self::Field(index) => index.state,
        }
    }

    /// The field or path that it is over, by which users name it.
    pub fn over(&self) -> &str {
        match self {
            Self::Vector(index) => &index.field,
            Self::Field(index) => &index.path,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Vector(index) => {
                out.push(1);
                index.encode(out);
            }
            Self::Field(index) => {
                out.push(2);
                index.encode(out);
            }
        }
    }

    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        match reader.u8("index type")? {
            1 => vector_index(reader).map(Self::Vector),
            2 => field_index(reader).map(Self::Field),
            other => out_of_range("index type", u64::from(other)),
        }
    }
}

impl VectorIndex {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.get().to_le_bytes());
        put_bytes(out, self.field.as_bytes());
        out.extend_from_slice(&self.dimensions.to_le_bytes());
        self.metric.encode(out);
        self.storage.encode(out);
        self.state.encode(out);
    }
}

impl FieldIndex {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.get().to_le_bytes());
        put_bytes(out, self.path.as_bytes());
        out.push(u8::from(self.unique));
        self.state.encode(out);
    }
}

impl IndexState {
    fn encode(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Ready => 1,
            Self::Building => 2,
        });
    }

    fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        match reader.u8("index state")? {
            1 => Ok(Self::Ready),
            2 => Ok(Self::Building),
            other => out_of_range("index state", u64::from(other)),
        }
    }
}

pub(crate) fn vector_index(reader: &mut ByteReader<'_>) -> Result<VectorIndex, DecodeError> {
    let id = IndexId::new(countable(reader, "index id")?);
    let field = reader.text("index field")?.to_owned();
    let dimensions = reader.u32("dimensions")?;
    let metric = Metric::decode(reader)?;
    let storage = VectorStorage::decode(reader)?;
    let state = IndexState::decode(reader)?;
    Ok(VectorIndex { id, field, dimensions, metric, storage, state })
}

pub(crate) fn field_index(reader: &mut ByteReader<'_>) -> Result<FieldIndex, DecodeError> {
    let id = IndexId::new(countable(reader, "index id")?);
    let path = reader.text("index path")?.to_owned();
    let unique = flag(reader, "unique flag")?;
    Ok(FieldIndex { id, path, unique, state: IndexState::decode(reader)? })
}
