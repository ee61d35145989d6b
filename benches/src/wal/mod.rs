//! The log's bench: our log, the bare disk, and whoever else stores records, with the same work.

mod bare;
mod bench;
mod buffered;
mod calls;
mod case;
mod field;
mod housekeeping;
mod latency;
mod log;
mod race;
mod recovery;
mod store;

pub(crate) use calls::record;
pub(crate) use log::OpenLog;
pub(crate) use race::Race;

pub use bench::run;
pub use case::Case;
pub use store::{PAYLOAD_BYTES, Store, Subject, Workload, Writer};
