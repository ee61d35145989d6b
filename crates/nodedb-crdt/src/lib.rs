//! CRDT documents on loro: merge from anywhere, in any order, without conflict.
//!
//! [`CrdtDocument`] is a live document, built from stored snapshots and updates. Importing an update
//! is tried before it is logged and is all or nothing. What an update would allocate is read from it
//! before loro sees it, within [`CrdtLimits`]. [`LiveDocument`] adds the rows in which a document is
//! stored and packs them; [`CrdtCache`] keeps the live documents that were used lately, and
//! [`Quarantine`] the updates that made loro fail.
//!
//! It is *not* a store and writes nothing: updates and snapshots are rows of the document store,
//! under its floor. It is *not* a network protocol either: updates are bytes that replicas exchange
//! as they like. This is the only crate that knows loro, which is handed on as [`loro`].
//!
//! # Invariants
//! - An import that fails, for whatever reason, leaves the document as it was, or dead: then every
//!   later call says [`CrdtError::Panicked`] and the owner loads it again.
//! - An import whose dependencies are missing is refused and names them; nothing waits in memory.
//! - What replaces stored rows was read back first.
//! - The same updates give the same JSON text, in whatever order they came.
//!
//! # Example
//! ```
//! use nodedb_crdt::CrdtDocument;
//!
//! let mut left = CrdtDocument::new();
//! let update = left.edit(1, |doc| doc.get_text("title").insert(0, "Hello"))?;
//! assert!(left.import(&update)?.changed);
//!
//! let mut right = CrdtDocument::load([&*update].into_iter())?;
//! assert!(!right.import(&update)?.changed);
//! assert_eq!(right.value_json()?, r#"{"title":"Hello"}"#);
//! # Ok::<(), nodedb_crdt::CrdtError>(())
//! ```
#![forbid(unsafe_code)]

mod block;
mod cache;
mod columns;
mod depth;
mod document;
mod error;
mod history;
mod inspect;
mod joint;
mod json;
mod limits;
mod live;
mod quarantine;
mod reader;
mod rows;
mod value;
mod version;
mod weight;

pub use cache::{CrdtCache, CrdtKey};
pub use document::{CrdtDocument, Imported};
pub use error::CrdtError;
pub use limits::CrdtLimits;
pub use live::{LiveDocument, StoredRow};
pub use loro;
pub use quarantine::{Quarantine, Quarantined};
pub use version::{Begin, version_from_hex, version_to_hex};
