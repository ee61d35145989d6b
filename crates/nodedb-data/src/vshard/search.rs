//! Nearest-neighbour search.

use super::Vshard;
use crate::{DataError, Hit, Outcome, Search, release::Until};
use bytes::Bytes;
use nodedb_document::{Place, ReadAt};
use nodedb_types::TenantId;
use nodedb_vector::Query;

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
        let query = Query {
            index: search.index,
            vector: &search.vector,
            metric: search.metric,
            k: search.k,
        };
        let mut rows = Vec::new();
        let neighbours = self.engines.vectors.nearest(&query, &mut |key| {
            let place = Place { tenant, collection: search.collection, key };
            let row = self.engines.documents.get(&place, ReadAt::Latest)?;
            let Some(row) = row else { return Ok(false) };
            if let Some(filter) = &search.filter
                && !filter.matches(&row.value)?
            {
                return Ok(false);
            }
            rows.push((Bytes::copy_from_slice(key), row));
            Ok(true)
        });
        let neighbours = neighbours.map_err(DataError::document(self.id))?;
        assert!(neighbours.len() == rows.len(), "every accepted key is a neighbour");
        let hits = neighbours.into_iter().zip(rows);
        let hits = hits.map(|(neighbour, (key, row))| Hit {
            key,
            distance: neighbour.distance,
            stamp: row.stamp,
            value: row.value,
        });
        Ok((Outcome::Hits(hits.collect()), self.all_durable()))
    }
}
