//! Vector search over all partitions of a collection.

use crate::{
    Collection, Error, Hit, Near, Pending, SearchOptions, collection::dimensions, index::no_index,
};
use nodedb_data::{Effort, Op, Outcome};
use nodedb_document::{Filter, json};
use nodedb_engine::{IndexState, VectorIndex};
use std::sync::Arc;

impl Collection {
    /// The nearest documents, nearest first; equally near ones in key order. With [`Effort::Exact`] all of
    /// them, otherwise nearly always.
    ///
    /// # Errors
    /// [`Error::NoIndex`] if the field has none, [`Error::IndexBuilding`] if it has not all documents yet,
    /// [`Error::Vector`] and [`Error::Document`] for a
    /// vector of other dimensions or with numbers that are not finite, [`Error::NoDocument`] if the
    /// document to be near to is missing or has no vector, [`Error::Admission`], [`Error::Data`].
    pub fn search(&self, options: SearchOptions) -> Result<Vec<Hit>, Error> {
        let inner = self.inner();
        inner.check_open()?;
        inner.admission.neighbours(options.k)?;
        if let Effort::Candidates(candidates) = options.effort {
            inner.admission.candidates(candidates)?;
        }
        let catalog = inner.sender.data.catalog();
        let definition = self.definition_in(&catalog);
        let index = definition.vector_index(&options.field);
        let index = index.ok_or_else(|| no_index(definition, &options.field))?;
        if index.state == IndexState::Building {
            let collection = self.name().to_owned();
            return Err(Error::IndexBuilding { collection, over: options.field });
        }
        let filter = options.filter.as_deref().map(Filter::parse).transpose()?.map(Arc::new);
        let vector = match options.near {
            Near::Vector(vector) => vector,
            Near::Key(key) => self.vector_of(&key, index)?,
        };
        nodedb_vector::check_vector(index.dimensions, index.metric, &vector)?;
        let search = nodedb_data::Search {
            collection: self.definition.id,
            index: index.id,
            vector,
            metric: index.metric,
            k: options.k,
            filter,
            effort: options.effort,
        };
        let mut hits = inner.patiently(|| self.partition_hits(&search))?;
        hits.sort_by(|a, b| a.distance.total_cmp(&b.distance).then_with(|| a.key.cmp(&b.key)));
        hits.truncate(options.k);
        let document = self.document();
        let hit = |hit: nodedb_data::Hit| Hit {
            distance: hit.distance,
            document: document(nodedb_data::Row {
                key: hit.key,
                stamp: hit.stamp,
                value: hit.value,
            }),
        };
        Ok(hits.into_iter().map(hit).collect())
    }

    /// The nearest documents of every partition, all asked at once.
    fn partition_hits(&self, search: &nodedb_data::Search) -> Result<Vec<nodedb_data::Hit>, Error> {
        let asked: Vec<Pending<Vec<nodedb_data::Hit>>> = self
            .vshards()
            .map(|vshard| {
                self.send(vshard, Op::Search(search.clone()), |outcome| {
                    let Outcome::Hits(hits) = outcome else {
                        return Err(Error::mismatched("search"));
                    };
                    Ok(hits)
                })
            })
            .collect::<Result<_, _>>()?;
        let mut hits = Vec::new();
        for partition in asked {
            hits.extend(partition.wait()?);
        }
        Ok(hits)
    }

    fn vector_of(&self, key: &[u8], index: &VectorIndex) -> Result<Vec<f32>, Error> {
        let missing = || Error::no_document(self.name(), &bytes::Bytes::copy_from_slice(key));
        let document = self.get(key)?.ok_or_else(missing)?;
        let vector = json::vector_field(&document.value, &index.field, dimensions(index))?;
        vector.ok_or_else(missing)
    }
}
