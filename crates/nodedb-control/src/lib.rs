//! Routing, admission and supervision: what stands between a caller and the data plane.
//!
//! It is *not* the catalog (that is an engine of every vshard) and never sees an engine's data.
//!
//! # Invariants
//! - Whatever passes [`Admission`] can be logged and replayed; nothing that fails it is ever logged.
//! - A key's vshard depends on its collection and its bytes only, by a hash that never changes.
//! - A tenant with a limit of bytes takes no more, but for writes that their callers gave up; see
//!   [`TenantBytes`].
//! - Every task has a name and an owner that joins it; one that panics is reported by name.
//!
//! # Example
//! ```
//! use nodedb_control::Routing;
//! use nodedb_types::{CollectionId, VshardId};
//!
//! let routing = Routing::new(8);
//! let vshard = routing.vshard(CollectionId::new(3), 8, b"key");
//! assert_eq!(vshard, routing.vshard(CollectionId::new(3), 8, b"key"));
//! assert!(routing.partitions(CollectionId::new(3), 8).any(|id| id == vshard));
//! ```
#![forbid(unsafe_code)]

mod admission;
mod error;
mod routing;
mod tasks;
mod tenant_bytes;
mod tenant_limits;

pub use admission::Admission;
pub use error::AdmissionError;
pub use routing::Routing;
pub use tasks::{Shutdown, TaskFailure, Tasks};
pub use tenant_bytes::{TenantBytes, TenantRoom};
pub use tenant_limits::TenantLimits;
