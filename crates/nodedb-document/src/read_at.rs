//! As of which position something is read.

use nodedb_types::Lsn;

/// As of which position a read sees the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadAt {
    /// As of a record: the position of an open [`nodedb_engine::Snapshot`], or one that is durable in
    /// the turn that reads. Versions below that may be gone already.
    Snapshot(Lsn),
    /// Everything applied, durable or not.
    Latest,
}

impl ReadAt {
    /// Whether a record is seen.
    pub(crate) fn sees(self, lsn: Lsn) -> bool {
        match self {
            Self::Snapshot(at) => lsn <= at,
            Self::Latest => true,
        }
    }
}
