//! Reads of documents.

use super::Vshard;
use crate::{Consistency, DataError, Outcome, Page, Row, Scan, release::Until};
use bytes::Bytes;
use nodedb_crdt::{CrdtDocument, CrdtKey};
use nodedb_document::{Filter, Place, ReadAt, ScanPage, ScanRange, Stored};
use nodedb_engine::CollectionKind;
use nodedb_types::{CollectionId, Lsn, TenantId};
use std::{sync::Arc, time::Duration};

/// Most rows that one turn examines for a filtered page or a count.
pub(crate) const SCAN_EXAMINED_MAX: usize = 4096;
/// About the most bytes that one turn of a count examines: tables are read by copying.
pub(super) const COUNT_BYTES_MAX: usize = 4 << 20;
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
    pub(crate) filter: Option<Arc<Filter>>,
    pub(crate) after: Option<Bytes>,
    pub(crate) rows: u64,
}

impl Count {
    pub(crate) const fn new(tenant: TenantId, collection: CollectionId, snapshot: Lsn) -> Self {
        Self { tenant, collection, snapshot, filter: None, after: None, rows: 0 }
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
        let page = self.page(tenant, scan)?;
        // The caller has seen the snapshot durable; if not, the answer waits until it is.
        Ok((Outcome::Page(page), Until::Durable(scan.snapshot)))
    }

    fn page(&self, tenant: TenantId, scan: &Scan) -> Result<Page, DataError> {
        let schema = self.collection(tenant, scan.collection)?;
        let kind = schema.kind;
        let limit_rows = match (kind, &scan.filter) {
            (CollectionKind::Document, Some(filter)) => return self.select(schema, scan, filter),
            (CollectionKind::Bytes, Some(_)) => {
                return Err(DataError::WrongKind { kind: kind.name(), operation: "filters" });
            }
            (CollectionKind::Crdt, _) => scan.rows.min(CRDT_PAGE_MAX),
            (_, None) => scan.rows,
        };
        let range = ScanRange { limit_rows: limit_rows.max(1), ..scan.range(tenant) };
        let at = ReadAt::Snapshot(scan.snapshot);
        let examined = self.engines.documents.scan(&range, at);
        let mut examined = examined.map_err(DataError::document(self.id))?;
        if kind == CollectionKind::Crdt {
            self.render(tenant, scan, &mut examined)?;
        }
        self.filter(scan, examined)
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
        let slice = Scan::slice(count.collection, count.snapshot);
        let slice = Scan { after: count.after.take(), filter: count.filter.clone(), ..slice };
        if slice.filter.is_some() {
            let page = self.page(count.tenant, &slice)?;
            count.rows += page.rows.len() as u64;
            count.after = page.next;
            return Ok(count.after.is_none());
        }
        self.collection(count.tenant, count.collection)?;
        let range = ScanRange { limit_rows: slice.rows, ..slice.range(count.tenant) };
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
