//! Whether an archive is whole. Changes nothing.

mod base_check;
mod check;
mod log_check;
mod report;

pub use report::{Problem, ProblemKind, VerifyLevel, VerifyReport};
