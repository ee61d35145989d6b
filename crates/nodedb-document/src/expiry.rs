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
    allowance::Allowance,
    memtable::Version,
    row_key::{expiry_prefix, expiry_row},
    row_range::{Edge, RowRange},
};
use bytes::Bytes;
use nodedb_engine::DurableLog;
use nodedb_types::{ByteReader, CollectionId, DecodeError, Stamp, TenantId};

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

/// A place in the list of times: just before where an entry is, or would be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ExpiryPlace {
    /// The time of that entry, in milliseconds of the commit clock: nothing behind is due before.
    pub time_ms: u64,
    edge: Edge,
}

/// What is due, and where to go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpirySlice {
    /// Entries in their order.
    pub due: Vec<Expiring>,
    /// Before everything on the list that was not looked at; `None` at its end.
    pub next: Option<ExpiryPlace>,
}

/// Rows of the list that one slice looks at.
const SLICE_ROWS: usize = 1024;

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

impl ExpiryPlace {
    /// Before every entry.
    pub fn first() -> Self {
        Self { time_ms: 0, edge: Edge::before(expiry_prefix()) }
    }

    /// Before the entry of a document that expires at a time.
    pub fn of(time_ms: u64, place: &Place<'_>) -> Self {
        Self { time_ms, edge: Edge::before(expiry_row(time_ms, place)) }
    }

    fn before(entry: &Expiring) -> Self {
        Self::of(entry.time_ms, &entry.place())
    }
}

impl DocumentEngine {
    /// The commit clock, in milliseconds since 1970.
    pub fn commit_ms(&self) -> u64 {
        self.log().commit_ms()
    }

    /// The next entries of the list of times that are due at a time, at most `limit` of them, in their
    /// order. A slice looks at a bounded number of rows, entries that were taken off among them, and may
    /// be empty though more are due: the place where it ended tells where to go on.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn expiring(
        &self,
        from: &ExpiryPlace,
        now_ms: u64,
        limit: usize,
    ) -> Result<ExpirySlice, DocumentError> {
        let range = RowRange::prefix(expiry_prefix()).starting(from.edge.clone());
        let mut slice = ExpirySlice { due: Vec::new(), next: None };
        let mut allowance = Allowance::new(SLICE_ROWS, usize::MAX, self.clock());
        for row in self.rows(&range, Direction::Ascending, ReadAt::Latest)? {
            let (row, stored) = row?;
            let damaged = |error: DecodeError| self.tables.corrupt(error.to_string());
            let entry = Expiring::decode(&row).map_err(damaged)?;
            let may_go_on = allowance.take(row.len());
            let full = slice.due.len() >= limit;
            if stored.is_none() && may_go_on {
                continue;
            }
            if entry.time_ms > now_ms || full || !may_go_on {
                slice.next = Some(ExpiryPlace::before(&entry));
                break;
            }
            slice.due.push(entry);
        }
        Ok(slice)
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
        // What is lost of it with the memory is done again. Still it takes memory, which only a flush
        // gives back.
        self.write_version(entry.row(), version);
    }
}
