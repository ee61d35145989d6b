//! CRDT documents on loro: merge from anywhere, in any order, without conflict.
//!
//! [`CrdtDocument`] is a live document, built from the stored snapshot and updates. Importing an
//! update is tried before it is logged and is all or nothing; [`CrdtCache`] keeps live documents that
//! were used lately.
//!
//! It is *not* a store and writes nothing: updates and snapshots are rows of the document store,
//! under its floor. It is *not* a network protocol either: updates are bytes that replicas exchange
//! as they like. This is the only crate that knows loro, which is handed on as [`loro`].
//!
//! # Invariants
//! - An import that fails, for whatever reason, leaves the document as it was, or dead: then every
//!   later call says [`CrdtError::Panicked`] and the owner loads it again.
//! - An import whose dependencies are missing is refused and names them; nothing waits in memory.
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
//! let mut right = CrdtDocument::load(None, [&*update].into_iter())?;
//! assert!(!right.import(&update)?.changed);
//! assert_eq!(right.value_json()?, r#"{"title":"Hello"}"#);
//! # Ok::<(), nodedb_crdt::CrdtError>(())
//! ```
#![forbid(unsafe_code)]

mod cache;
mod document;
mod error;
mod json;
mod version;

pub use cache::{CrdtCache, CrdtKey};
pub use document::{CrdtDocument, Imported};
pub use error::CrdtError;
pub use loro;
pub use version::{version_from_hex, version_to_hex};
