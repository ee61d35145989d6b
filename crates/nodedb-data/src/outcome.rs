//! What a vshard answers.

use crate::DataError;
use bytes::Bytes;
use nodedb_crdt::Quarantined;
use nodedb_document::{Statistics, Tally, plan::Explain};
use nodedb_engine::{Dirty, EngineKind, Floor};
use nodedb_types::{IndexId, Lsn, LsnRange, Stamp, VshardId};
use nodedb_vector::SearchPlan;
use std::path::PathBuf;

/// The answer to a request.
pub type Answer = Result<Outcome, DataError>;

/// What a request came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Of a get: the row, if there is one.
    Value(Option<Row>),
    /// Of a write.
    Written(Written),
    /// Of a group.
    GroupWritten(GroupWritten),
    /// Of a write or a group that is only to be answered [`Attempt::Again`](crate::Attempt::Again): its key
    /// is not remembered, and nothing was done.
    NeverDone,
    /// Of a scan.
    Page(Page),
    /// Of statistics.
    Statistics(Statistics),
    /// Of a slice of statistics that is not the last.
    Tally(Box<Tally>),
    /// Of statistics of indexes, in the order of their ids.
    IndexStatistics(Vec<IndexStatistics>),
    /// Of a count: rows.
    Count(u64),
    /// Of an explanation.
    Explained(Explain),
    /// Of a search, nearest first.
    Hits(Vec<Hit>),
    /// Of an explanation of a search.
    SearchExplained(SearchExplained),
    /// Of a CRDT merge.
    Merged(Merged),
    /// Of a CRDT export; `None` of a missing document.
    Exported(Option<Exported>),
    /// Of a slice of an index build.
    Built(Built),
    /// Of a flush: what is proven now, at or above the barrier for every engine.
    Flushed(VshardFloors),
    /// Of an image.
    Image(Image),
    /// Of a status request.
    Status(VshardStatus),
}

/// What an outcome takes besides its rows' bytes, about.
const OVERHEAD: usize = 128;

impl Outcome {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let row = |row: &Row| OVERHEAD + row.key.len() + row.value.len();
        OVERHEAD
            + match self {
                Self::Value(value) => value.as_ref().map_or(0, row),
                Self::Page(page) => page.rows.iter().map(row).sum(),
                Self::Hits(hits) => {
                    hits.iter().map(|hit| OVERHEAD + hit.key.len() + hit.value.len()).sum()
                }
                Self::Exported(exported) => {
                    exported.as_ref().map_or(0, |it| it.update.len() + it.version.len())
                }
                Self::GroupWritten(group) => group.writes.len() * size_of::<Written>(),
                Self::IndexStatistics(all) => all.len() * size_of::<IndexStatistics>(),
                Self::Written(_)
                | Self::SearchExplained(_)
                | Self::Explained(_)
                | Self::Count(_)
                | Self::NeverDone
                | Self::Tally(_)
                | Self::Built(_)
                | Self::Statistics(_)
                | Self::Merged(_)
                | Self::Flushed(_)
                | Self::Image(_)
                | Self::Status(_) => 0,
            }
    }
}

/// A stored row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its key.
    pub key: Bytes,
    /// Which write it is from.
    pub stamp: Stamp,
    /// The stored bytes; of a CRDT document its JSON text.
    pub value: Bytes,
}

/// What a write came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// Which write it was; `None` of a delete whose key was not there: then nothing was logged.
    pub stamp: Option<Stamp>,
}

/// What a group came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupWritten {
    /// Its records, those of an idempotency key included; `None` if it consists of deletes of missing keys
    /// only.
    pub lsns: Option<LsnRange>,
    /// What each write came to, in the order of the parts and writes as they were sent.
    pub writes: Vec<Written>,
}

/// One page of a scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Its rows in the order of the scan; may be empty though `next` is set.
    pub rows: Vec<Row>,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<Bytes>,
}

/// A search result.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// Its key.
    pub key: Bytes,
    /// Its distance by the metric of the index; smaller is nearer.
    pub distance: f32,
    /// Which write it is from.
    pub stamp: Stamp,
    /// The stored bytes.
    pub value: Bytes,
}

/// How much an index holds in one vshard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexStatistics {
    /// Which.
    pub index: IndexId,
    /// Its vectors, or its entries.
    pub entries: u64,
    /// Sealed segments with a graph; of an index over values there are none.
    pub segments: u64,
}

/// How a search was answered in one vshard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SearchExplained {
    /// How the answers were found.
    pub plan: SearchPlan,
    /// The vectors of the index here.
    pub vectors: u64,
    /// Its sealed segments.
    pub segments: u64,
}

/// What a CRDT merge came to. Merges into one document that a core serves in one turn at one durability
/// may be logged as one record: then all of them have its stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Merged {
    /// Which write it was; `None` if the document had everything already and nothing was logged.
    pub stamp: Option<Stamp>,
    /// Whether the document changed.
    pub changed: bool,
}

/// What a replica lacks of a CRDT document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exported {
    /// The last write of the document.
    pub stamp: Stamp,
    /// The updates, as a merge takes them.
    pub update: Bytes,
    /// The version vector of the document, for the `since` of the next export.
    pub version: Vec<u8>,
}

/// What a slice of an index build came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Built {
    /// Documents looked at.
    pub documents: u64,
    /// Where the next slice goes on; `None` if this vshard is done.
    pub next: Option<Bytes>,
}

/// The files of a vshard, linked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// The floors that go with these files.
    pub floors: [(EngineKind, Floor); EngineKind::ALL.len()],
    /// No record above this one is in the files.
    pub ceiling: Option<Lsn>,
    /// The files, relative to the image's directory, ascending.
    pub files: Vec<PathBuf>,
}

/// What is known of a vshard's floors, also while it is silent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VshardFloors {
    /// Which vshard.
    pub vshard: VshardId,
    /// The highest proofs so far.
    pub floors: [(EngineKind, Floor); EngineKind::ALL.len()],
    /// What its files do not hold yet, over all engines; `None` of an idle vshard.
    pub dirty: Option<Dirty>,
    /// Why its last flush failed, or its core ended; cleared by the next successful flush.
    pub failure: Option<String>,
}

/// How a vshard is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VshardStatus {
    /// Its floors.
    pub floors: VshardFloors,
    /// The last record that it has applied.
    pub applied: Option<Lsn>,
    /// Live CRDT documents in memory.
    pub crdt_documents: usize,
    /// About how much memory they take.
    pub crdt_bytes: usize,
    /// Memory of its vectors, in bytes, that are not sealed yet
    /// ([`DataOptions::unsealed_bytes_max`](crate::DataOptions::unsealed_bytes_max)).
    pub unsealed_bytes: usize,
    /// CRDT updates that made the library fail and are not tried again, the oldest first.
    pub quarantine: Vec<Quarantined>,
}
