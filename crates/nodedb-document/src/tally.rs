//! How much a collection holds.

use crate::{
    Direction, DocumentEngine, DocumentError, ReadAt,
    allowance::Allowance,
    expiry::Judge,
    row_key::{HEAD_BYTES, collection_rows, is_document},
};
use bytes::Bytes;
use nodedb_types::{CollectionId, Lsn, TenantId};
use std::time::Duration;

/// How much a collection holds in one vshard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Documents.
    pub documents: u64,
    /// Bytes of their keys.
    pub key_bytes: u64,
    /// Stored bytes of their values; of CRDT documents those of their snapshots and updates.
    pub value_bytes: u64,
}

/// Statistics on their way, in slices, so that other work gets its turn.
#[derive(Clone, Debug)]
pub struct Tally {
    tenant: TenantId,
    collection: CollectionId,
    /// The snapshot that it began with, and the one that it goes on with.
    begun: Lsn,
    snapshot: Lsn,
    now_ms: u64,
    /// The row that the last slice ended with.
    last: Option<Bytes>,
    found: Statistics,
    expires_next: Option<u64>,
}

/// Finished statistics, and until when they hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tallied {
    /// What was found.
    pub statistics: Statistics,
    /// As of which record; of a tally over several snapshots the first of them, as of which it only holds if
    /// nothing has changed since.
    pub snapshot: Lsn,
    /// When the first of the documents expires, in milliseconds of the commit clock: from then on there
    /// are fewer.
    pub expires_next: Option<u64>,
}

/// Rows that one slice looks at, deleted ones counted, and about their bytes.
const SLICE_ROWS: usize = 4096;
const SLICE_BYTES: usize = 4 << 20;

impl std::ops::AddAssign for Statistics {
    fn add_assign(&mut self, other: Self) {
        self.documents += other.documents;
        self.key_bytes += other.key_bytes;
        self.value_bytes += other.value_bytes;
    }
}

impl Tally {
    /// The statistics of a collection as of an open snapshot, judging expiry by a time of the commit
    /// clock.
    pub const fn new(
        tenant: TenantId,
        collection: CollectionId,
        snapshot: Lsn,
        now_ms: u64,
    ) -> Self {
        let found = Statistics { documents: 0, key_bytes: 0, value_bytes: 0 };
        Self {
            tenant,
            collection,
            begun: snapshot,
            snapshot,
            now_ms,
            last: None,
            found,
            expires_next: None,
        }
    }

    /// Goes on as of a newer open snapshot: then nothing has to be held for as long as the whole takes. Each
    /// row counts as of one of the snapshots, which is all that an upper bound needs to which the writes
    /// since the first are added.
    ///
    /// # Panics
    /// If the snapshot is older than the one before.
    #[must_use]
    pub fn at(self, snapshot: Lsn) -> Self {
        assert!(snapshot >= self.snapshot, "a tally goes on with newer snapshots");
        Self { snapshot, ..self }
    }

    /// Whose collection it is about, and which.
    pub const fn of(&self) -> (TenantId, CollectionId) {
        (self.tenant, self.collection)
    }

    /// As of which record.
    pub const fn snapshot(&self) -> Lsn {
        self.snapshot
    }

    /// The time that expiry is judged by.
    pub const fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

impl DocumentEngine {
    /// Goes on with a tally by one slice, which ends at `until` at the latest, a time of the clock of
    /// [`crate::Ports`]. No value is copied. Answers the result once it is complete.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn tally(
        &self,
        tally: &mut Tally,
        until: Option<Duration>,
    ) -> Result<Option<Tallied>, DocumentError> {
        if self.dropped.collections.contains(&tally.collection) {
            let (statistics, snapshot) = (Statistics::default(), tally.begun);
            return Ok(Some(Tallied { statistics, snapshot, expires_next: None }));
        }
        let mut range = collection_rows(tally.tenant, tally.collection);
        if let Some(last) = tally.last.take() {
            range = range.past(last, Direction::Ascending);
        }
        let at = ReadAt::Snapshot(tally.snapshot);
        let mut judge = Judge::new(self.log(), Some(tally.now_ms));
        let mut allowance = Allowance::new(SLICE_ROWS, SLICE_BYTES, self.clock()).until(until);
        for row in self.rows(&range, Direction::Ascending, at)? {
            let (row, stored) = row?;
            let value_bytes = stored.as_ref().map_or(0, |stored| stored.value.len());
            let may_go_on = allowance.take(row.len() + value_bytes);
            if let Some(stored) = stored.filter(|stored| !judge.has_expired(stored)) {
                tally.found.value_bytes += stored.value.len() as u64;
                if is_document(&row) {
                    tally.found.documents += 1;
                    tally.found.key_bytes += (row.len() - HEAD_BYTES) as u64;
                }
                let times = tally.expires_next.into_iter().chain(stored.expires);
                tally.expires_next = times.min();
            }
            if !may_go_on {
                tally.last = Some(row);
                return Ok(None);
            }
        }
        Ok(Some(Tallied {
            statistics: tally.found,
            snapshot: tally.begun,
            expires_next: tally.expires_next,
        }))
    }
}
