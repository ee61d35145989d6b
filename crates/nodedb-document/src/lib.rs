//! Documents, bytes and the rows of CRDT documents of one vshard: a memtable over immutable tables.
//!
//! A [`DocumentEngine`] is owned by one core, which applies the log to it and reads from it without
//! any lock. A maintenance thread turns frozen memtables into sorted tables ([`FrozenDocuments`]) and
//! merges those ([`TableMaintenance`]). The crate also checks the JSON text of documents ([`json`]) and
//! evaluates filters over it ([`Filter`]).
//!
//! It is *not* a database: it has no log, no threads and no catalog, and it never decides when to
//! flush. What was applied and not flushed comes back by replaying the log.
//!
//! # Invariants
//! - Tables hold only what the log holds durably and what every open scan may see: a flush waits for
//!   both before its first byte (protocol rule P3).
//! - The floor is a row of the tables, ingested in one step with the rows it speaks of (rule P13).
//! - Replaced memtables leave in the same turn in which the tables that hold them arrive.
//! - A missing or damaged file is an error that names it, never an empty or shorter store.
//! - Rows of a dropped collection are never shown again; ids are never reused.
//! - An expired row is hidden at once and kept by flushes and merges until its delete is logged (rule
//!   P7).
//!
//! # Example
//! ```
//! use nodedb_document::{DocumentEngine, Place, Ports, ReadAt};
//! use nodedb_engine::{DurableLog, Engine, Frozen, NotDurable, Redo, Snapshots};
//! use nodedb_env::Env;
//! use nodedb_types::{CollectionId, LogEpoch, Lsn, Stamp, TenantId};
//! use std::sync::Arc;
//!
//! // A log whose first record is durable.
//! #[derive(Debug)]
//! struct Log;
//! impl DurableLog for Log {
//!     fn durable(&self) -> Option<Lsn> {
//!         Some(Lsn::FIRST)
//!     }
//!     fn wait_durable(&self, lsn: Lsn) -> Result<(), NotDurable> {
//!         if lsn == Lsn::FIRST { Ok(()) } else { Err(NotDurable) }
//!     }
//! }
//!
//! let env = Env::real();
//! let ports = Ports::new(&env, Snapshots::new(env.clock.clone()), Arc::new(Log));
//! let temp = tempfile::tempdir()?;
//! let dir = temp.path().join("documents");
//! let mut engine = DocumentEngine::create(&ports, &dir)?;
//!
//! let collection = CollectionId::new(1);
//! let put = Redo::Put {
//!     collection,
//!     key: "greeting".into(),
//!     value: r#"{"text":"hello"}"#.into(),
//!     expires: None,
//!     vectors: Vec::new(),
//!     fields: Vec::new(),
//! };
//! let stamp = Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST };
//! engine.apply(stamp, TenantId::DEFAULT, &put);
//!
//! // A flush: frozen on the core, persisted on a side thread, installed on the core.
//! let frozen = engine.freeze(Lsn::FIRST).ok_or("nothing to flush")?;
//! engine.install(frozen.persist(&Log)?);
//! drop(engine);
//!
//! let engine = DocumentEngine::load(&ports, &dir)?;
//! assert_eq!(engine.flushed().floor(), Some(Lsn::FIRST));
//! let place = Place { tenant: TenantId::DEFAULT, collection, key: b"greeting" };
//! let stored = engine.get(&place, ReadAt::Latest)?.ok_or("not there")?;
//! assert_eq!(stored.value, r#"{"text":"hello"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod allowance;
mod direction;
mod document_engine;
mod dropped;
mod error;
mod expiry;
mod filter;
mod floor_row;
mod flush;
mod idempotency;
pub mod index;
pub mod json;
mod key_range;
mod memtable;
mod merged_rows;
pub mod plan;
mod ports;
mod read;
mod read_at;
mod row_key;
mod row_range;
mod scalar;
mod scan;
mod store;
mod stored;
mod table_snapshot;
mod tables;
mod tally;

pub use direction::Direction;
pub use document_engine::DocumentEngine;
pub use dropped::Dropped;
pub use error::DocumentError;
pub use expiry::{Expiring, ExpiryPlace, ExpirySlice};
pub use filter::Filter;
pub use flush::{FrozenDocuments, PersistedDocuments, TableMaintenance};
pub use idempotency::{RememberedKey, RememberedKeys};
pub use key_range::KeyRange;
pub use ports::Ports;
pub use read_at::ReadAt;
pub use row_key::Place;
pub use scan::{ScanPage, ScanRange};
pub use stored::Stored;
pub use table_snapshot::TableSnapshot;
pub use tables::{
    LsmTables, PlainTables, Row, Rows, SortedTables, TableStore, TableView, Verified,
};
pub use tally::{Statistics, Tallied, Tally};
