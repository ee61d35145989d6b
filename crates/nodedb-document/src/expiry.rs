//! Documents that expire, and the list of times by which they are found.
//!
//! A put with an expiry writes two rows: the document, which carries the time, and an entry in a list of
//! the whole vshard that sorts by time. Whether a document has expired is judged by its own row alone;
//! the entry is a hint of where to look. A later write of the document leaves the entry behind, and the
//! sweeper drops it when its time has come and its document says otherwise. So no write has to know what
//! it overwrites, and an entry that is dropped twice, or comes back after a crash, does no harm.
//!
//! Flushes and merges keep an expired row like any other: left out, it would let the version below show
//! through, and the delete that the sweeper logs needs it to find the entries of its indexes.

use crate::{
    Direction, DocumentEngine, DocumentError, Place, ReadAt, Stored,
    memtable::Version,
    row_key::{expiry_prefix, expiry_row},
    row_range::{Edge, RowRange},
};
use bytes::Bytes;
use nodedb_engine::DurableLog;
use nodedb_types::{ByteReader, CollectionId, DecodeError, Stamp, TenantId};
use std::ops::RangeInclusive;

/// An entry in the list of times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expiring {
    /// When, in milliseconds of the commit clock: from then on the document is gone.
    pub time_ms: u64,
    /// Whose.
    pub tenant: TenantId,
    /// In which collection.
    pub collection: CollectionId,
    /// Which document.
    pub key: Bytes,
}

/// The time that a read judges by; asked for once, and only if some row expires at all.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    log: &'a dyn DurableLog,
    now_ms: Option<u64>,
}

impl<'a> Judge<'a> {
    pub(crate) const fn new(log: &'a dyn DurableLog, now_ms: Option<u64>) -> Self {
        Self { log, now_ms }
    }

    /// Whether a row is to be hidden.
    pub(crate) fn has_expired(&mut self, stored: &Stored) -> bool {
        let log = self.log;
        let mut now = || *self.now_ms.get_or_insert_with(|| log.commit_ms());
        stored.expires.is_some_and(|time| time <= now())
    }
}

impl Expiring {
    fn place(&self) -> Place<'_> {
        Place { tenant: self.tenant, collection: self.collection, key: &self.key }
    }

    fn row(&self) -> Bytes {
        expiry_row(self.time_ms, &self.place())
    }

    fn decode(row: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(row);
        reader.take("list of times", expiry_prefix().len())?;
        let time_ms = u64::from_be_bytes(reader.array("expiry")?);
        let tenant = TenantId::new(u64::from_be_bytes(reader.array("tenant")?));
        let collection = CollectionId::new(u32::from_be_bytes(reader.array("collection")?));
        let key = row.slice(row.len() - reader.left()..);
        Ok(Self { time_ms, tenant, collection, key })
    }
}

impl DocumentEngine {
    /// The commit clock, in milliseconds since 1970.
    pub fn commit_ms(&self) -> u64 {
        self.log().commit_ms()
    }

    /// The first entries of the list of times within these times, at most `limit` of them, in their
    /// order. A caller who knows that there are none before a time begins there: entries that were taken
    /// off the list are passed over one by one until a merge has removed them.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn expiring(
        &self,
        times_ms: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<Expiring>, DocumentError> {
        let edge = |time_ms: u64| {
            let mut row = expiry_prefix();
            row.extend_from_slice(&time_ms.to_be_bytes());
            Edge::before(row)
        };
        let mut range = RowRange::prefix(expiry_prefix()).starting(edge(*times_ms.start()));
        if let Some(next) = times_ms.end().checked_add(1) {
            range = range.ending(edge(next));
        }
        let rows = self.rows(&range, Direction::Ascending, ReadAt::Latest)?;
        let entry = |row: Result<(Bytes, Stored), _>| {
            let (row, _) = row?;
            let entry = Expiring::decode(&row);
            Ok(entry.map_err(|error| self.tables.corrupt(error.to_string()))?)
        };
        rows.take(limit).map(entry).collect()
    }

    /// The document of an entry, if it is still to expire at that time.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn expiring_document(&self, entry: &Expiring) -> Result<Option<Stored>, DocumentError> {
        let stored = self.stored(&entry.place(), ReadAt::Latest)?;
        Ok(stored.filter(|stored| stored.expires == Some(entry.time_ms)))
    }

    /// Takes an entry off the list. Not logged: the caller has seen that no document expires by it, or
    /// has logged and applied the delete of the one that did; after a crash it is seen again.
    pub fn forget_expiring(&mut self, entry: &Expiring) {
        let Some(lsn) = self.applied() else {
            return;
        };
        // The stamp says nothing here, but it is at or above that of the put that wrote the entry.
        let stamp = Stamp { epoch: nodedb_types::LogEpoch::new(0), lsn };
        let version = Version { stamp, expires: None, value: None };
        // Not dirty by this: what is lost of it with the memory is done again.
        self.active.write(entry.row(), version, || Some(lsn));
    }
}
