//! What callers ask of a collection, beyond key and value.

use crate::Expect;
use nodedb_document::{Direction, KeyRange};
use nodedb_engine::{CollectionKind, Metric};
use nodedb_types::Durability;

/// A collection to be created.
#[derive(Clone, PartialEq, Debug)]
pub struct NewCollection {
    /// Its name: 1 to 64 of `a-z A-Z 0-9 _ - .`.
    pub name: String,
    /// What it holds. Default JSON documents.
    pub kind: CollectionKind,
    /// Over how many vshards its keys are spread. Default: all.
    pub partitions: Option<u16>,
    /// Its vector indexes.
    pub vectors: Vec<VectorField>,
}

impl NewCollection {
    /// A collection of JSON documents over all vshards, without indexes.
    pub fn named(name: impl Into<String>) -> Self {
        let kind = CollectionKind::Document;
        Self { name: name.into(), kind, partitions: None, vectors: Vec::new() }
    }

    /// The same with another kind.
    #[must_use]
    pub const fn with_kind(mut self, kind: CollectionKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same with a vector index over a top-level field.
    #[must_use]
    pub fn with_vector(
        mut self,
        field: impl Into<String>,
        dimensions: u32,
        metric: Metric,
    ) -> Self {
        self.vectors.push(VectorField { field: field.into(), dimensions, metric });
        self
    }

    /// The same over fewer vshards.
    #[must_use]
    pub const fn with_partitions(mut self, partitions: u16) -> Self {
        self.partitions = Some(partitions);
        self
    }
}

/// A vector index to be created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VectorField {
    /// Top-level member of the documents.
    pub field: String,
    /// Numbers per vector, 1 to 16,384.
    pub dimensions: u32,
    /// How distance is measured.
    pub metric: Metric,
}

/// How a write is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WriteOptions {
    /// What the key must hold. Default: anything.
    pub expect: Option<Expect>,
    /// When it is answered. Default: as the database was created.
    pub durability: Option<Durability>,
}

/// Which documents a scan answers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ScanOptions {
    /// Keys that begin with this. Default: all.
    pub prefix: Vec<u8>,
    /// Keys within these bounds. Default: all.
    pub range: KeyRange,
    /// In which order. Default: the smallest key first.
    pub direction: Direction,
    /// A SQL boolean expression over fields, such as `lang = 'en' AND year >= 2020`.
    pub filter: Option<String>,
    /// At most so many. Default: all.
    pub limit: Option<usize>,
    /// Where an earlier scan of this collection in this direction ended.
    pub cursor: Option<String>,
}

/// A search for nearest documents.
#[derive(Clone, PartialEq, Debug)]
pub struct SearchOptions {
    /// The indexed field.
    pub field: String,
    /// What to be near to.
    pub near: Near,
    /// How many, 1 to 10,000. Default 10.
    pub k: usize,
    /// A SQL boolean expression that the documents must satisfy.
    pub filter: Option<String>,
}

/// What a search measures from.
#[derive(Clone, PartialEq, Debug)]
pub enum Near {
    /// A vector.
    Vector(Vec<f32>),
    /// The vector of a stored document, which is then among the answers.
    Key(Vec<u8>),
}

impl SearchOptions {
    /// The 10 documents nearest to a vector.
    pub fn vector(field: impl Into<String>, vector: Vec<f32>) -> Self {
        Self { field: field.into(), near: Near::Vector(vector), k: 10, filter: None }
    }

    /// The 10 documents nearest to a stored one.
    pub fn like(field: impl Into<String>, key: impl AsRef<[u8]>) -> Self {
        let near = Near::Key(key.as_ref().to_vec());
        Self { field: field.into(), near, k: 10, filter: None }
    }

    /// The same for another number of documents.
    #[must_use]
    pub const fn with_k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// The same among the documents that satisfy an expression.
    #[must_use]
    pub fn with_filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = Some(filter.into());
        self
    }
}
