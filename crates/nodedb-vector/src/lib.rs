//! Vector search over an exact head and sealed graph segments, with its own files.
//!
//! [`VectorEngine`] is one engine of one vshard: it takes vectors from the log's redo, answers
//! nearest-neighbour queries, and flushes incrementally. New vectors stand in a *head*, which is
//! searched exactly and changes freely. A full head is set aside and becomes a *segment*: immutable
//! rows mapped from disk, of which a bitmap says which are dead. At first it is *flat* and searched
//! exactly too; then a graph is built over all flat rows that have gathered. Segments are merged when
//! several are alike, when more than a quarter of one is dead, and when an index has come to rest. [`check_vector`] is the gate for what callers send; nothing else may be logged.
//!
//! Building a graph takes seconds. [`VectorEngine::begin_rebuild`] hands it out as a [`Rebuild`], which
//! the maintenance thread does step by step, and the next flush takes the result in: one switch of the
//! manifest, then one turn of the core. Vectors that come faster than graphs are built wait on disk, so
//! memory is bounded by the heads ([`VectorEngine::unsealed_bytes`]) and by one merge.
//!
//! It is *not* a catalog: it keeps of each index only its [`Definition`], so that it is replayed
//! without one. It has no threads and no clock.
//!
//! # Invariants
//! - Redo at or below the last applied record is skipped, so that no replay inserts a row twice.
//! - A key of an index lives at most once: in the head, or at one slot of one segment that is not dead.
//!   A load refuses files that say otherwise.
//! - Files hold exactly what their floor says, also while segments are rebuilt: a row that dies
//!   meanwhile is dead in the new segment from its first switch on.
//! - An index has at most six graphs, and beyond them only some that are too large to be merged.
//! - Distances are computed from the full numbers and are finite; answers ascend by (distance, key).
//! - A file is immutable and proportional to what changed, or to the files that it replaces.
//!
//! # Example
//! ```
//! use nodedb_engine::{
//!     CatalogChange, Engine, Index, IndexState, Metric, Redo, VectorChange, VectorIndex, VectorStorage,
//! };
//! use nodedb_env::RealFiles;
//! use nodedb_types::{CollectionId, IndexId, LogEpoch, Lsn, Stamp, TenantId};
//! use nodedb_vector::{Query, SearchMode, VectorEngine, check_vector};
//! use std::{convert::Infallible, sync::Arc};
//!
//! let dir = tempfile::tempdir()?;
//! let mut engine = VectorEngine::create(Arc::new(RealFiles), &dir.path().join("vectors"))?;
//! let index = IndexId::new(1);
//! let create = Redo::Catalog(CatalogChange::CreateIndex {
//!     collection: CollectionId::new(1),
//!     index: Index::Vector(VectorIndex {
//!         id: index,
//!         field: "place".to_owned(),
//!         dimensions: 2,
//!         metric: Metric::L2,
//!         storage: VectorStorage::Bf16,
//!         state: IndexState::Ready,
//!     }),
//! });
//! let at = |lsn| Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST.advance(lsn) };
//! engine.apply(at(0), TenantId::DEFAULT, &create);
//!
//! let vector = vec![3.0, 4.0];
//! check_vector(2, Metric::L2, &vector)?;
//! let redo = Redo::Put {
//!     collection: CollectionId::new(1),
//!     key: b"key".to_vec().into(),
//!     value: b"{}".to_vec().into(),
//!     vectors: vec![VectorChange { index, vector: Some(vector) }],
//!     expires: None,
//!     fields: Vec::new(),
//! };
//! engine.apply(at(1), TenantId::DEFAULT, &redo);
//!
//! let mode = SearchMode::Auto;
//! let query = Query { index, vector: &[0.0, 0.0], metric: Metric::L2, k: 10, ef: None, mode };
//! let found = engine.nearest(&query, &mut |_key| Ok::<_, Infallible>(true))?;
//! let [hit] = &*found.neighbours else { return Err("one hit".into()) };
//! assert_eq!((&*hit.key, hit.distance), (&b"key"[..], 25.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod blocks;
mod changes;
mod copying;
mod definition;
mod engine;
mod error;
mod flat;
mod frozen;
mod kernel;
mod layout;
mod live_index;
mod load;
mod merge;
mod order;
mod part;
mod plan;
mod query;
mod rebuild;
mod rebuilt;
mod run;
mod search;
mod segment;
mod segment_writer;
mod tiers;
mod tombstones;
mod upkeep;
mod vector_dir;

pub use definition::Definition;
pub use engine::{VectorEngine, VectorOptions};
pub use error::{VectorError, check_vector};
pub use frozen::{FrozenVectors, PersistedVectors};
pub use plan::among_max;
pub use query::{Found, Neighbour, Query, SearchMode, SearchPlan};
pub use rebuild::{Rebuild, RebuildStep};
pub use rebuilt::Rebuilt;
pub use upkeep::VectorGarbage;
pub use vector_dir::verify;
