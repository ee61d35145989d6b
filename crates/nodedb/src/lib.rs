#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod archive;
mod batch;
mod checkpoint;
mod collection;
mod crdt;
mod database;
mod delete_where;
mod directory;
mod document;
mod editors;
mod error;
mod explain;
mod export;
mod hold_status;
mod idempotency;
mod identity;
mod import;
mod index;
mod index_build;
mod log;
mod log_hold;
mod log_tools;
mod open;
mod options;
mod pending;
mod requests;
mod restore;
mod restore_point;
mod scan;
mod schema;
mod sealed_file;
mod search;
mod sender;
mod statistics;
mod status;
mod tenant;
mod tenant_count;
mod tenant_counter;
mod throttle;
mod verify;
mod watch;

#[cfg(test)]
mod tests;

pub use batch::{BatchOp, BatchOptions, BatchWritten};
pub use checkpoint::{
    CheckpointOutcome, CheckpointReport, CheckpointRequest, CheckpointStatus, Laggard,
    LastCheckpoint, LogAge, Trigger, Urgency,
};
pub use collection::Collection;
pub use database::Database;
pub use delete_where::Deleted;
pub use document::{Document, Expect, Hit, Merged, Written};
pub use error::Error;
pub use hold_status::HoldStatus;
pub use idempotency::IdempotencyId;
pub use import::{ImportOptions, ImportProgress, ImportReport, LineError, OnError};
pub use index::{IndexInfo, IndexKind};
pub use index_build::IndexProgress;
pub use log_hold::LogHold;
pub use log_tools::{
    dump_log, log_segments, plan_log_truncation, record_name, truncate_log, verify_log,
};
pub use options::{ArchiveOptions, ArchivePolicy, CreateOptions, OpenOptions};
pub use pending::Pending;
pub use requests::{
    FieldPath, Near, NewCollection, NewIndex, ReadOptions, ScanOptions, SearchOptions, VectorField,
    WriteOptions,
};
pub use restore::{
    RestoreProgress, RestoreReport, RestoreRequest, RestoreTarget, plan_restore, restore,
};
pub use restore_point::RestorePoint;
pub use scan::Scan;
pub use search::SearchExplain;
pub use statistics::{CollectionStatistics, IndexStatistics};
pub use status::{ArchiveStatus, EngineStatus, Health, QuarantinedUpdate, Status, VshardStatus};
pub use tenant::{CollectionInfo, Tenant};
pub use verify::{Checked, Problem, VerifyReport, verify_archive, verify_database};
pub use watch::{Change, ChangeGroup, ChangeOp, Watch, WatchFrom};

pub use nodedb_cold::VerifyLevel;
pub use nodedb_control::TenantLimits;
pub use nodedb_crdt::loro;
pub use nodedb_data::{Consistency, Effort};
pub use nodedb_document::{Direction, KeyRange, plan::Explain};
pub use nodedb_engine::{CollectionKind, EngineKind, IndexState, Metric, VectorStorage};
pub use nodedb_types::{DatabaseId, Durability, ErrorKind, Lsn, Name, Version, VshardId, limits};
pub use nodedb_vector::SearchPlan;
pub use nodedb_wal::{
    SegmentInfo,
    inspect::{BatchKind, Dump, DumpRange, DumpedBatch, Loss, LossReport},
};

/// The example of the workspace's README, compiled and run as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
