//! Opening: read everything, judge it, and only then write.

mod head;
mod listing;
mod scan;
mod settle;
mod survey;

pub(crate) use head::SurveyedSegment;
pub use settle::RecoveryReport;
pub(crate) use settle::{Settled, settle};
pub(crate) use survey::{Purpose, Survey, survey};
