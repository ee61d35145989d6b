//! Reading an archive: what is in it, what a restore takes, and the bytes.

mod bases;
mod batches;
mod databases;
mod fetch;
mod lineage;
mod plan;
mod planner;
mod points;
mod reader;
mod target;
mod walk;

pub use batches::PlanBatches;
pub use databases::list_databases;
pub(crate) use lineage::Lineage;
pub use plan::{PlannedObject, RestorePlan};
pub use reader::ArchiveReader;
pub use target::RestoreTarget;
pub(crate) use walk::LogWalk;
