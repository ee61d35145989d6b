//! Reads of documents.

use super::Vshard;
use crate::{Consistency, DataError, Outcome, Page, Row, Scan, release::Until};
use bytes::Bytes;
use nodedb_crdt::{CrdtDocument, CrdtKey};
use nodedb_document::{Place, ReadAt, ScanPage, ScanRange, Stored};
use nodedb_engine::CollectionKind;
use nodedb_types::{CollectionId, Lsn, TenantId};
use std::time::Duration;

/// Most rows that one turn examines for a filtered page or a count.
pub(crate) const SCAN_EXAMINED_MAX: usize = 4096;
/// About the most bytes that one turn of a count examines: tables are read by copying.
const COUNT_BYTES_MAX: usize = 4 << 20;
/// Most CRDT documents that one turn builds for a page.
const CRDT_PAGE_MAX: usize = 64;

/// An outcome and what its caller must wait for.
pub(crate) type Ready = (Outcome, Until);

/// A count under way; it is done in slices, so that other requests get their turn.
#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) tenant: TenantId,
    pub(crate) collection: CollectionId,
    pub(crate) snapshot: Lsn,
    pub(crate) after: Option<Bytes>,
    pub(crate) rows: u64,
}

impl Count {
    pub(crate) const fn new(tenant: TenantId, collection: CollectionId, snapshot: Lsn) -> Self {
        Self { tenant, collection, snapshot, after: None, rows: 0 }
    }
}

impl Vshard {
    /// Reads one key. `durable` is the durable position of this turn, and `now` its time.
    pub(crate) fn get(
        &mut self,
        key: &CrdtKey,
        consistency: Consistency,
        (durable, now): (Option<Lsn>, Duration),
    ) -> Result<Ready, DataError> {
        if self.collection(key.tenant, key.collection)?.kind == CollectionKind::Crdt {
            let until = match consistency {
                Consistency::Strong | Consistency::BoundedStaleness(_) => self.all_durable(),
                Consistency::Eventual => Until::Now,
            };
            let row = self.crdt_value(key)?;
            return Ok((Outcome::Value(row), until));
        }
        let (at, until) = match consistency {
            Consistency::Eventual => (ReadAt::Latest, Until::Now),
            Consistency::Strong | Consistency::BoundedStaleness(_) => {
                let fresh_enough = match consistency {
                    Consistency::BoundedStaleness(bound) => {
                        self.weak.age(durable, now).is_none_or(|age| age < bound)
                    }
                    Consistency::Strong | Consistency::Eventual => false,
                };
                let acknowledged = if fresh_enough { None } else { self.weak.highest() };
                match durable.max(acknowledged) {
                    // Nothing is durable and nothing was acknowledged: nothing is to be seen.
                    None => return Ok((Outcome::Value(None), Until::Now)),
                    Some(at) => (ReadAt::Snapshot(at), Until::Durable(at)),
                }
            }
        };
        let place = place(key);
        let stored = self.engines.documents.get(&place, at);
        let stored = stored.map_err(DataError::document(self.id))?;
        let row = stored.map(|stored| row(key.key.clone(), stored));
        Ok((Outcome::Value(row), until))
    }

    /// One page of a collection.
    pub(crate) fn scan(&self, tenant: TenantId, scan: &Scan) -> Result<Ready, DataError> {
        let kind = self.collection(tenant, scan.collection)?.kind;
        if scan.filter.is_some() && kind == CollectionKind::Bytes {
            return Err(DataError::WrongKind { kind: kind.name(), operation: "filters" });
        }
        let limit_rows = match (kind, &scan.filter) {
            (CollectionKind::Crdt, _) => scan.rows.min(CRDT_PAGE_MAX),
            (_, Some(_)) => SCAN_EXAMINED_MAX,
            (_, None) => scan.rows,
        };
        let range = ScanRange {
            prefix: scan.prefix.clone(),
            keys: scan.keys.clone(),
            direction: scan.direction,
            after: scan.after.clone(),
            limit_rows: limit_rows.max(1),
            limit_bytes: scan.bytes,
            now_ms: scan.now_ms,
            ..ScanRange::all(tenant, scan.collection)
        };
        let at = ReadAt::Snapshot(scan.snapshot);
        let examined = self.engines.documents.scan(&range, at);
        let mut examined = examined.map_err(DataError::document(self.id))?;
        if kind == CollectionKind::Crdt {
            self.render(tenant, scan, &mut examined)?;
        }
        let page = self.filter(scan, examined)?;
        // The caller has seen the snapshot durable; if not, the answer waits until it is.
        Ok((Outcome::Page(page), Until::Durable(scan.snapshot)))
    }

    /// Puts the JSON text of CRDT documents in the place of the lists of their rows.
    fn render(&self, tenant: TenantId, scan: &Scan, page: &mut ScanPage) -> Result<(), DataError> {
        let at = ReadAt::Snapshot(scan.snapshot);
        for (key, stored) in &mut page.rows {
            let place = Place { tenant, collection: scan.collection, key };
            let document = self.build_document(&place, at)?;
            let text = document.as_ref().map(CrdtDocument::value_json);
            stored.value = text.transpose()?.unwrap_or_default().into();
        }
        Ok(())
    }

    fn filter(&self, scan: &Scan, examined: ScanPage) -> Result<Page, DataError> {
        let ScanPage { rows, next } = examined;
        let mut page = Page { rows: Vec::new(), next };
        let mut rows = rows.into_iter().peekable();
        while let Some((key, stored)) = rows.next() {
            if let Some(filter) = &scan.filter {
                let matches = filter.matches(&stored.value);
                if !matches.map_err(DataError::document(self.id))? {
                    continue;
                }
            }
            page.rows.push(row(key.clone(), stored));
            if page.rows.len() >= scan.rows && rows.peek().is_some() {
                page.next = Some(key);
                break;
            }
        }
        Ok(page)
    }

    /// Counts some more rows. `true` when it is done.
    pub(crate) fn count(&self, count: &mut Count) -> Result<bool, DataError> {
        self.collection(count.tenant, count.collection)?;
        let range = ScanRange {
            after: count.after.take(),
            limit_rows: SCAN_EXAMINED_MAX,
            limit_bytes: COUNT_BYTES_MAX,
            ..ScanRange::all(count.tenant, count.collection)
        };
        let at = ReadAt::Snapshot(count.snapshot);
        let page = self.engines.documents.scan(&range, at);
        let page = page.map_err(DataError::document(self.id))?;
        count.rows += page.rows.len() as u64;
        count.after = page.next;
        Ok(count.after.is_none())
    }
}

pub(super) fn place(key: &CrdtKey) -> Place<'_> {
    Place { tenant: key.tenant, collection: key.collection, key: &key.key }
}

pub(super) fn row(key: Bytes, stored: Stored) -> Row {
    Row { key, stamp: stored.stamp, value: stored.value }
}
