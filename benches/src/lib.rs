//! Workloads that the benches share, so that figures of two crates are about the same bytes, and the
//! limit that writes are held against.
//!
//! Every workload is the same for the same seed. It is *not* a load generator: a bench decides how
//! many threads run and for how long.
//!
//! # Example
//! ```
//! use nodedb_bench::{documents, unit_vectors};
//!
//! assert_eq!(documents(7, 10), documents(7, 10));
//! assert_eq!(unit_vectors(7, 3, 384)[2].len(), 384);
//! ```
#![forbid(unsafe_code)]

mod bare_file;
mod beside;
mod documents;
mod payload;
mod vectors;

pub use bare_file::BareFile;
pub use beside::{Row, beside};
pub use documents::documents;
pub use payload::payload;
pub use vectors::unit_vectors;
