//! Nearest-neighbour search.

use super::{Vshard, read::Ready, write::check_fit};
use crate::{DataError, Effort, Hit, IndexStatistics, Op, Outcome, Search, SearchExplained};
use bytes::Bytes;
use nodedb_document::{
    DocumentError, Filter, Place, ReadAt, ScanRange, Stored,
    plan::{Plan, Selection},
};
use nodedb_engine::IndexState;
use nodedb_types::{IndexId, Lsn, TenantId};
use nodedb_vector::{Query, SearchMode, SearchPlan, among_max};
use std::{collections::BTreeMap, time::Duration};

/// A search under way. A filter that refuses nearly everything has very many documents read, so it is done
/// in slices. Each of them begins anew, with what the slices before have read: measuring vectors is quick,
/// and so the answer is of one moment, the last slice's.
#[derive(Debug)]
pub(crate) struct SearchRun {
    tenant: TenantId,
    search: Search,
    shown: Shown,
    /// What was read, by key.
    verdicts: BTreeMap<Bytes, Verdict>,
}

/// What the caller asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shown {
    Hits,
    Plan,
}

/// What a document came to.
#[derive(Debug)]
struct Verdict {
    /// The last record that had been applied here when it was read.
    at: Option<Lsn>,
    /// The document if it matches.
    row: Option<Stored>,
}

/// Why a slice ends without an answer.
#[derive(Debug)]
enum Stop {
    /// Others have their turn.
    Late,
    Failed(DocumentError),
}

impl From<DocumentError> for Stop {
    fn from(error: DocumentError) -> Self {
        Self::Failed(error)
    }
}

impl SearchRun {
    /// A search for its nearest rows.
    pub(crate) const fn hits(tenant: TenantId, search: Search) -> Self {
        Self { tenant, search, shown: Shown::Hits, verdicts: BTreeMap::new() }
    }

    /// The same search for how it is answered.
    pub(crate) const fn explained(tenant: TenantId, search: Search) -> Self {
        Self { tenant, search, shown: Shown::Plan, verdicts: BTreeMap::new() }
    }

    /// Gives up what was read, for the sake of memory.
    pub(crate) fn forget(&mut self) {
        self.verdicts = BTreeMap::new();
    }

    /// The request, as it came.
    pub(crate) fn into_op(self) -> Op {
        match self.shown {
            Shown::Hits => Op::Search(self.search),
            Shown::Plan => Op::ExplainSearch(self.search),
        }
    }
}

impl Vshard {
    /// The nearest rows, or `None` if the time is up; then it goes on with another call. The index knows no
    /// snapshots, so the answer waits until everything that is applied here is durable.
    pub(crate) fn search(
        &self,
        run: &mut SearchRun,
        until: Duration,
    ) -> Result<Option<Ready>, DataError> {
        self.check_search(run)?;
        let (hits, plan) = match self.nearest(run, until) {
            Ok(found) => found,
            Err(Stop::Late) => return Ok(None),
            Err(Stop::Failed(error)) => return Err(DataError::document(self.id)(error)),
        };
        let outcome = match run.shown {
            Shown::Hits => Outcome::Hits(hits),
            Shown::Plan => {
                let IndexStatistics { entries: vectors, segments, .. } =
                    self.vector_statistics(run.search.index);
                Outcome::SearchExplained(SearchExplained { plan, vectors, segments })
            }
        };
        Ok(Some((outcome, self.all_durable())))
    }

    /// Checks it against the catalog, which may have changed since the slice before.
    fn check_search(&self, run: &SearchRun) -> Result<(), DataError> {
        let search = &run.search;
        let collection = self.collection(run.tenant, search.collection)?;
        let index = collection.vectors.iter().find(|known| known.id == search.index);
        let wrong = DataError::WrongIndex { collection: search.collection, index: search.index };
        let index = index.filter(|index| index.metric == search.metric).ok_or(wrong)?;
        check_fit(search.collection, index, &search.vector)?;
        if index.state == IndexState::Building {
            return Err(DataError::IndexBuilding { index: search.index });
        }
        Ok(())
    }

