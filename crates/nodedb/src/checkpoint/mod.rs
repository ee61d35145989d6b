//! The checkpoint coordinator: barrier, flush, record, CONTROL; then reclaim.
//!
//! [`machine`] decides and is pure: events in, actions out. [`driver`] carries the actions out on the
//! runtime, and WAL calls on threads that may block. [`schedule`] says when one begins by itself,
//! [`pace`] how it is spread, [`floor_board`] what is proven, [`gates`] and [`reclaimer`] what may be deleted. The loops of
//! checkpointer, archiver and reclaimer share positions and nothing else.

mod action;
mod age;
mod backoff;
mod caller;
mod coordinator;
mod drain;
mod driver;
mod event;
#[cfg(test)]
mod explorer;
mod floor_board;
mod flushing;
mod gates;
mod life;
mod machine;
#[cfg(test)]
mod mutation;
mod outcome;
mod pace;
mod reclaimer;
mod record;
mod replay;
mod report;
mod round;
mod schedule;
mod steps;
mod streaks;
mod trigger;
mod view;

use action::Action;
pub use age::LogAge;
pub(crate) use coordinator::{Checkpointer, CheckpointerParts, records};
use event::Event;
pub(crate) use gates::ArchiveGate;
pub(crate) use life::Life;
#[cfg(test)]
use mutation::Mutation;
use outcome::Outcome;
pub(crate) use record::CheckpointRecord;
pub(crate) use replay::{Replay, ReplayWork};
pub use report::{CheckpointOutcome, CheckpointReport, CheckpointRequest, Laggard};
use round::Stage;
use schedule::Gauge;
pub(crate) use schedule::Schedule;
pub use trigger::{Trigger, Urgency};
pub use view::{CheckpointStatus, LastCheckpoint};
