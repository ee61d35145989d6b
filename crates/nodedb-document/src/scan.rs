//! Ordered reads over a collection, one page at a time.

use crate::{
    Direction, DocumentEngine, DocumentError, KeyRange, ReadAt, Stored,
    allowance::Allowance,
    expiry::Judge,
    row_key::{HEAD_BYTES, data_prefix},
    row_range::RowRange,
};
use bytes::Bytes;
use nodedb_types::{CollectionId, TenantId};
use std::{
    cmp::Ordering,
    ops::{Bound, RangeBounds},
    time::Duration,
};

/// Which rows of a collection, in which order, and how many of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanRange {
    /// Whose.
    pub tenant: TenantId,
    /// Of which collection.
    pub collection: CollectionId,
    /// Keys that start with this; all of them if empty.
    pub prefix: Bytes,
    /// Keys within these bounds.
    pub keys: KeyRange,
    /// In which order.
    pub direction: Direction,
    /// Keys that come behind this one, which is not shown itself.
    pub after: Option<Bytes>,
    /// Most rows of the page, at least 1.
    pub limit_rows: usize,
    /// About the most bytes of keys and values of the page. The first row is always in it.
    pub limit_bytes: usize,
    /// Values that have expired at this time of the commit clock are not shown. `None` for the time of
    /// the read; a scan of many pages gives the same to all of them.
    pub now_ms: Option<u64>,
    /// When the page has to end, by the clock of [`crate::Ports`]; `None` for no bound but the others.
    /// One row is looked at in any case.
    pub until: Option<Duration>,
}

/// A page of a scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanPage {
    /// Keys in the order of the scan, each with its value.
    pub rows: Vec<(Bytes, Stored)>,
    /// The `after` of the next page, or `None` if there are no more rows.
    pub next: Option<Bytes>,
}

/// Most rows that a page passes over without showing them, and about their most bytes: deleted ones that
/// await a merge, expired ones that await the sweeper, and those that are newer than the snapshot.
const HIDDEN_ROWS_MAX: usize = 4096;
const HIDDEN_BYTES_MAX: usize = 1 << 20;

impl ScanRange {
    /// All rows of a collection on one page, in ascending order.
    pub const fn all(tenant: TenantId, collection: CollectionId) -> Self {
        Self {
            tenant,
            collection,
            prefix: Bytes::new(),
            keys: KeyRange::ALL,
            direction: Direction::Ascending,
            after: None,
            limit_rows: usize::MAX,
            limit_bytes: usize::MAX,
            now_ms: None,
            until: None,
        }
    }

    pub(crate) fn rows(&self) -> RowRange {
        self.rows_of(|key| data_prefix(self.tenant, self.collection, key))
    }

    /// The rows of its keys, given what the row of a key is.
    pub(crate) fn rows_of(&self, row: impl Fn(&[u8]) -> Vec<u8>) -> RowRange {
        let range = RowRange::prefix(row(&self.prefix)).within(&self.keys, &row);
        match &self.after {
            None => range,
            Some(after) => range.past(row(after), self.direction),
        }
    }

    /// Whether it asks for a key.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        fn bound(bound: &Bound<Bytes>) -> Bound<&[u8]> {
            bound.as_ref().map(|key| &**key)
        }
        let keys = (bound(&self.keys.from), bound(&self.keys.to));
        let behind = |after: &Bytes| self.direction.compare(&**after, key) == Ordering::Less;
        key.starts_with(&self.prefix)
            && RangeBounds::<[u8]>::contains(&keys, key)
            && self.after.as_ref().is_none_or(behind)
    }
}

impl DocumentEngine {
    /// One page of a collection, in the order of keys. Pages that are read at the same open snapshot
    /// together show the collection as of that position. A page may be short, or empty, though `next` is
    /// set: among many deleted or expired documents, and where time runs out.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn scan(&self, range: &ScanRange, at: ReadAt) -> Result<ScanPage, DocumentError> {
        let mut page = ScanPage { rows: Vec::new(), next: None };
        let mut bytes = 0_usize;
        let rows = self.rows(&range.rows(), range.direction, at)?;
        if self.dropped.collections.contains(&range.collection) {
            return Ok(page);
        }
        let mut judge = Judge::new(self.log(), range.now_ms);
        let mut hidden = Allowance::new(HIDDEN_ROWS_MAX, HIDDEN_BYTES_MAX, self.clock());
        let mut all = Allowance::new(usize::MAX, usize::MAX, self.clock()).until(range.until);
        for row in rows {
            let (row, stored) = row?;
            let key = row.slice(HEAD_BYTES..);
            let length = key.len() + stored.as_ref().map_or(0, |stored| stored.value.len());
            let go_on = match stored.filter(|stored| !judge.has_expired(stored)) {
                None => hidden.take(length),
                Some(stored) => {
                    if let Some((last, _)) = page.rows.last()
                        && (page.rows.len() >= range.limit_rows || bytes >= range.limit_bytes)
                    {
                        page.next = Some(last.clone());
                        break;
                    }
                    bytes = bytes.saturating_add(length);
                    page.rows.push((key.clone(), stored));
                    true
                }
            };
            if !all.take(length) || !go_on {
                page.next = Some(key);
                break;
            }
        }
        Ok(page)
    }
}
