//! The checkpoint coordinator: barrier, flush, record, reclaim.
//!
//! [`round`] decides and is pure; [`record`] is what goes into the log; [`coordinator`] drives them.

mod coordinator;
mod record;
mod report;
mod round;

pub(crate) use coordinator::{Checkpointer, CheckpointerParts};
pub(crate) use record::CheckpointRecord;
pub use report::{CheckpointOutcome, CheckpointReport, CheckpointRequest};
