//! One object into the store, and the proof that it is there.

use crate::{
    ColdError,
    hash::ObjectHash,
    log_object::LogObject,
    record::FenceRecord,
    store::{Created, ObjectKey, ObjectStore},
};
use bytes::Bytes;
use nodedb_types::LsnRange;

/// The receipt of a log object: it exists, and reading it back gave what was written.
///
/// Only [`crate::Archive::upload_log`] makes one, and nothing else can advance the archived position.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "the log may be reclaimed only up to a receipt"]
pub struct VerifiedUpload {
    range: LsnRange,
    hash: ObjectHash,
    bytes: u64,
}

impl VerifiedUpload {
    pub(super) fn of(object: &LogObject) -> Self {
        Self { range: object.range(), hash: object.hash(), bytes: object.bytes().len() as u64 }
    }

    /// The records that are archived.
    pub const fn range(&self) -> LsnRange {
        self.range
    }

    /// Digest of the object.
    pub const fn hash(&self) -> ObjectHash {
        self.hash
    }

    /// Length of the object, in bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// What stands under a name after a create, as reading it back shows.
#[derive(Debug)]
pub(crate) enum Placed {
    /// Our bytes.
    Ours,
    /// Other bytes, which were not touched.
    Other(Bytes),
}

/// Creates an object and reads it back. What the store answered to the create decides nothing: an
/// answer can be lost, and a success can be untrue.
pub(crate) async fn place(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    bytes: &Bytes,
    bytes_max: u64,
) -> Result<Placed, ColdError> {
    assert!(bytes.len() as u64 <= bytes_max, "object {key} is too long");
    let created = store.create(key, bytes.clone()).await;
    let found = match (store.get(key, bytes_max).await, &created) {
        (Ok(found), _) => found,
        (Err(error), Ok(_)) => return Err(error.into()),
        // Both failed: the first failure is the one to look into.
        (Err(_), Err(_)) => None,
    };
    match (found, created) {
        (Some(found), Ok(_)) if found == *bytes => Ok(Placed::Ours),
        // The answer was lost. That the bytes can be read does not say that they are durable, so the
        // store is asked once more: only an answer without error promises that.
        (Some(found), Err(_)) if found == *bytes => {
            store.create(key, bytes.clone()).await?;
            Ok(Placed::Ours)
        }
        (Some(found), Ok(Created::Exists) | Err(_)) => Ok(Placed::Other(found)),
        (None, Err(error)) => Err(error.into()),
        (found, Ok(Created::New | Created::Exists)) => Err(ColdError::Unverified {
            key: key.clone(),
            found: found.map_or("nothing".to_owned(), |found| {
                let digest = ObjectHash::of(&found);
                format!("{} other bytes with digest {digest}", found.len())
            }),
        }),
    }
}

/// What the other object under our name means.
pub(super) fn refusal(key: &ObjectKey, expected: ObjectHash, found: &[u8]) -> ColdError {
    match FenceRecord::decode(found) {
        Ok(fence) => ColdError::Fenced { by: fence.by },
        Err(_) => ColdError::Diverged { key: key.clone(), expected, found: ObjectHash::of(found) },
    }
}
