//! A disk, a clock and a source of chance that tests own.
//!
//! [`SimFiles`] implements the file port of `nodedb-env` in memory and keeps apart what a program
//! sees from what a power cut would leave: every file has live and durable bytes, every directory
//! live and durable names. A test takes crash images from it, makes calls fail, damages bytes, and
//! asserts that not a byte changed.
//!
//! [`FaultyFiles`] are real files that fail or wait where a test says so. [`ProbedFiles`] ask a test before
//! every call on any files, so that it can fail the n-th of a kind, hold it, or count what comes after.
//!
//! It is *not* a scheduler: threads are real, so a run with several threads is not replayed by its
//! seed. It is *not* a model of one file system either: it does what POSIX lets a file system do,
//! which is worse than what any of them does.
//!
//! # Invariants
//! - Bytes become durable only by `sync_data` of their file; names only by `sync_dir` of their
//!   directory. Neither does the work of the other.
//! - A failed `sync_data` is reported once. Its sectors are clean from then on, and later syncs say
//!   OK without writing them.
//! - What a power cut leaves is a name's history up to some change of it, and of a file's unsynced
//!   sectors any subset, some in an earlier version. A rename is whole or absent.
//!
//! # Example
//! ```
//! use nodedb_env::{Files, Open};
//! use nodedb_testkit::SimFiles;
//! use std::path::Path;
//!
//! let disk = SimFiles::new(7);
//! let file = disk.open(Path::new("/a"), Open::CreateNew)?;
//! disk.sync_dir(Path::new("/"))?;
//! file.write_all_at(b"kept", 0)?;
//! file.sync_data()?;
//! file.write_all_at(b"lost", 0)?;
//! assert_eq!(disk.read(Path::new("/a"))?, b"lost");
//! assert_eq!(disk.crash_losing_all().read(Path::new("/a"))?, b"kept");
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod contents;
mod crash;
mod damage;
mod disk;
mod errno;
mod faults;
mod faulty_files;
mod manual_clock;
mod names;
mod probed_files;
mod seeded_random;
mod sim_file;
mod sim_files;
mod snapshot;

pub use faulty_files::{FaultyFiles, PathFaults};
pub use manual_clock::ManualClock;
pub use probed_files::{Call, Operation, Probe, ProbedFiles};
pub use seeded_random::SeededRandom;
pub use sim_files::SimFiles;
pub use snapshot::Snapshot;
