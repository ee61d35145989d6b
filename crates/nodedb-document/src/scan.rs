//! Ordered reads over a collection, one page at a time.

use crate::{
    DocumentEngine, DocumentError, ReadAt, Stored,
    memtable::Memtable,
    row_key::{HEAD_BYTES, after_prefix, data_prefix},
};
use bytes::Bytes;
use nodedb_engine::EngineError;
use nodedb_types::{CollectionId, TenantId};
use std::{iter::Peekable, ops::Bound};

/// Which rows of a collection, and how many of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanRange {
    /// Whose.
    pub tenant: TenantId,
    /// Of which collection.
    pub collection: CollectionId,
    /// Keys that start with this; all of them if empty.
    pub prefix: Bytes,
    /// Keys above this one, which is not shown itself.
    pub after: Option<Bytes>,
    /// Most rows of the page, at least 1.
    pub limit_rows: usize,
    /// About the most bytes of keys and values of the page. The first row is always in it.
    pub limit_bytes: usize,
}

/// A page of a scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanPage {
    /// Keys in ascending order, each with its value.
    pub rows: Vec<(Bytes, Stored)>,
    /// The `after` of the next page, or `None` if there are no more rows.
    pub next: Option<Bytes>,
}

/// What one layer knows of a row: a tombstone of an upper layer hides the rows below it.
type Layer<'a> =
    Peekable<Box<dyn Iterator<Item = Result<(Bytes, Option<Stored>), EngineError>> + 'a>>;

impl DocumentEngine {
    /// One page of a collection, in the order of keys. Pages that are read at the same open snapshot
    /// together show the collection as of that position.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn scan(&self, range: &ScanRange, at: ReadAt) -> Result<ScanPage, DocumentError> {
        self.tables.check(at)?;
        let mut page = ScanPage { rows: Vec::new(), next: None };
        if self.dropped.collections.contains(&range.collection) {
            return Ok(page);
        }
        let prefix = data_prefix(range.tenant, range.collection, &range.prefix);
        let after = range
            .after
            .as_ref()
            .map(|key| data_prefix(range.tenant, range.collection, key))
            .filter(|after| *after >= prefix);
        let from = after.as_deref().map_or(Bound::Included(prefix.as_slice()), Bound::Excluded);
        let end = after_prefix(&prefix);
        // A cursor beyond the prefix asks for nothing; a map panics over bounds in the wrong order.
        if let (Some(after), Some(end)) = (&after, &end)
            && after >= end
        {
            return Ok(page);
        }
        let frozen = self.frozen.as_ref().map(|frozen| &*frozen.memtable);
        let tables = self.tables.range(from, end.as_deref()).map(|row| {
            let (key, value) = row?;
            Ok((key, Some(self.tables.decode(&value)?)))
        });
        let mut layers: Vec<Layer<'_>> = [Some(&self.active), frozen]
            .into_iter()
            .flatten()
            .map(|memtable| layer(memtable, from, end.as_deref(), at))
            .collect();
        let tables: Box<dyn Iterator<Item = _>> = Box::new(tables);
        layers.push(tables.peekable());
        fill(&mut page, range, &mut layers)?;
        Ok(page)
    }
}

fn layer<'a>(
    memtable: &'a Memtable,
    from: Bound<&'a [u8]>,
    end: Option<&'a [u8]>,
    at: ReadAt,
) -> Layer<'a> {
    let rows = memtable.range(from, end, at).map(|(key, version)| {
        let stamp = version.stamp;
        let stored = version.value.clone().map(|value| Stored { stamp, value });
        Ok((key.clone(), stored))
    });
    let rows: Box<dyn Iterator<Item = _>> = Box::new(rows);
    rows.peekable()
}

fn fill(
    page: &mut ScanPage,
    range: &ScanRange,
    layers: &mut [Layer<'_>],
) -> Result<(), EngineError> {
    let mut bytes = 0_usize;
    while let Some((row, stored)) = next_row(layers)? {
        let Some(stored) = stored else { continue };
        if let Some((last, _)) = page.rows.last()
            && (page.rows.len() >= range.limit_rows || bytes >= range.limit_bytes)
        {
            page.next = Some(last.clone());
            return Ok(());
        }
        bytes = bytes.saturating_add(row.len() - HEAD_BYTES + stored.value.len());
        page.rows.push((row.slice(HEAD_BYTES..), stored));
    }
    Ok(())
}

/// The smallest row of all layers, as the newest layer that knows it says.
fn next_row(layers: &mut [Layer<'_>]) -> Result<Option<(Bytes, Option<Stored>)>, EngineError> {
    let mut smallest: Option<Bytes> = None;
    for layer in &mut *layers {
        match layer.peek() {
            Some(Ok((key, _))) if smallest.as_ref().is_none_or(|least| key < least) => {
                smallest = Some(key.clone());
            }
            Some(Err(_)) => {
                // The error itself, which peeking only lends.
                return layer.next().transpose();
            }
            Some(Ok(_)) | None => {}
        }
    }
    let Some(smallest) = smallest else {
        return Ok(None);
    };
    let mut newest = None;
    for layer in layers {
        let same =
            |row: &Result<(Bytes, _), _>| row.as_ref().is_ok_and(|(key, _)| *key == smallest);
        if let Some(row) = layer.next_if(same) {
            let row = row?;
            newest.get_or_insert(row);
        }
    }
    Ok(newest)
}
