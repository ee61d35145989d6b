//! Files, clock, randomness and threads as ports, with the real implementation.
//!
//! Everything in NodeDB that touches the outside goes through an [`Env`], so that a simulation can
//! own time, disk, chance and scheduling. Clippy's `disallowed-methods` keeps the workspace on it.
//!
//! It is *not* a virtual file system: the calls are the ones a storage engine needs, with the
//! durability that each of them has after it returns.
//!
//! # Invariants
//! - A name is durable only after [`Files::sync_dir`] of its directory; contents only after
//!   [`File::sync_data`]. No call here syncs more than its documentation says.
//! - A failed sync is reported once. The caller never syncs the same file again (the kernel may have
//!   dropped the dirty pages and would answer "done").
//!
//! # Example
//! ```
//! use nodedb_env::{Env, Open};
//!
//! let dir = tempfile::tempdir()?;
//! let env = Env::real();
//! let path = dir.path().join("greeting");
//! let file = env.files.open(&path, Open::CreateNew)?;
//! file.write_all_at(b"hello", 0)?;
//! file.sync_data()?;
//! env.files.sync_dir(dir.path())?;
//! assert_eq!(env.files.read(&path)?, b"hello");
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod clock;
mod files;
mod random;
mod real_files;
mod threads;

pub use clock::{Clock, RealClock};
pub use files::{Entry, EntryKind, File, FileIdentity, FileLock, Files, Open};
pub use random::{Random, RealRandom};
pub use real_files::RealFiles;
pub use threads::{RealThreads, Thread, Threads};

use std::sync::Arc;

/// The four ports, passed to whatever needs the outside.
#[derive(Clone, Debug)]
pub struct Env {
    /// Files and directories.
    pub files: Arc<dyn Files>,
    /// Monotonic and wall time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub random: Arc<dyn Random>,
    /// Named threads.
    pub threads: Arc<dyn Threads>,
}

impl Env {
    /// The machine itself.
    pub fn real() -> Self {
        Self {
            files: Arc::new(RealFiles),
            clock: Arc::new(RealClock::new()),
            random: Arc::new(RealRandom),
            threads: Arc::new(RealThreads),
        }
    }
}