    fn nearest(
        &self,
        run: &mut SearchRun,
        until: Duration,
    ) -> Result<(Vec<Hit>, SearchPlan), Stop> {
        let SearchRun { tenant, search, verdicts, .. } = run;
        let (tenant, index) = (*tenant, search.index);
        let filter = search.filter.as_deref();
        let matching = match filter {
            Some(filter) => self.candidates(tenant, (filter, search))?,
            None => None,
        };
        let mut read = 0_usize;
        let mut accept = |key: &[u8]| -> Result<bool, Stop> {
            if let Some(verdict) = verdicts.get(key).filter(|it| self.holds(index, key, it)) {
                return Ok(verdict.row.is_some());
            }
            // One in any case, so that slices come to an end.
            if read > 0 && self.engines.documents.now() >= until {
                return Err(Stop::Late);
            }
            read += 1;
            let place = Place { tenant, collection: search.collection, key };
            let row = self.read_matching(&place, filter)?;
            let accepted = row.is_some();
            let verdict = Verdict { at: self.applied, row };
            verdicts.insert(Bytes::copy_from_slice(key), verdict);
            Ok(accepted)
        };
        let (vectors, query) = (&self.engines.vectors, query(search));
        let found = match matching {
            Some(keys) => vectors.nearest_among(&query, &mut keys.into_iter(), &mut accept)?,
            None => vectors.nearest(&query, &mut accept)?,
        };
        let hits = found.neighbours.into_iter().filter_map(|neighbour| {
            let row = verdicts.remove(&neighbour.key).and_then(|verdict| verdict.row);
            assert!(row.is_some(), "every neighbour was accepted");
            let Stored { stamp, value, .. } = row?;
            Some(Hit { key: neighbour.key, distance: neighbour.distance, stamp, value })
        });
        Ok((hits.collect(), found.plan))
    }

    /// A document that a search may show. Asked also of a key that entries of an index have led to: it may
    /// have expired, or match in part, and its text is the answer.
    fn read_matching(
        &self,
        place: &Place<'_>,
        filter: Option<&Filter>,
    ) -> Result<Option<Stored>, DocumentError> {
        let Some(row) = self.engines.documents.get(place, ReadAt::Latest)? else {
            return Ok(None);
        };
        let matches = filter.map_or(Ok(true), |filter| filter.matches(&row.value))?;
        Ok(matches.then_some(row))
    }

    /// Whether what an earlier slice has read is still so: each write of a document writes its vector.
    fn holds(&self, index: IndexId, key: &[u8], verdict: &Verdict) -> bool {
        let lsn = || Some(self.engines.vectors.stamp(index, key)?.lsn);
        let time = verdict.row.as_ref().and_then(|row| row.expires);
        (verdict.at == self.applied || lsn().is_some_and(|lsn| Some(lsn) <= verdict.at))
            && time.is_none_or(|time| time > self.engines.documents.commit_ms())
    }

    /// The keys that may match, if entries of indexes lead to them and they are so few that measuring them
    /// all is faster than asking the filter in the order of distance.
    fn candidates(
        &self,
        tenant: TenantId,
        (filter, search): (&Filter, &Search),
    ) -> Result<Option<Vec<Bytes>>, DocumentError> {
        let Ok(collection) = self.collection(tenant, search.collection) else {
            return Ok(None);
        };
        let plan = Plan::new(filter, &self.usable(collection, None));
        if plan.is_scan() {
            return Ok(None);
        }
        let rows = self.engines.vectors.len(search.index);
        let limit_rows = among_max(rows, search.k).max(1);
        let range = ScanRange { limit_rows, ..ScanRange::all(tenant, collection.id) };
        let selection = Selection { range: &range, filter, plan: &plan };
        self.engines.documents.candidate_keys(&selection, ReadAt::Latest)
    }
}

/// What of a search the vector engine is asked.
fn query(search: &Search) -> Query<'_> {
    Query {
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
    }
}

#[cfg(test)]
mod tests;
