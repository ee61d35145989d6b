//! Ordered reads over a collection, one page at a time.

use crate::{
    Direction, DocumentEngine, DocumentError, KeyRange, ReadAt, Stored,
    expiry::Judge,
    row_key::{HEAD_BYTES, data_prefix},
    row_range::RowRange,
};
use bytes::{Buf, Bytes};
use nodedb_types::{CollectionId, TenantId};
use std::{
    cmp::Ordering,
    ops::{Bound, RangeBounds},
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
}

/// A page of a scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanPage {
    /// Keys in the order of the scan, each with its value.
    pub rows: Vec<(Bytes, Stored)>,
    /// The `after` of the next page, or `None` if there are no more rows.
    pub next: Option<Bytes>,
}

/// Most expired documents that a page passes over, which await the sweeper and count to no limit.
const EXPIRED_MAX: usize = 4096;

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
    /// together show the collection as of that position. Among many expired documents a page may be
    /// short, or empty, though `next` is set.
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
        let mut expired = 0_usize;
        for row in rows {
            let (mut key, stored) = row?;
            if judge.has_expired(&stored) {
                expired += 1;
                if expired == EXPIRED_MAX {
                    page.next = Some(key.slice(HEAD_BYTES..));
                    break;
                }
                continue;
            }
            if let Some((last, _)) = page.rows.last()
                && (page.rows.len() >= range.limit_rows || bytes >= range.limit_bytes)
            {
                page.next = Some(last.clone());
                break;
            }
            key.advance(HEAD_BYTES);
            bytes = bytes.saturating_add(key.len() + stored.value.len());
            page.rows.push((key, stored));
        }
        Ok(page)
    }
}
