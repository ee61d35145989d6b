//! Segment files: header page, first batch, names, the list of live ones, read-only views.

mod header;
pub(crate) mod index;
mod link;
pub(crate) mod map;
pub(crate) mod name;
mod set;
mod spare;
mod writer;

pub(crate) use header::{Identity, SegmentHeader};
pub(crate) use link::{Reason, SegmentLink};
pub use set::SegmentInfo;
pub(crate) use set::{Segment, SegmentSet};
pub(crate) use spare::Spare;
pub(crate) use writer::{SegmentWriter, Start};
