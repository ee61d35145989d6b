//! Looking at a log that need not be sound, and the one repair that loses data.
//!
//! | call | changes | lock | of a damaged log |
//! |---|---|---|---|
//! | [`verify`], [`segments`] | nothing | none | the error of an open |
//! | [`dump`] | nothing | none | what is valid, then the error of an open |
//! | [`plan_truncation`] | nothing | none | what a truncation would leave and lose |
//! | [`truncate`] | the log's end | taken | a log that opens, the originals copied aside |
//!
//! What takes no lock may look at a log that a process has open. It then sees some moment of the
//! log's end, which may be in the middle of a write: a torn end or a segment that is gone means nothing
//! then. Only what was verified is ever shown.

mod copies;
mod dump;
mod loss;
mod rebuilt;
mod segments;
mod truncate;
mod verify;
mod walk;

pub use dump::{BatchKind, Dump, DumpRange, DumpedBatch, dump};
pub use loss::{Loss, plan_truncation};
pub use segments::segments;
pub use truncate::{LossReport, LossyTruncation, truncate};
pub use verify::{VerifyReport, verify};
