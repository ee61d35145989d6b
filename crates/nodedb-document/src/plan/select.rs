//! Answers filters.

use super::{
    Plan,
    entries::{Entries, Window},
};
use crate::{
    DocumentEngine, DocumentError, Filter, Place, ReadAt, ScanPage, ScanRange,
    allowance::Allowance, expiry::Judge, row_key::HEAD_BYTES,
};
use bytes::Bytes;

/// Most rows that are looked at for a page in the order of keys, deleted ones counted.
const SCANNED_MAX: usize = 4096;
/// Fewest and most documents that are looked at for a page by their entries, each a read of its own.
const FETCHED: (usize, usize) = (64, 1024);

/// The documents of a collection that a filter matches.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// Which keys, in which order, and how many of them.
    pub range: &'a ScanRange,
    /// What they must match.
    pub filter: &'a Filter,
    /// How they are found.
    pub plan: &'a Plan,
}

impl DocumentEngine {
    /// One page of the matching documents, in the order of keys, whatever the plan is. A page looks at
    /// a bounded number of documents and may be short, or empty, though `next` is set.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`]; [`DocumentError::NotJson`] of a stored value that is no document.
    pub fn select(&self, selection: &Selection<'_>, at: ReadAt) -> Result<ScanPage, DocumentError> {
        if self.dropped.collections.contains(&selection.range.collection) {
            return Ok(ScanPage { rows: Vec::new(), next: None });
        }
        let (least, most) = FETCHED;
        let wanted = selection.range.limit_rows.clamp(least, most);
        match self.window(selection, wanted, at)? {
            Some(window) => self.fetch(selection, window, at),
            None => self.look_at_all(selection, at),
        }
    }

    /// The keys of all documents that may match, in the order of keys, if entries of indexes lead to them
    /// and to no more than the limit of rows of the range; else `None`. No document is read: whoever reads
    /// one judges it by the filter and by the clock.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn candidate_keys(
        &self,
        selection: &Selection<'_>,
        at: ReadAt,
    ) -> Result<Option<Vec<Bytes>>, DocumentError> {
        if self.dropped.collections.contains(&selection.range.collection) {
            return Ok(Some(Vec::new()));
        }
        let window = self.window(selection, selection.range.limit_rows, at)?;
        Ok(window.filter(|window| window.next.is_none()).map(|window| window.keys))
    }

    fn window(
        &self,
        selection: &Selection<'_>,
        wanted: usize,
        at: ReadAt,
    ) -> Result<Option<Window>, DocumentError> {
        let Some(access) = &selection.plan.access else {
            return Ok(None);
        };
        let entries = Entries { engine: self, range: selection.range, at };
        let probes = entries.choose(access)?;
        entries.window(&probes, wanted)
    }

    /// The page of the keys that entries lead to.
    fn fetch(
        &self,
        selection: &Selection<'_>,
        window: Window,
        at: ReadAt,
    ) -> Result<ScanPage, DocumentError> {
        let range = selection.range;
        let mut page = ScanPage { rows: Vec::new(), next: window.next };
        let allowance = Allowance::new(usize::MAX, range.limit_bytes, self.clock());
        let mut allowance = allowance.until(range.until);
        let mut keys = window.keys.into_iter().peekable();
        let mut judge = Judge::new(self.log(), range.now_ms);
        while let Some(key) = keys.next() {
            let stored = self.stored(&selection.place(&key), at)?;
            let value_bytes = stored.as_ref().map_or(0, |stored| stored.value.len());
            let may_go_on = allowance.take(key.len() + value_bytes);
            if let Some(stored) = stored.filter(|stored| !judge.has_expired(stored))
                && selection.filter.matches(&stored.value)?
            {
                page.rows.push((key.clone(), stored));
            }
            let full = page.rows.len() >= range.limit_rows;
            if (full || !may_go_on) && (keys.peek().is_some() || page.next.is_some()) {
                page.next = Some(key);
                break;
            }
        }
        Ok(page)
    }

    fn look_at_all(
        &self,
        selection: &Selection<'_>,
        at: ReadAt,
    ) -> Result<ScanPage, DocumentError> {
        let Selection { range, filter, .. } = selection;
        let mut page = ScanPage { rows: Vec::new(), next: None };
        let allowance = Allowance::new(SCANNED_MAX, range.limit_bytes, self.clock());
        let mut allowance = allowance.until(range.until);
        let mut judge = Judge::new(self.log(), range.now_ms);
        let mut rows = self.rows(&range.rows(), range.direction, at)?;
        while let Some(row) = rows.next() {
            let (row, stored) = row?;
            let value_bytes = stored.as_ref().map_or(0, |stored| stored.value.len());
            let may_go_on = allowance.take(row.len() - HEAD_BYTES + value_bytes);
            if let Some(stored) = stored.filter(|stored| !judge.has_expired(stored))
                && filter.matches(&stored.value)?
            {
                page.rows.push((row.slice(HEAD_BYTES..), stored));
            }
            let full = page.rows.len() >= range.limit_rows;
            if (full || !may_go_on) && rows.has_more() {
                page.next = Some(row.slice(HEAD_BYTES..));
                break;
            }
        }
        Ok(page)
    }
}

impl Selection<'_> {
    fn place<'k>(&self, key: &'k [u8]) -> Place<'k> {
        Place { tenant: self.range.tenant, collection: self.range.collection, key }
    }
}
