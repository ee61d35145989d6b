//! Nearest-neighbour search.

use super::{Vshard, write::check_fit};
use crate::{
    DataError, Effort, Hit, IndexStatistics, Outcome, Search, SearchExplained, release::Until,
};
use bytes::Bytes;
use nodedb_document::{
    DocumentError, Filter, Place, ReadAt, ScanRange, Stored,
    plan::{Plan, Selection},
};
use nodedb_engine::{Collection, IndexState};
use nodedb_types::TenantId;
use nodedb_vector::{Query, SearchMode, SearchPlan, among_max};
use std::collections::BTreeMap;

impl Vshard {
    /// The nearest rows. The index knows no snapshots, so the answer waits until everything that is
    /// applied here is durable.
    pub(crate) fn search(
        &self,
        tenant: TenantId,
        search: &Search,
    ) -> Result<(Outcome, Until), DataError> {
        let (hits, _) = self.hits(tenant, search)?;
        Ok((Outcome::Hits(hits), self.all_durable()))
    }

    /// How the same search is answered.
    pub(crate) fn explain_search(
        &self,
        tenant: TenantId,
        search: &Search,
    ) -> Result<(Outcome, Until), DataError> {
        let (_, plan) = self.hits(tenant, search)?;
        let IndexStatistics { entries: vectors, segments, .. } =
            self.vector_statistics(search.index);
        let explained = SearchExplained { plan, vectors, segments };
        Ok((Outcome::SearchExplained(explained), self.all_durable()))
    }

    fn hits(&self, tenant: TenantId, search: &Search) -> Result<(Vec<Hit>, SearchPlan), DataError> {
        let collection = self.collection(tenant, search.collection)?;
        let index = collection.vectors.iter().find(|known| known.id == search.index);
        let wrong = DataError::WrongIndex { collection: search.collection, index: search.index };
        let index = index.filter(|index| index.metric == search.metric).ok_or(wrong)?;
        check_fit(search.collection, index, &search.vector)?;
        if index.state == IndexState::Building {
            return Err(DataError::IndexBuilding { index: search.index });
        }
        let hits = self.nearest(tenant, collection, search);
        hits.map_err(DataError::document(self.id))
    }

    fn nearest(
        &self,
        tenant: TenantId,
        collection: &Collection,
        search: &Search,
    ) -> Result<(Vec<Hit>, SearchPlan), DocumentError> {
        let filter = search.filter.as_deref();
        let query = Query {
            index: search.index,
            vector: &search.vector,
            metric: search.metric,
            k: search.k,
            ef: match search.effort {
                Effort::Candidates(candidates) => Some(candidates),
                Effort::Usual | Effort::Exact => None,
            },
            mode: match (search.effort, filter) {
                (Effort::Exact, _) => SearchMode::Exact,
                (Effort::Usual | Effort::Candidates(_), Some(_)) => SearchMode::Filtered,
                (Effort::Usual | Effort::Candidates(_), None) => SearchMode::Auto,
            },
        };
        let mut rows = BTreeMap::new();
        let mut accept = |key: &[u8]| -> Result<bool, DocumentError> {
            let place = Place { tenant, collection: search.collection, key };
            // Also of a key that is known to match: it may have expired, and its text is the answer.
            let row = self.engines.documents.get(&place, ReadAt::Latest)?;
            let Some(row) = row else { return Ok(false) };
            if let Some(filter) = filter
                && !filter.matches(&row.value)?
            {
                return Ok(false);
            }
            rows.insert(Bytes::copy_from_slice(key), row);
            Ok(true)
        };
        let vectors = &self.engines.vectors;
        let matching = match filter {
            Some(filter) => self.matching(tenant, collection, (filter, search))?,
            None => None,
        };
        let found = match matching {
            Some(keys) => vectors.nearest_among(&query, &mut keys.into_iter(), &mut accept)?,
            None => vectors.nearest(&query, &mut accept)?,
        };
        let hits = found.neighbours.into_iter().filter_map(|neighbour| {
            let row = rows.remove(&neighbour.key);
            assert!(row.is_some(), "every neighbour was accepted");
            let Stored { stamp, value, .. } = row?;
            Some(Hit { key: neighbour.key, distance: neighbour.distance, stamp, value })
        });
        Ok((hits.collect(), found.plan))
    }

    /// The keys that match, if entries of indexes lead to them and they are so few that measuring them
    /// all is faster than asking the filter in the order of distance.
    fn matching(
        &self,
        tenant: TenantId,
        collection: &Collection,
        (filter, search): (&Filter, &Search),
    ) -> Result<Option<Vec<Bytes>>, DocumentError> {
        let plan = Plan::new(filter, &self.usable(collection, None));
        if plan.is_scan() {
            return Ok(None);
        }
        let rows = self.engines.vectors.len(search.index);
        let limit_rows = among_max(rows, search.k).max(1);
        let range = ScanRange { limit_rows, ..ScanRange::all(tenant, collection.id) };
        let selection = Selection { range: &range, filter, plan: &plan };
        self.engines.documents.matching_keys(&selection, ReadAt::Latest)
    }
}
