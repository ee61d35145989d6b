//! Filters over documents, answered by field indexes where they help.

use super::{
    Vshard,
    read::{Ready, row},
};
use crate::{DataError, Outcome, Page};
use nodedb_document::{
    Filter, ReadAt, ScanRange,
    plan::{Explain, Plan, Selection},
};
use nodedb_engine::{Collection, CollectionKind};
use nodedb_types::{CollectionId, Lsn, TenantId};

impl Vshard {
    /// One page of the documents that a filter matches, as of a snapshot. Each page has a plan of its
    /// own, since all plans answer the same.
    pub(super) fn select(
        &self,
        schema: &Collection,
        range: &ScanRange,
        (filter, snapshot): (&Filter, Lsn),
    ) -> Result<Page, DataError> {
        let plan = Plan::new(filter, &self.usable(schema, Some(snapshot)));
        let selection = Selection { range, filter, plan: &plan };
        let page = self.engines.documents.select(&selection, ReadAt::Snapshot(snapshot));
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
