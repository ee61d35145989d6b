//! What a core does in a turn, by kind of request.

mod admit;
mod build;
mod burial;
mod count;
mod failures;
mod flush;
mod group;
mod merge;
mod once;
mod request;
mod search;
mod sweep;
mod vectors;
mod write;

pub(crate) use count::{CountRun, CountWork};
pub(crate) use failures::Failures;
pub(crate) use merge::Merges;
pub(crate) use search::Searching;
pub(crate) use sweep::Sweep;
pub(crate) use vectors::{Graphs, Refusals};
