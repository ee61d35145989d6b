//! Opening: read everything, judge it, and only then write.

mod head;
mod intent;
mod listing;
mod scan;
mod settle;
mod survey;

pub(crate) use head::{Head, Shape, SurveyedSegment};
pub(crate) use intent::Intent;
pub(crate) use listing::Listing;
pub(crate) use scan::{ScannedBatch, SegmentScan};
pub use settle::RecoveryReport;
pub(crate) use settle::{Settled, settle};
pub(crate) use survey::{Purpose, Survey, read_control, survey};
