//! A collection as answers show it.

use super::IndexAnswer;
use nodedb::CollectionInfo;
use serde::Serialize;

/// A collection as answers show it.
#[derive(Serialize, Debug)]
pub struct CollectionAnswer {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: &'static str,
    /// Over how many vshards its keys are spread.
    pub partitions: u16,
    /// How many keys it has.
    pub documents: u64,
    /// Bytes of its keys.
    pub key_bytes: u64,
    /// Stored bytes of its values.
    pub value_bytes: u64,
    /// Its indexes.
    pub indexes: Vec<IndexAnswer>,
}

impl From<CollectionInfo> for CollectionAnswer {
    fn from(info: CollectionInfo) -> Self {
        Self {
            name: info.name,
            kind: info.kind.name(),
            partitions: info.partitions,
            documents: info.documents,
            key_bytes: info.key_bytes,
            value_bytes: info.value_bytes,
            indexes: info.indexes.into_iter().map(IndexAnswer::from).collect(),
        }
    }
}
