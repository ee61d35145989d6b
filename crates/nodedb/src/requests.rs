//! What callers ask of a collection, beyond key and value.

use crate::{Error, Expect, IdempotencyId};
use nodedb_data::{Consistency, Effort};
use nodedb_document::{Direction, KeyRange};
use nodedb_engine::{CollectionKind, Metric, VectorStorage};
use nodedb_types::Durability;
use std::time::Duration;

/// A collection to be created.
#[derive(Clone, PartialEq, Debug)]
pub struct NewCollection {
    /// Its name: 1 to 64 of `a-z A-Z 0-9 _ - .`.
    pub name: String,
    /// What it holds. Default JSON documents.
    pub kind: CollectionKind,
    /// Over how many vshards its keys are spread. Default: all.
    pub partitions: Option<u16>,
    /// Its indexes, which are ready at once.
    pub indexes: Vec<NewIndex>,
}

impl NewCollection {
    /// A collection of JSON documents over all vshards, without indexes.
    pub fn named(name: impl Into<String>) -> Self {
        let kind = CollectionKind::Document;
        Self { name: name.into(), kind, partitions: None, indexes: Vec::new() }
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
        self.indexes.push(NewIndex::vector(field, dimensions, metric));
        self
    }

    /// The same with an index.
    #[must_use]
    pub fn with_index(mut self, index: NewIndex) -> Self {
        self.indexes.push(index);
        self
    }

    /// The same over fewer vshards.
    #[must_use]
    pub const fn with_partitions(mut self, partitions: u16) -> Self {
        self.partitions = Some(partitions);
        self
    }
}

/// An index to be created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewIndex {
    /// Finds the documents whose vectors are nearest.
    Vector(VectorField),
    /// Finds the documents with a value, or between two values, of a path.
    Field(FieldPath),
}

impl NewIndex {
    /// A vector index over a top-level field, stored as [`VectorStorage::Bf16`].
    pub fn vector(field: impl Into<String>, dimensions: u32, metric: Metric) -> Self {
        let storage = VectorStorage::default();
        Self::Vector(VectorField { field: field.into(), dimensions, metric, storage })
    }

    /// An ordered index over the values of a path: names of members with dots between them.
    pub fn field(path: impl Into<String>) -> Self {
        Self::Field(FieldPath { path: path.into(), unique: false })
    }

    /// The same where no two documents may have the same value; only for a collection of one partition.
    pub fn unique(path: impl Into<String>) -> Self {
        Self::Field(FieldPath { path: path.into(), unique: true })
    }
}

/// An ordered index to be created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldPath {
    /// Names of the members from the root of the document to the value, with dots between them; 1 to 256
    /// bytes.
    pub path: String,
    /// Whether no two documents may have the same value.
    pub unique: bool,
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
    /// How its segments keep numbers.
    pub storage: VectorStorage,
}

/// How a write is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WriteOptions {
    /// What the key must hold. Default: anything.
    pub expect: Option<Expect>,
    /// When it is answered. Default: as the database was created.
    pub durability: Option<Durability>,
    /// How long a put lasts, 1 ms to 36,500 days, by the clock of commits, which never goes back. From then
    /// on the document is not shown any more, and a sweeper deletes it. A later put without it lasts for
    /// ever. A delete takes none. Default: for ever.
    pub ttl: Option<Duration>,
    /// Makes it safe to send again. Default: each one that is sent is done.
    pub idempotency: Option<IdempotencyId>,
}

/// Longest life of a document that expires.
const TTL_MAX: Duration = Duration::from_hours(24 * 36_500);

impl WriteOptions {
    /// When a put that is sent at a time of the commit clock, in milliseconds, expires.
    pub(crate) fn expires(self, now_ms: u64) -> Result<Option<u64>, Error> {
        let Some(ttl) = self.ttl else {
            return Ok(None);
        };
        let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        if ms == 0 || ttl > TTL_MAX {
            return Err(Error::InvalidOption {
                option: "ttl",
                value: format!("{ttl:?}"),
                expected: "1 ms to 36500 days".to_owned(),
            });
        }
        Ok(Some(now_ms.saturating_add(ms)))
    }
}

/// How a document is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReadOptions {
    /// How fresh it is. Default [`Consistency::Strong`].
    pub consistency: Consistency,
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
    /// How fresh its snapshot is. Default [`Consistency::Strong`]. A scan never shows what can be lost:
    /// with [`Consistency::Eventual`] it shows what is durable now.
    pub consistency: Consistency,
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
    /// How hard it looks; candidates 1 to 10,000. Default [`Effort::Usual`].
    pub effort: Effort,
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
        Self {
            field: field.into(),
            near: Near::Vector(vector),
            k: 10,
            filter: None,
            effort: Effort::Usual,
        }
    }

    /// The 10 documents nearest to a stored one.
    pub fn like(field: impl Into<String>, key: impl AsRef<[u8]>) -> Self {
        let near = Near::Key(key.as_ref().to_vec());
        Self { field: field.into(), near, k: 10, filter: None, effort: Effort::Usual }
    }

    /// The same for another number of documents.
    #[must_use]
    pub const fn with_k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// The same looking harder, or less hard.
    #[must_use]
    pub const fn with_effort(mut self, effort: Effort) -> Self {
        self.effort = effort;
        self
    }

    /// The same among the documents that satisfy an expression.
    #[must_use]
    pub fn with_filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = Some(filter.into());
        self
    }
}
