//! Vector search over an exact flat head with its own files.
//!
//! [`VectorEngine`] is one engine of one vshard: it takes vectors from the log's redo, answers
//! nearest-neighbour queries exactly, and flushes incrementally: a flush writes what changed since
//! the last one and, now and then, merges it with older files. [`check_vector`] is the gate for what
//! callers send; nothing else may be logged.
//!
//! It is *not* an approximate index: every query looks at every row of its index. It is *not* a
//! catalog either: an index is a number, its dimensions are those of its first vector, and the metric
//! comes with the query.
//!
//! # Invariants
//! - Redo at or below the last applied record is skipped, so that no replay inserts a row twice.
//! - All rows of an index have the same number of dimensions.
//! - Distances of checked vectors are finite numbers; answers ascend by (distance, key).
//! - A file is immutable and proportional to what changed, or to the files that it replaces.
//!
//! # Example
//! ```
//! use nodedb_engine::{Engine, Metric, Redo, VectorChange};
//! use nodedb_env::RealFiles;
//! use nodedb_types::{CollectionId, IndexId, LogEpoch, Lsn, Stamp, TenantId};
//! use nodedb_vector::{Query, VectorEngine, check_vector};
//! use std::{convert::Infallible, sync::Arc};
//!
//! let dir = tempfile::tempdir()?;
//! let mut engine = VectorEngine::create(Arc::new(RealFiles), &dir.path().join("vectors"))?;
//! let index = IndexId::new(1);
//! let vector = vec![3.0, 4.0];
//! check_vector(2, Metric::L2, &vector)?;
//! let redo = Redo::Put {
//!     collection: CollectionId::new(1),
//!     key: b"key".to_vec().into(),
//!     value: b"{}".to_vec().into(),
//!     vectors: vec![VectorChange { index, vector: Some(vector) }],
//!,
//!     expires: None, fields: Vec::new(),
//! };
//! let at = Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST };
//! engine.apply(at, TenantId::DEFAULT, &redo);
//!
//! let query = Query { index, vector: &[0.0, 0.0], metric: Metric::L2, k: 10 };
//! let hits = engine.nearest(&query, &mut |_key| Ok::<_, Infallible>(true))?;
//! assert_eq!((&*hits[0].key, hits[0].distance), (&b"key"[..], 25.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod blocks;
mod changes;
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
pub use plan::is_among_faster;
pub use query::{Found, Neighbour, Query, SearchMode, SearchPlan};
pub use rebuild::{Rebuild, RebuildStep};
pub use rebuilt::Rebuilt;
pub use upkeep::VectorGarbage;
pub use vector_dir::verify;
