//! How a filter is answered, and how many documents it matches.

use crate::{Collection, Error, Pending};
use nodedb_data::{Op, Outcome};
use nodedb_document::{Filter, plan::Explain};
use std::sync::Arc;

impl Collection {
    /// How a filter is answered now: by an index or by looking at every document. Each partition
    /// decides for itself; the answer is what most of them do.
    ///
    /// # Errors
    /// [`Error::Document`] for a filter that cannot be read, [`Error::Data`], with kind `InvalidInput`
    /// of a bytes collection.
    pub fn explain(&self, filter: &str) -> Result<Explain, Error> {
        let inner = self.inner();
        inner.check_open()?;
        let filter = Arc::new(Filter::parse(filter)?);
        let collection = self.definition.id;
        let ask = || {
            let send = |vshard| {
                let op = Op::Explain { collection, filter: Arc::clone(&filter) };
                self.send(vshard, op, |outcome| {
                    let Outcome::Explained(explain) = outcome else {
                        return Err(Error::mismatched("explain"));
                    };
                    Ok(explain)
                })
            };
            let asked = self.vshards().map(send).collect::<Result<Vec<Pending<Explain>>, _>>()?;
            asked.into_iter().map(Pending::wait).collect::<Result<Vec<_>, _>>()
        };
        let explains = inner.patiently(ask)?;
        let like = |one: &Explain| explains.iter().filter(|other| *other == one).count();
        // Of several that are as frequent, that of the first partition.
        let most = explains.iter().rev().max_by_key(|one| like(one)).cloned();
        most.ok_or_else(|| Error::internal("a collection has no partition"))
    }

    /// How many documents there are, or how many match a filter, all counted at one snapshot.
    ///
    /// # Errors
    /// As [`Collection::explain`]; [`Error::SnapshotExpired`] if counting takes so long that a flush had
    /// to go ahead of it.
    pub fn count(&self, filter: Option<&str>) -> Result<u64, Error> {
        let inner = self.inner();
        inner.check_open()?;
        let filter = filter.map(Filter::parse).transpose()?.map(Arc::new);
        inner.patiently(|| self.count_once(filter.as_ref()))
    }

    fn count_once(&self, filter: Option<&Arc<Filter>>) -> Result<u64, Error> {
        let inner = self.inner();
        let deadline = inner.sender.due();
        let Some(snapshot) = inner.sender.data.snapshot_for_scan(deadline)? else {
            return Ok(0);
        };
        let (collection, lsn) = (self.definition.id, snapshot.lsn());
        let now_ms = inner.sender.data.commit_ms();
        let send = |vshard| {
            let op = Op::Count { collection, filter: filter.cloned(), snapshot: lsn, now_ms };
            self.send(vshard, op, |outcome| {
                let Outcome::Count(count) = outcome else {
                    return Err(Error::mismatched("count"));
                };
                Ok(count)
            })
        };
        let counts = self.vshards().map(send).collect::<Result<Vec<Pending<u64>>, _>>()?;
        let total = counts.into_iter().map(Pending::wait).sum::<Result<u64, _>>()?;
        snapshot.check()?;
        Ok(total)
    }
}
