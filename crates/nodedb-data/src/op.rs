//! What a vshard can be asked to do.

use crate::IdempotencyKey;
use bytes::Bytes;
use nodedb_document::{Direction, Filter, KeyRange, Tally, index::FieldValue};
use nodedb_engine::{CatalogChange, Metric, VectorChange};
use nodedb_types::{CollectionId, Durability, IndexId, Lsn, Stamp, VshardId};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// A request to one vshard.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Op {
    /// Reads one key. Of a CRDT collection it answers the JSON value of the document.
    Get {
        /// Where.
        collection: CollectionId,
        /// Which key.
        key: Bytes,
        /// How fresh.
        consistency: Consistency,
    },
    /// One write.
    Write(Write),
    /// One page of the rows with a prefix and within a range, in the order of their keys, as of a
    /// snapshot.
    Scan(Scan),
    /// How much a collection holds in this vshard, as of a snapshot. Counted in slices, and at once
    /// where nothing has changed since the last time.
    Statistics {
        /// Where.
        collection: CollectionId,
        /// As of which record; the caller holds the snapshot open.
        snapshot: Lsn,
        /// The time of the commit clock that expiry is judged by: one for all vshards of a collection.
        now_ms: u64,
    },
    /// One slice of the same, for somebody who counts for long and holds no snapshot meanwhile: answered
    /// with [`Outcome::Tally`](crate::Outcome::Tally) to go on with, or with the statistics at its end.
    /// The caller holds the snapshot of the slice open.
    Tally(Box<Tally>),
    /// How much the indexes of a collection hold in this vshard: vectors as applied, entries as of a
    /// snapshot. Counted in slices.
    IndexStatistics {
        /// Where.
        collection: CollectionId,
        /// As of which record; the caller holds the snapshot open.
        snapshot: Lsn,
    },
    /// How a filter over a collection is answered in this vshard.
    Explain {
        /// Where.
        collection: CollectionId,
        /// Which rows.
        filter: Arc<Filter>,
    },
    /// How many rows a collection has in this vshard, as of a snapshot.
    Count {
        /// Where.
        collection: CollectionId,
        /// Which rows; all of them without one.
        filter: Option<Arc<Filter>>,
        /// As of which record; the caller holds the snapshot open.
        snapshot: Lsn,
        /// The time of the commit clock that expiry is judged by: one for all vshards of a collection.
        now_ms: u64,
    },
    /// The nearest rows by an index. Answered once everything that it read is durable.
    Search(Search),
    /// How a search is answered: it is done, and only its plan is told.
    ExplainSearch(Search),
    /// Merges a CRDT update into a document. It is tried before it is logged. Idempotent by nature.
    CrdtMerge {
        /// Where; a CRDT collection.
        collection: CollectionId,
        /// Which document; made by the first merge.
        key: Bytes,
        /// The update as received.
        update: Bytes,
        /// When it is answered.
        durability: Durability,
    },
    /// Exports the updates of a CRDT document. Answered once everything that it read is durable.
    CrdtExport {
        /// Where; a CRDT collection.
        collection: CollectionId,
        /// Which document.
        key: Bytes,
        /// The version vector that the receiver has; `None` for everything.
        since: Option<Vec<u8>>,
    },
    /// Adds the entries of the next documents to an index that is being built. Answered once they are
    /// durable. Sent again it changes nothing.
    BuildIndex(BuildSlice),
    /// Flushes every engine up to a durable barrier. Answered with the proofs.
    Flush {
        /// The barrier, which the caller has seen durable.
        barrier: Lsn,
        /// Whether it is done as fast as it can be; else at the pace that [`DataHandle::pace`] says.
        ///
        /// [`DataHandle::pace`]: crate::DataHandle::pace
        hurries: bool,
    },
    /// Links the immutable files of the vshard into a new directory.
    Image {
        /// The directory, which must not exist; its parent must.
        into: PathBuf,
    },
    /// How the vshard is.
    Status,
}

/// How fresh a read is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Consistency {
    /// Sees everything that was acknowledged before it was asked, and nothing that can be lost.
    #[default]
    Strong,
    /// Sees nothing that can be lost, and misses nothing that was acknowledged longer ago than this. Of
    /// documents it is answered at once, from what is durable, while every write that was acknowledged
    /// below `Sync` in that vshard and is not durable is younger; otherwise as `Strong`. Writes at `Sync`
    /// are never missing. Indexes of vectors and live CRDT documents keep no older state: they answer as
    /// `Strong`.
    BoundedStaleness(Duration),
    /// Sees what is applied now, at once. A crash may take it back. A scan sees what is durable now.
    Eventual,
}

