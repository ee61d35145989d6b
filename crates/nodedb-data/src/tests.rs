//! Behaviour of a whole data plane over a real log and real files.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test fails on every outcome but the one it expects"
)]

use bytes::Bytes;
use nodedb_crdt::{CrdtError, LiveDocument};

/// The update that makes the library panic in the middle of its work.
pub(crate) const PLANTED: &[u8] = b"a planted panic";

/// Panics inside of the document, as the library would, if the update says so.
pub(crate) fn planted_panic(document: &LiveDocument, update: &[u8]) -> Result<(), CrdtError> {
    if update != PLANTED {
        return Ok(());
    }
    document.document().edit(1, |_| panic!("planted")).map(drop)
}

/// Panics in the same way if one of several updates says so.
pub(crate) fn planted_joint_panic(
    document: &LiveDocument,
    updates: &[Bytes],
) -> Result<(), CrdtError> {
    updates.iter().try_for_each(|update| planted_panic(document, update))
}

mod asks;
mod bounds;
mod budget;
mod build;
mod copies;
mod cores;
mod crdt;
mod durability;
mod expiry;
mod fields;
mod flush;
mod full_disk;
mod groups;
mod kill;
mod machine;
mod merges;
mod once;
mod reads;
mod retries;
mod serial;
mod start;
mod vectors;
mod visits;
mod world;
