//! Reads of documents.

use super::Vshard;
use crate::{Consistency, DataError, Outcome, Page, Row, Scan, release::Until};
use bytes::Bytes;
use nodedb_crdt::{CrdtDocument, CrdtKey};
use nodedb_document::{Filter, Place, ReadAt, ScanPage, ScanRange, Stored};
use nodedb_engine::CollectionKind;
use nodedb_types::{CollectionId, Lsn, TenantId};
use std::{sync::Arc, time::Duration};

/// Most rows of a page and of a slice of a count, and about their most bytes, whatever the caller asks for.
const PAGE_ROWS_MAX: usize = 4096;
const PAGE_BYTES_MAX: usize = 4 << 20;
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
    /// The time of the commit clock that all slices judge expiry by: a count is of one moment.
    pub(crate) now_ms: u64,
    pub(crate) after: Option<Bytes>,
    pub(crate) rows: u64,
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

    /// One page of a collection, which ends early at `until`, a time of the clock.
    pub(crate) fn scan(
        &self,
        tenant: TenantId,
        scan: &Scan,
        until: Duration,
    ) -> Result<Ready, DataError> {
        let page = self.page(tenant, scan, until)?;
        // The caller has seen the snapshot durable; if not, the answer waits until it is.
        Ok((Outcome::Page(page), Until::Durable(scan.snapshot)))
    }

    fn page(&self, tenant: TenantId, scan: &Scan, until: Duration) -> Result<Page, DataError> {
        let schema = self.collection(tenant, scan.collection)?;
        let kind = schema.kind;
        let mut range = scan.range(tenant, until);
        match (kind, &scan.filter) {
            (CollectionKind::Document, Some(filter)) => {
                return self.select(schema, &range, (filter, scan.snapshot));
            }
            (CollectionKind::Bytes, Some(_)) => {
                return Err(DataError::WrongKind { kind: kind.name(), operation: "filters" });
            }
            (CollectionKind::Crdt, _) => range.limit_rows = range.limit_rows.min(CRDT_PAGE_MAX),
            (_, None) => {}
        }
        let at = ReadAt::Snapshot(scan.snapshot);
        let examined = self.engines.documents.scan(&range, at);
        let mut examined = examined.map_err(DataError::document(self.id))?;
        if kind == CollectionKind::Crdt {
            self.render(tenant, scan, (&mut examined, until))?;
        }
        self.filter(scan, examined)
    }

    /// Puts the JSON text of CRDT documents in the place of the lists of their rows. Building one may take
    /// long, so the page ends behind the one with which its time or its bytes run out.
    fn render(
        &self,
        tenant: TenantId,
        scan: &Scan,
        (page, until): (&mut ScanPage, Duration),
    ) -> Result<(), DataError> {
        let at = ReadAt::Snapshot(scan.snapshot);
        let mut bytes = 0_usize;
        let mut rendered = 0_usize;
        for (key, stored) in &mut page.rows {
            let place = Place { tenant, collection: scan.collection, key };
            let document = self.build_document(&place, at)?;
            let text = document.as_ref().map(CrdtDocument::value_json);
            stored.value = text.transpose()?.unwrap_or_default().into();
            rendered += 1;
            bytes = bytes.saturating_add(key.len() + stored.value.len());
            if bytes >= scan.bytes.min(PAGE_BYTES_MAX) || self.engines.documents.now() >= until {
                break;
            }
        }
        if rendered < page.rows.len() {
            page.rows.truncate(rendered);
            page.next = page.rows.last().map(|(key, _)| key.clone());
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

    /// Counts some more rows, until a time of the clock. `true` when it is done.
    pub(crate) fn count(&self, count: &mut Count, until: Duration) -> Result<bool, DataError> {
        let slice = Scan {
            rows: PAGE_ROWS_MAX,
            bytes: PAGE_BYTES_MAX,
            after: count.after.take(),
            filter: count.filter.clone(),
            now_ms: Some(count.now_ms),
            ..Scan::all(count.collection, count.snapshot)
        };
        let (rows, next) = if slice.filter.is_some() {
            let page = self.page(count.tenant, &slice, until)?;
            (page.rows.len(), page.next)
        } else {
            self.collection(count.tenant, count.collection)?;
            let range = slice.range(count.tenant, until);
            let page = self.engines.documents.scan(&range, ReadAt::Snapshot(count.snapshot));
            let page = page.map_err(DataError::document(self.id))?;
            (page.rows.len(), page.next)
        };
        count.rows += rows as u64;
        count.after = next;
        Ok(count.after.is_none())
    }
}

impl Scan {
    /// The same range of rows, without the filter.
    fn range(&self, tenant: TenantId, until: Duration) -> ScanRange {
        ScanRange {
            prefix: self.prefix.clone(),
            keys: self.keys.clone(),
            direction: self.direction,
            after: self.after.clone(),
            limit_rows: self.rows.clamp(1, PAGE_ROWS_MAX),
            limit_bytes: self.bytes.min(PAGE_BYTES_MAX),
            now_ms: self.now_ms,
            until: Some(until),
            ..ScanRange::all(tenant, self.collection)
        }
    }
}

pub(super) fn place(key: &CrdtKey) -> Place<'_> {
    Place { tenant: key.tenant, collection: key.collection, key: &key.key }
}

pub(super) fn row(key: Bytes, stored: Stored) -> Row {
    Row { key, stamp: stored.stamp, value: stored.value }
}
