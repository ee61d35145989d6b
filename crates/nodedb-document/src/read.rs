//! Reads of single keys.

use crate::{DocumentEngine, DocumentError, Place, ReadAt, Stored, expiry::Judge};
use bytes::Bytes;
use nodedb_engine::CrdtRows;
use nodedb_types::{ByteReader, Stamp};

impl DocumentEngine {
    /// The value of a key; of a CRDT document, the encoded list of its rows. `None` where the key or
    /// its collection does not exist, and from the moment on at which the value expires.
    ///
    /// # Errors
    /// [`DocumentError::SnapshotExpired`] if the position is not readable any more,
    /// [`DocumentError::Engine`] for damage or I/O.
    pub fn get(&self, place: &Place<'_>, at: ReadAt) -> Result<Option<Stored>, DocumentError> {
        self.get_by(place, at, None)
    }

    /// As [`DocumentEngine::get`], with expiry judged by a time of the commit clock.
    pub(crate) fn get_by(
        &self,
        place: &Place<'_>,
        at: ReadAt,
        now_ms: Option<u64>,
    ) -> Result<Option<Stored>, DocumentError> {
        let stored = self.stored(place, at)?;
        let mut judge = Judge::new(self.log(), now_ms);
        Ok(stored.filter(|stored| !judge.has_expired(stored)))
    }

    /// What is stored under a key, expired or not: what a write of the key replaces, and what its
    /// indexes still hold entries of. Only [`DocumentEngine::get`] is for showing.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn stored(&self, place: &Place<'_>, at: ReadAt) -> Result<Option<Stored>, DocumentError> {
        if self.dropped.collections.contains(&place.collection) {
            return Ok(None);
        }
        self.row(&place.data(), at)
    }

    /// The rows of a CRDT document, and the stamp of its last change.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn crdt_rows(
        &self,
        place: &Place<'_>,
        at: ReadAt,
    ) -> Result<Option<(Stamp, CrdtRows)>, DocumentError> {
        let Some(head) = self.get(place, at)? else {
            return Ok(None);
        };
        let mut reader = ByteReader::new(&head.value);
        let rows = CrdtRows::decode(&mut reader)
            .and_then(|rows| reader.finish().map(|()| rows))
            .map_err(|error| self.tables.corrupt(error.to_string()))?;
        Ok(Some((head.stamp, rows)))
    }

    /// The snapshot and the updates that make up a CRDT document, as `rows` lists them. Read both at
    /// the same position.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`]; a listed row that is missing is damage.
    pub fn crdt_blobs(
        &self,
        place: &Place<'_>,
        rows: &CrdtRows,
        at: ReadAt,
    ) -> Result<(Option<Bytes>, Vec<Bytes>), DocumentError> {
        let blob = |row: &[u8], what: String| {
            let missing = || DocumentError::from(self.tables.corrupt(what));
            self.row(row, at)?.map(|row| row.value).ok_or_else(missing)
        };
        let snapshot = rows
            .snapshot
            .then(|| blob(&place.crdt_snapshot(), "a snapshot row is missing".to_owned()));
        let updates = rows
            .updates
            .iter()
            .map(|lsn| blob(&place.crdt_update(*lsn), format!("update row {lsn} is missing")));
        Ok((snapshot.transpose()?, updates.collect::<Result<_, _>>()?))
    }

    /// Newest layer first: the first that knows the row by then decides.
    pub(crate) fn row(&self, key: &[u8], at: ReadAt) -> Result<Option<Stored>, DocumentError> {
        self.tables.check(at)?;
        let frozen = self.frozen.as_ref().map(|frozen| &*frozen.memtable);
        for memtable in [Some(&self.active), frozen].into_iter().flatten() {
            if let Some(version) = memtable.get(key, at) {
                return Ok(version.stored());
            }
        }
        Ok(self.tables.get(key)?)
    }
}
