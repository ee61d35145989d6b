//! The archive of a database on object storage: its log, its base images, and the way back.
//!
//! An [`Archive`] is open for writing: it uploads ranges of the log as [`LogObject`]s and the files of
//! a checkpoint as parts and a [`BaseManifest`]. An [`ArchiveReader`] plans a restore to the newest
//! state, a position, a time or a named point, and gives back files and batches, each verified. Both
//! stand on an [`ObjectStore`], which is a directory or a service that OpenDAL speaks to.
//!
//! It is *not* a log and no engine: records are opaque bytes with positions, files are bytes with
//! paths. It decides nothing about reclaiming; it gives the proof that a reclaimer needs. It never
//! retries and starts nothing in the background: the caller's archiver does.
//!
//! # Invariants
//! - Objects are created, never overwritten and never deleted.
//! - A [`VerifiedUpload`] exists only after the object was read back equal to what was written, and
//!   only it moves an [`ArchivedTail`].
//! - A base image is completed last, with every part found and the log archived up to its ceiling,
//!   and is chosen only for targets at or above that.
//! - What is missing is [`ColdError::Gap`] with its range, what is damaged is [`ColdError::Corrupt`]
//!   with its object: no plan is shorter than its target, no byte is passed on unverified.
//! - Two writers never share a name: a take-over fences the next one, a copied directory is found by
//!   the object of its open before its first upload.
//!
//! Manifest objects, gap records, pins, retention, take-over and cloud services are not built yet.
//! The formats are described in `docs/formats/archive.md`.
//!
//! # Example
//! ```
//! use nodedb_cold::{
//!     Archive, ArchiveReader, ArchivedBatch, LogObjectBuilder, NewArchive, Nonce, RestoreTarget,
//!     Session, open_store,
//! };
//! use nodedb_env::Env;
//! use nodedb_types::{DatabaseId, Incarnation, LogEpoch, Lsn};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let env = Env::real();
//! let store = open_store(&env, "memory://example")?;
//! let new = NewArchive {
//!     database_id: DatabaseId::from_bytes(env.random.id()?),
//!     incarnation: Incarnation::from_bytes(env.random.id()?),
//!     nonce: Nonce::from_bytes(env.random.id()?),
//!     start_lsn: Lsn::FIRST,
//!     vshards: 8,
//!     segment_bytes: 1 << 20,
//!     created_ms: env.clock.unix_ms(),
//! };
//! let session = Session {
//!     log_epoch: LogEpoch::new(1),
//!     nonce: Nonce::from_bytes(env.random.id()?),
//! };
//! let archive = Archive::init(store.clone(), new, session).await?;
//!
//! let mut tail = archive.tail(None).await?;
//! let mut builder = LogObjectBuilder::new(archive.writer(), tail.next_lsn(), tail.chain())?;
//! builder.push(&ArchivedBatch {
//!     log_epoch: session.log_epoch,
//!     first_lsn: Lsn::FIRST,
//!     record_count: 2,
//!     commit_ms: env.clock.unix_ms(),
//!     body: "two records as the log encodes them".into(),
//! })?;
//! let receipt = archive.upload_log(&builder.finish()?).await?;
//! tail.advance(&receipt)?;
//! assert_eq!(tail.archived(), Lsn::from_u64(2));
//!
//! let reader = ArchiveReader::open(store, None).await?;
//! let plan = reader.plan(RestoreTarget::Latest).await?;
//! let mut batches = reader.batches(&plan);
//! while let Some(batch) = batches.next().await? {
//!     assert_eq!(batch.record_count, 2);
//! }
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(run())
//! #     .map_err(|error| std::io::Error::other(error.to_string()))?;
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod base;
mod error;
mod hash;
mod layout;
mod log_object;
mod record;
mod restore;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use base::{BaseFile, BaseFloor, BaseManifest, BasePath, PART_BYTES_MAX, PartRef};
pub use error::{ColdError, FormatError};
pub use hash::ObjectHash;
pub use layout::{BaseId, Layout};
pub use log_object::{
    ArchivedBatch, ArchivedPoint, Batches, DecodedLogObject, ExpectedIdentity, LogObject,
    LogObjectBuilder, POINTS_MAX, RAW_BYTES_MAX,
};
pub use record::{EpochRecord, FenceRecord, FormatRecord, NonceRecord};
pub use restore::{
    ArchiveReader, PlanBatches, PlannedObject, RestorePlan, RestoreTarget, list_databases,
};
pub use store::{
    Created, DirectoryStore, Folder, KeyError, Listing, ObjectKey, ObjectStore, OpendalStore,
    StoreError, StoreFuture, StoreStatus, open_store,
};
pub use verify::{Problem, ProblemKind, VerifyLevel, VerifyReport};
pub use writer::{
    Archive, ArchivedTail, CompletedBase, NewArchive, Nonce, Session, VerifiedUpload, WriterEpoch,
    WriterIdentity,
};
