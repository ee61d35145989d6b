//! Vector search over all partitions of a collection.

use crate::{
    Collection, Error, Hit, Near, Pending, SearchOptions,
    collection::dimensions,
    index::{IndexWanted, no_index},
};
use nodedb_data::{Effort, Op, Outcome};
use nodedb_document::{Filter, json};
use nodedb_engine::{IndexState, VectorIndex};
use nodedb_types::VshardId;
use nodedb_vector::SearchPlan;
use std::sync::Arc;

/// How a search is answered in one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SearchExplain {
    /// The partition.
    pub vshard: VshardId,
    /// What is done: every vector is measured, graphs are walked, or only the vectors of documents that
    /// are known to match are measured.
    pub plan: SearchPlan,
    /// The vectors of the index in this partition.
    pub vectors: u64,
    /// Its sealed segments there, each with a graph.
    pub segments: u64,
}

impl SearchExplain {
    fn of((vshard, explained): (VshardId, nodedb_data::SearchExplained)) -> Self {
        let nodedb_data::SearchExplained { plan, vectors, segments } = explained;
        Self { vshard, plan, vectors, segments }
    }
}

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
        let k = options.k;
        let search = self.checked(options)?;
        let mut hits: Vec<nodedb_data::Hit> = self
            .ask_all(&search, Op::Search, |outcome| {
                if let Outcome::Hits(hits) = outcome { Some(hits) } else { None }
            })?
            .into_iter()
            .flatten()
            .collect();
        hits.sort_by(|a, b| a.distance.total_cmp(&b.distance).then_with(|| a.key.cmp(&b.key)));
        hits.truncate(k);
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

    /// How a search is answered now, partition by partition: each decides for itself. The search is done
    /// for it, since only then is it known how many documents a filter leaves.
    ///
    /// # Errors
    /// As [`Collection::search`].
    pub fn explain_search(&self, options: SearchOptions) -> Result<Vec<SearchExplain>, Error> {
        let search = self.checked(options)?;
        let explained = self.ask_all(&search, Op::ExplainSearch, |outcome| {
            if let Outcome::SearchExplained(explained) = outcome { Some(explained) } else { None }
        })?;
        Ok(self.vshards().zip(explained).map(SearchExplain::of).collect())
    }

    /// The search as the cores take it, of which everything has been checked that can be.
    fn checked(&self, options: SearchOptions) -> Result<nodedb_data::Search, Error> {
        let inner = self.inner();
        inner.check_open()?;
        inner.admission.neighbours(options.k)?;
        if let Effort::Candidates(candidates) = options.effort {
            inner.admission.candidates(candidates)?;
        }
        let catalog = inner.sender.data.catalog();
        let definition = self.definition_in(&catalog);
        let index = definition.vector_index(&options.field);
        let index =
            index.ok_or_else(|| no_index(definition, &options.field, IndexWanted::Vector))?;
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
        Ok(nodedb_data::Search {
            collection: self.definition.id,
            index: index.id,
            vector,
            metric: index.metric,
            k: options.k,
            filter,
            effort: options.effort,
        })
    }

    /// What every partition answers, all asked at once, in the order of [`Collection::vshards`].
    fn ask_all<T: Send + 'static>(
        &self,
        search: &nodedb_data::Search,
        op: fn(nodedb_data::Search) -> Op,
        answer: fn(Outcome) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        self.inner().patiently(|| {
            let ask = |vshard| {
                self.send(vshard, op(search.clone()), move |outcome| {
                    answer(outcome).ok_or_else(|| Error::mismatched("search"))
                })
            };
            let asked = self.vshards().map(ask).collect::<Result<Vec<Pending<T>>, _>>()?;
            asked.into_iter().map(Pending::wait).collect()
        })
    }

    fn vector_of(&self, key: &[u8], index: &VectorIndex) -> Result<Vec<f32>, Error> {
        let missing = || Error::no_document(self.name(), &bytes::Bytes::copy_from_slice(key));
        let document = self.get(key)?.ok_or_else(missing)?;
        let vector = json::vector_field(&document.value, &index.field, dimensions(index))?;
        vector.ok_or_else(missing)
    }
}