/// One page of a scan.
///
/// A page looks at a bounded number of rows, deleted and expired ones counted, at a bounded number of bytes
/// and for a few milliseconds. So it may be short, or empty, though there are more: whoever scans goes on
/// until there is no next.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Where.
    pub collection: CollectionId,
    /// Which keys; empty for all.
    pub prefix: Bytes,
    /// Only keys within these bounds.
    pub keys: KeyRange,
    /// In which order.
    pub direction: Direction,
    /// Only keys that come behind this one: the `next` of the page before.
    pub after: Option<Bytes>,
    /// Most rows of the page; 4,096 if more.
    pub rows: usize,
    /// About the most bytes of the page, 4 MiB if more; one row may exceed it.
    pub bytes: usize,
    /// Which rows.
    pub filter: Option<Arc<Filter>>,
    /// As of which record; the caller holds the snapshot open.
    pub snapshot: Lsn,
    /// Rows that have expired at this time of the commit clock are not shown; `None` for the time of the
    /// page. All pages of a scan take the same.
    pub now_ms: Option<u64>,
}

impl Scan {
    /// All rows of a collection, as one page of at most 512 rows and about 1 MiB.
    pub const fn all(collection: CollectionId, snapshot: Lsn) -> Self {
        Self {
            collection,
            prefix: Bytes::new(),
            keys: KeyRange::ALL,
            direction: Direction::Ascending,
            after: None,
            rows: 512,
            bytes: 1 << 20,
            filter: None,
            snapshot,
            now_ms: None,
        }
    }
}

/// A nearest-neighbour search.
#[derive(Clone, Debug)]
pub struct Search {
    /// Where.
    pub collection: CollectionId,
    /// By which index.
    pub index: IndexId,
    /// Near what; as long as the index has dimensions.
    pub vector: Vec<f32>,
    /// The metric of the index.
    pub metric: Metric,
    /// Most hits.
    pub k: usize,
    /// Only among these rows.
    pub filter: Option<Arc<Filter>>,
    /// How hard it looks.
    pub effort: Effort,
}

/// How hard a search looks for the nearest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Effort {
    /// As finds 98 of 100 on real text embeddings.
    #[default]
    Usual,
    /// With so many candidates in each graph, at least as many as hits are wanted: more find better and
    /// take longer.
    Candidates(usize),
    /// Every vector is measured: always the nearest.
    Exact,
}

/// One slice of building an index over the documents that were there before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildSlice {
    /// Where; a collection of documents.
    pub collection: CollectionId,
    /// Which index; one that is complete is left as it is.
    pub index: IndexId,
    /// Only documents above this key: the `next` of the slice before.
    pub after: Option<Bytes>,
}

/// One write.
#[derive(Clone, Debug)]
pub struct Write {
    /// Where; not looked at for catalog changes.
    pub collection: CollectionId,
    /// What changes.
    pub change: Change,
    /// What must hold before.
    pub expect: Option<Expect>,
    /// When it is answered; in a group the group's own counts.
    pub durability: Durability,
    /// Makes it safe to send again. In a group there is none: the group's own counts.
    pub idempotency: Option<IdempotencyKey>,
}

impl Write {
    /// Whether there are more vectors after it, or as many that are newer.
    pub(crate) fn adds_vectors(&self) -> bool {
        match &self.change {
            Change::Put { vectors, .. } => vectors.iter().any(|change| change.vector.is_some()),
            Change::Delete { .. } | Change::Catalog(_) => false,
        }
    }
}

/// What a write changes. Its values are checked by the caller against the limits and the schema.
#[derive(Clone, Debug)]
pub enum Change {
    /// The key has this value from now on. Refused for CRDT collections.
    Put {
        /// Which key.
        key: Bytes,
        /// Canonical JSON text, or raw bytes.
        value: Bytes,
        /// When it expires, in milliseconds of the commit clock; `None` for never.
        expires: Option<u64>,
        /// What the collection's vector indexes learn: one entry for each of them. If the collection
        /// has other indexes by now, the core reads the entries from the value instead.
        vectors: Vec<VectorChange>,
        /// What the collection's field indexes learn: one entry for each of them.
        fields: Vec<FieldValue>,
    },
    /// The key is gone from now on. Of a missing key nothing is logged but an idempotency key.
    Delete {
        /// Which key.
        key: Bytes,
    },
    /// The catalog changes; only in a group that carries the same to every vshard.
    Catalog(CatalogChange),
}

/// A precondition on a key, judged against the state before the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// There is no such key.
    Absent,
    /// There is such a key, whatever its value. Otherwise [`DataError::NoSuchKey`](crate::DataError).
    Present,
    /// The key's value was written by exactly this write.
    Stamp(Stamp),
}

/// An atomic batch: all of it happens or nothing.
#[derive(Clone, Debug)]
pub struct Group {
    /// What happens where, in any order; parts of one vshard are taken together.
    pub parts: Vec<Part>,
    /// When it is answered. It is never answered before it is applied everywhere.
    pub durability: Durability,
    /// Makes it safe to send again, as a whole. Not for changes of the catalog.
    pub idempotency: Option<IdempotencyKey>,
}

/// The share of one vshard in a group.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which vshard.
    pub vshard: VshardId,
    /// Its writes, in order.
    pub writes: Vec<Write>,
}
