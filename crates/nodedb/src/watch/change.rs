//! What a record of the log says of a key.

use crate::Error;
use bytes::Bytes;
use nodedb_engine::{Catalog, Collection as Definition, CollectionKind, RecordKind, Redo};
use nodedb_types::{CollectionId, Name, TenantId, Version};
use nodedb_wal::RecordView;

/// The changes of one atomic group, in its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeGroup {
    /// The position to watch on after: that of its last record.
    pub version: Version,
    /// When it was committed, in milliseconds since 1970 by a clock that never goes back.
    pub time_ms: u64,
    /// At least one.
    pub changes: Vec<Change>,
}

/// A change of one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Of which collection.
    pub collection: Name,
    /// What that holds.
    pub kind: CollectionKind,
    /// The version that a put gave it, and the position of any change: to watch on after it, if need be in
    /// the middle of its group.
    pub version: Version,
    /// Which key.
    pub key: Bytes,
    /// What became of it.
    pub op: ChangeOp,
}

/// What became of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChangeOp {
    /// It has this value from now on: JSON text, or the bytes of a bytes collection.
    Put {
        /// The value as it is stored.
        value: Bytes,
    },
    /// It is gone: deleted, or expired and swept.
    Delete,
    /// A CRDT update was merged into it.
    Merge {
        /// The update, or several that came together as one. Merging it into a replica is idempotent.
        update: Bytes,
    },
}

impl ChangeOp {
    /// Its name in answers.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Put { .. } => "put",
            Self::Delete => "delete",
            Self::Merge { .. } => "merge",
        }
    }
}

/// Which changes are of interest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) tenant: TenantId,
    /// `None` for all of the tenant.
    pub(super) collection: Option<CollectionId>,
}

impl Reading {
    /// The change that a record is, if it is one of interest.
    pub(super) fn change(
        &self,
        catalog: &Catalog,
        record: &RecordView,
        version: Version,
    ) -> Result<Option<Change>, Error> {
        // What a newer version of this software may skip is skipped here too.
        let Some(kind) =
            RecordKind::from_code(record.kind).filter(|_| record.tenant == self.tenant)
        else {
            return Ok(None);
        };
        if kind.is_housekeeping() {
            return Ok(None);
        }
        let (id, key, op) = match Redo::decode(kind, &record.payload)? {
            Redo::Put { collection, key, value, .. } => (collection, key, ChangeOp::Put { value }),
            Redo::Delete { collection, key, .. } => (collection, key, ChangeOp::Delete),
            Redo::CrdtMerge { collection, key, update, .. } => {
                (collection, key, ChangeOp::Merge { update })
            }
            // The same documents as before, or what is no document.
            Redo::CrdtSnapshot { .. }
            | Redo::IndexRows { .. }
            | Redo::Idempotency(_)
            | Redo::Catalog(_) => return Ok(None),
        };
        if self.collection.is_some_and(|wanted| wanted != id) {
            return Ok(None);
        }
        let change = |of: &Definition| Change {
            collection: of.name.clone(),
            kind: of.kind,
            version,
            key,
            op,
        };
        Ok(catalog.get(id).map(change))
    }
}
