//! The data plane: one thread per core owns its vshards, logs and applies in one turn, and answers
//! when the log is durable.
//!
//! [`DataPlane`] starts the cores over a log and a directory of vshards; [`DataHandle`] sends them
//! requests. A write is checked against the vshard's own state, appended to the log and applied to its
//! engines in the same turn of its core; its answer is parked and released by the log's flusher. Reads
//! never show what could still be lost. An atomic batch visits its vshards in ascending order.
//!
//! It is *not* a router (the caller names the vshard), not a validator of values, vectors and limits
//! (the caller has done that), and not a checkpointer: it flushes when asked and reports proofs.
//!
//! # Invariants
//! - The order of the log is the order of application, per vshard; what was refused is in neither.
//! - An answer to a write comes at its level of durability; an answer to a read rests only on what
//!   cannot be lost, unless the caller asked for less.
//! - A write with an idempotency key is applied at most once; its retry is answered as its first run was.
//! - A group is whole for everybody: a paused vshard answers nothing, freezes nothing and reports
//!   nothing; a core that fails within a logged group ends the process.
//! - A silent vshard is counted at its last proof; an idle one reaches every barrier without writing.
//! - Every queue has a limit, every wait a deadline, and a core that panics leaves nobody waiting.
//! - No read keeps a core for longer than some milliseconds: scans end their page, counts and searches go on
//!   in a later turn.
//! - A full disk keeps nobody from opening, reading and deleting.
//!
//! # Example
//! ```
//! use nodedb_data::{DataOptions, DataPlane, Op, Outcome, Priority, Recovery};
//! use nodedb_env::Env;
//! use nodedb_types::{Lsn, TenantId, VshardId};
//! use nodedb_wal::{LogOptions, Wal};
//! use std::time::Duration;
//!
//! let root = tempfile::tempdir()?;
//! let env = Env::real();
//! let wal_dir = root.path().join("wal");
//! env.files.create_dir(&wal_dir)?;
//! let wal = Wal::create(&env, &wal_dir, LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() })?;
//! let dir = root.path().join("vshards");
//! DataPlane::create(&env, &dir, 2)?;
//! let recovery = Recovery { vshards: 2, redo: Lsn::FIRST, proven: Vec::new() };
//! let (plane, replayed) =
//!     DataPlane::start(&env, &dir, wal.clone(), recovery, DataOptions::default())?;
//! assert_eq!(replayed.records, 0);
//!
//! let deadline = env.clock.now() + Duration::from_secs(10);
//! let ticket = plane.handle().send(
//!     TenantId::DEFAULT,
//!     VshardId::new(1),
//!     Op::Status,
//!     deadline,
//!     Priority::Foreground,
//! )?;
//! let Outcome::Status(status) = ticket.wait()?? else { return Err("a status".into()) };
//! assert_eq!(status.applied, None);
//! plane.close(deadline)?;
//! wal.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod asks;
mod ballast;
mod board;
mod clock_watch;
mod core;
mod desk;
mod durable_log;
mod engines;
mod entries;
mod error;
mod flushes;
mod group;
mod handle;
mod image;
mod maintenance;
mod once;
mod op;
mod options;
mod outcome;
mod pause;
mod plane;
mod published;
mod release;
mod remembered;
mod room;
mod seed;
mod shared;
mod task;
#[cfg(test)]
mod tests;
mod threads;
mod turn;
mod vshard;
mod weak;
mod weight;

pub use entries::{Entries, EntryError};
pub use error::DataError;
pub use handle::DataHandle;
pub use nodedb_bridge::{Priority, Ticket, TicketError};
pub use nodedb_crdt::{CrdtLimits, Quarantined};
pub use once::{Attempt, ISSUED_AHEAD_MS_MAX, IdempotencyKey};
pub use op::{
    BuildSlice, Change, Consistency, Effort, Expect, Group, Op, Part, Scan, Search, Write,
};
pub use options::DataOptions;
pub use outcome::{
    Answer, Built, Exported, GroupWritten, Hit, Image, IndexStatistics, Merged, Outcome, Page, Row,
    SearchExplained, VshardFloors, VshardStatus, Written,
};
pub use plane::{DataPlane, Proven, Recovery, Replayed};

use nodedb_types::VshardId;
use std::path::{Path, PathBuf};

/// The directory of a vshard below that of all vshards.
pub fn vshard_dir(dir: &Path, vshard: VshardId) -> PathBuf {
    dir.join(format!("{:04}", vshard.get()))
}
