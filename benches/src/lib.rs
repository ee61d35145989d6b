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

mod arguments;
mod bare_file;
mod beside;
pub mod bridge;
mod case;
pub mod crdt;
pub mod document;
mod documents;
pub mod facade;
mod groups;
mod machine;
mod payload;
mod report;
mod row;
mod shared_data;
mod statistics;
mod turns;
pub mod vector;
mod vectors;
pub mod wal;

pub use arguments::Arguments;
pub use bare_file::BareFile;
pub use beside::beside;
pub use case::{Case, Site, run_cases};
pub use documents::documents;
pub use groups::{GROUPS, run_group};
pub use machine::{Machine, cpu_time, peak_memory_kib, resident_memory_kib};
pub use payload::payload;
pub use report::Report;
pub use row::Row;
pub use shared_data::shared_data;
pub use statistics::{median, percentile, ratio, real};
pub use turns::{Contender, Effort, LIMIT, Outcome, Sample, Series, in_turns};
pub use vectors::unit_vectors;
