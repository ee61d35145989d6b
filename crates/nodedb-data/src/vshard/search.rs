//! Nearest-neighbour search.

use super::Vshard;
use crate::{DataError, Effort, Hit, Outcome, Search, release::Until};
use bytes::Bytes;
use nodedb_document::{Place, ReadAt, Stored};
use nodedb_engine::IndexState;
use nodedb_types::TenantId;
use nodedb_vector::{Query, SearchMode};
use std::collections::BTreeMap;

impl Vshard {
    /// The nearest rows. The index knows no snapshots, so the answer waits until everything that is
    /// applied here is durable.
    pub(crate) fn search(
        &self,
        tenant: TenantId,
        search: &Search,
    ) -> Result<(Outcome, Until), DataError> {
        let collection = self.collection(tenant, search.collection)?;
        let index = collection.vectors.iter().find(|known| known.id == search.index);
        let fits = index.is_some_and(|index| {
            index.metric == search.metric
                && usize::try_from(index.dimensions) == Ok(search.vector.len())
        });
        if !fits {
            return Err(DataError::WrongIndex {
                collection: search.collection,
                index: search.index,
            });
        }
        if index.is_some_and(|index| index.state == IndexState::Building) {
            return Err(DataError::IndexBuilding { index: search.index });
        }
        let query = Query {
            index: search.index,
            vector: &search.vector,
            metric: search.metric,
            k: search.k,
            ef: match search.effort {
                Effort::Candidates(candidates) => Some(candidates),
                Effort::Usual | Effort::Exact => None,
            },
            mode: match (search.effort, &search.filter) {
                (Effort::Exact, _) => SearchMode::Exact,
                (Effort::Usual | Effort::Candidates(_), Some(_)) => SearchMode::Filtered,
                (Effort::Usual | Effort::Candidates(_), None) => SearchMode::Auto,
            },
        };
        let mut rows = BTreeMap::new();
        let found = self.engines.vectors.nearest(&query, &mut |key| {
            let place = Place { tenant, collection: search.collection, key };
            let row = self.engines.documents.get(&place, ReadAt::Latest)?;
            let Some(row) = row else { return Ok(false) };
            if let Some(filter) = &search.filter
                && !filter.matches(&row.value)?
            {
                return Ok(false);
            }
            rows.insert(Bytes::copy_from_slice(key), row);
            Ok(true)
        });
        let found = found.map_err(DataError::document(self.id))?;
        let hits = found.neighbours.into_iter().filter_map(|neighbour| {
            let row = rows.remove(&neighbour.key);
            assert!(row.is_some(), "every neighbour was accepted");
            let Stored { stamp, value, .. } = row?;
            Some(Hit { key: neighbour.key, distance: neighbour.distance, stamp, value })
        });
        Ok((Outcome::Hits(hits.collect()), self.all_durable()))
    }
}
