//! A segmented write-ahead log: group commit, recovery by evidence, truncation by proof.
//!
//! Records get dense numbers (LSNs) when they take a place in a staging buffer. One thread at a time writes
//! and syncs what is staged, so one sync serves everybody who waits: a caller that blocks leads itself if
//! nobody does, and a flusher thread leads for those who do not block. Segments are allocated, zero-filled
//! and synced before they are needed, and appends are positioned writes into them.
//!
//! It is *not* a queue and not a store: payloads are opaque, there are no keys, and nothing is removed
//! except from the old end. It does *not* replicate, compress or encrypt. One process opens it at a time.
//! It needs no runtime, and Linux or another Unix; beside the ports of `nodedb-env` it depends on seven
//! libraries, 18 crates in all without derive macros.
//!
//! # Writing
//! | call | returns when | what survives then |
//! |---|---|---|
//! | [`Wal::stage`] | the group has its place | nothing yet; the next pass takes it |
//! | [`Wal::append`] | the group has its place, and the flusher is asked | nothing yet |
//! | [`Wal::flush`] | it is written | a killed process |
//! | [`Wal::commit`] | it is synced, by this thread if by no other | a power cut |
//! | [`Wal::wait_durable`], [`Wal::durable_future`] | it is synced, by another thread | a power cut |
//!
//! What [`Wal::append`] asks for: `Sync` a sync at once; `Buffered` a write at once, so that a power cut takes
//! what no other write, rotation or close has synced; `Periodic { every }` a write at once and a sync within
//! `every`, which is what a power cut can take.
//!
//! Appending and committing allocate no memory (`tests/allocations.rs`). A group is whole or not there after
//! every crash. Limits: a group as long as a segment without its first and last pages
//! ([`Wal::group_bytes_max`]), `staging_bytes_max` in memory, one process, 64 named pins.
//!
//! # Invariants
//! - Records are dense: what can be read is exactly `oldest ..= written`, without a gap.
//! - `durable <= written <= appended`; each only grows while a log is open.
//! - A record reported durable is there after every crash, with its group whole and its bytes unaltered.
//! - A failed write or sync poisons the log until it is opened again: nothing is acknowledged, synced,
//!   recorded or deleted after it.
//! - Recovery cuts a tail only if nothing in it is proven to have been durable; every batch header
//!   carries the durable position known when it was written, and that is the evidence. Where evidence
//!   outlives the records, opening fails and changes no byte.
//! - An LSN that was lost with a tail is used again only in a later epoch: `(epoch, lsn)` is unique.
//! - Segments are removed only by a [`TruncationPlan`], never above what both slots of CONTROL allow.
//! - A named pin that was reported taken or moved holds the log so after every crash, until it is moved,
//!   released or, over its limit, durably marked as given up.
//!
//! # Tools and examples
//! `examples/kv.rs` is a durable key-value store with checkpoints, `examples/tail.rs` a replica that follows
//! the log over restarts. A damaged log is looked at, and as a last resort cut, with [`inspect`].
//!
//! The byte layout is described in `docs/formats/wal.md`.
//!
//! # Reading
//! | what | waits | for |
//! |---|---|---|
//! | [`Wal::reader`] | never | replay, archives, lookups: from any record on, to the limit |
//! | [`Wal::tail`] | blocking or as a future | replicas, change feeds: batch after batch as they come |
//! | [`Wal::subscribe_durable`], [`Wal::subscribe_written`] | blocking or as a future | positions alone, one notification per change |
//!
//! None of them asks for a sync, holds anything back or keeps the log open. What must not be reclaimed
//! before it is read is pinned: [`Wal::pin`] for as long as a handle lives, [`Wal::pin_persistent`] over
//! restarts. `examples/tail.rs` is a replica that does all of this.
//!
//! # Example
//! ```
//! use nodedb_env::Env;
//! use nodedb_types::{TenantId, VshardId};
//! use nodedb_wal::{AppendClass, LogOptions, ReadLimit, Record, Wal};
//! use std::time::Duration;
//!
//! let dir = tempfile::tempdir()?;
//! let env = Env::real();
//! let options = LogOptions { segment_bytes: 64 << 10, ..LogOptions::default() };
//! let wal = Wal::create(&env, dir.path(), options.clone())?;
//! let record = Record {
//!     tenant: TenantId::DEFAULT,
//!     vshard: VshardId::new(0),
//!     kind: 1,
//!     payload: b"hello",
//! };
//! let range = wal.stage(&[record], AppendClass::User)?;
//! let deadline = env.clock.now() + Duration::from_secs(10);
//! wal.commit(range.start(), deadline)?;
//! wal.close()?;
//!
//! let (wal, report) = Wal::open(&env, dir.path(), options)?;
//! assert_eq!(report.last, range.last());
//! let mut reader = wal.reader(wal.oldest(), ReadLimit::Durable)?;
//! let batch = reader.next_batch()?.ok_or("one batch")?;
//! assert_eq!(batch.records().next().ok_or("one record")?.payload, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod append;
mod batch;
mod builder;
mod chain;
mod commit;
mod committer;
mod control;
mod core;
mod demand;
mod error;
mod flusher;
mod format;
mod future;
mod handle;
pub mod inspect;
mod options;
mod pins;
mod preparer;
mod reader;
mod record;
mod recovery;
mod segment;
mod stage;
mod sync;
mod tail;
mod truncation;
mod turns;
mod wal;
mod wanted;
mod watch;
mod word;

pub use builder::{LogBuilder, StoredRecord};
pub use control::Control;
pub use core::DurabilityListener;
pub use error::{AppendError, Evidence, PoisonCause, ReadError, WaitError, WalError};
pub use future::DurableFuture;
pub use options::LogOptions;
pub use pins::{NamedPin, PinError, PinInfo, PinPolicy, PinState, RetentionPin};
pub use reader::{Batch, ReadLimit, Reader, Records, decode_records};
pub use record::{GroupFlags, Record, RecordView, SKIPPABLE};
pub use recovery::RecoveryReport;
pub use segment::SegmentInfo;
pub use stage::AppendClass;
pub use tail::{Next, Tail, TailError};
pub use truncation::{Hold, Truncated, TruncationPlan};
pub use wal::{LogHealth, Wal};
pub use wanted::Wanted;
pub use watch::{Past, Watch};
