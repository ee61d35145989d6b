//! The contract between the data plane and its engines: redo, freeze, persist, proof of flush.
//!
//! It is *not* an engine and knows no log, no queue and no network. What all engines share stands
//! here: the redo that the log carries, the [`Engine`] trait, the manifest whose atomic switch is the
//! only source of a [`Flushed`] proof, the registry of scan snapshots, and the catalog.
//!
//! # Invariants
//! - A [`Flushed`] is minted only by [`ManifestDir`]: after the files, the directory and the switch
//!   are durable, and only for a floor that the log holds durably.
//! - Redo is physical: it names ids and resulting values, so that applying it twice changes nothing.
//! - An engine that is not in [`EngineKind`] cannot be checkpointed; adding one there breaks every
//!   exhaustive match until it is.
//!
//! # Example
//! ```
//! use nodedb_engine::{RecordKind, Redo};
//! use nodedb_types::CollectionId;
//!
//! let redo = Redo::Put {
//!     collection: CollectionId::new(7),
//!     key: b"key".to_vec().into(),
//!     value: b"{}".to_vec().into(),
//!     vectors: Vec::new(),
//!     expires: None,
//!     fields: Vec::new(),
//! };
//! let bytes = redo.encode();
//! assert_eq!(Redo::decode(RecordKind::Put, &bytes)?, redo);
//! # Ok::<(), nodedb_types::DecodeError>(())
//! ```
#![forbid(unsafe_code)]

mod catalog;
mod catalog_change;
mod catalog_engine;
mod collection;
#[cfg(feature = "conformance")]
pub mod conformance;
mod engine;
mod error;
mod floors;
mod index;
mod io_budget;
mod kind;
mod manifest;
mod manifest_dir;
mod new_file;
mod redo;
mod snapshots;

pub use catalog::{Catalog, CatalogError};
pub use catalog_change::CatalogChange;
pub use catalog_engine::{CatalogEngine, FrozenCatalog, PersistedCatalog};
pub use collection::{Collection, CollectionKind};
pub use engine::{Dirty, DurableLog, Engine, Frozen, NotDurable, Persisted};
pub use error::EngineError;
pub use floors::Floor;
pub use index::{FieldIndex, Index, IndexState, Metric, VectorIndex, VectorStorage};
pub use io_budget::{Hurry, IoBudget, IoMeter, Pressure};
pub use kind::{EngineKind, RecordKind};
pub use manifest::{FileRef, Manifest};
pub use manifest_dir::{Flushed, ManifestDir};
pub use new_file::{NewFile, SyncedFile};
pub use redo::{
    CrdtRows, FieldChange, Idempotency, IndexEntry, IndexRow, IssuedKey, Redo, VectorChange,
};
pub use snapshots::{Snapshot, SnapshotExpired, Snapshots};
