//! Filters over documents, answered by field indexes where they help.

use super::{
    Vshard,
    read::{Ready, row},
};
use crate::{DataError, Outcome, Page, Scan};
use nodedb_document::{
    Filter, ReadAt, ScanRange,
    plan::{Explain, Plan, Selection},
};
use nodedb_engine::{Collection, CollectionKind};
use nodedb_types::{CollectionId, Lsn, TenantId};

impl Vshard {
    /// One page of the documents that a filter matches. Each page has a plan of its own, since all plans
    /// answer the same.
    pub(super) fn select(
        &self,
        schema: &Collection,
        scan: &Scan,
        filter: &Filter,
    ) -> Result<Page, DataError> {
        let plan = Plan::new(filter, &self.usable(schema, Some(scan.snapshot)));
        let range = ScanRange { limit_rows: scan.rows.max(1), ..scan.range(schema.tenant) };
        let selection = Selection { range: &range, filter, plan: &plan };
        let page = self.engines.documents.select(&selection, ReadAt::Snapshot(scan.snapshot));
        let page = page.map_err(DataError::document(self.id))?;
        let rows = page.rows.into_iter().map(|(key, stored)| row(key, stored));
        Ok(Page { rows: rows.collect(), next: page.next })
    }

    /// How a filter is answered.
    pub(crate) fn explain(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        filter: &Filter,
    ) -> Result<Ready, DataError> {
        let schema = self.collection(tenant, collection)?;
        let kind = schema.kind;
        if kind == CollectionKind::Bytes {
            return Err(DataError::WrongKind { kind: kind.name(), operation: "filters" });
        }
        let plan = Plan::new(filter, &self.usable(schema, None));
        let range = ScanRange::all(tenant, collection);
        let explain = self.engines.documents.explain(&range, &plan, ReadAt::Latest);
        let explain: Explain = explain.map_err(DataError::document(self.id))?;
        Ok((Outcome::Explained(explain), self.all_durable()))
    }
}

impl Scan {
    /// The same range of rows, without the filter.
    pub(super) fn range(&self, tenant: TenantId) -> ScanRange {
        ScanRange {
            prefix: self.prefix.clone(),
            keys: self.keys.clone(),
            direction: self.direction,
            after: self.after.clone(),
            limit_bytes: self.bytes,
            now_ms: self.now_ms,
            ..ScanRange::all(tenant, self.collection)
        }
    }

    /// The rows of a slice of a count.
    pub(super) fn slice(collection: CollectionId, snapshot: Lsn) -> Self {
        Self {
            rows: super::read::SCAN_EXAMINED_MAX,
            bytes: super::read::COUNT_BYTES_MAX,
            ..Self::all(collection, snapshot)
        }
    }
}
