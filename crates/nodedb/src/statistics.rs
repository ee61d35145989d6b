//! How much collections and their indexes hold.

use crate::{
    Collection, Error, IndexInfo, Pending, index::indexes, schema::Schema, sender::Destination,
};
use nodedb_bridge::Priority;
use nodedb_data::{Op, Outcome};
use nodedb_document::Statistics;
use nodedb_engine::{Collection as Definition, Snapshot};
use nodedb_types::{IndexId, Lsn};
use std::collections::BTreeMap;

/// How much a collection holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CollectionStatistics {
    /// How many keys it has.
    pub documents: u64,
    /// Bytes of its keys.
    pub key_bytes: u64,
    /// Stored bytes of its values; of CRDT documents those of their snapshots and updates.
    pub value_bytes: u64,
    /// Its indexes, the oldest first.
    pub indexes: Vec<IndexStatistics>,
}

/// How much an index holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexStatistics {
    /// What it is.
    pub info: IndexInfo,
    /// Its vectors, or its entries: documents whose path leads to a value. Those that have expired count
    /// until they are deleted.
    pub entries: u64,
    /// Sealed segments with a graph, over all partitions; of an index over values there are none.
    pub segments: u64,
}

/// Who asks for statistics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) schema: &'a Schema,
}

impl Collection {
    /// How much it and its indexes hold, counted in slices between the requests of others. Documents and
    /// bytes are remembered until something changes; entries of indexes over values are counted every
    /// time, at some millions a second.
    ///
    /// # Errors
    /// [`Error::Data`], [`Error::SnapshotExpired`] if counting takes so long that a flush had to go
    /// ahead of it.
    pub fn statistics(&self) -> Result<CollectionStatistics, Error> {
        let inner = self.inner();
        inner.check_open()?;
        let catalog = inner.sender.data.catalog();
        let definition = self.definition_in(&catalog);
        let question = Question { schema: &inner.schema };
        let Statistics { documents, key_bytes, value_bytes } =
            inner.patiently(|| question.statistics(definition))?;
        let counted = inner.patiently(|| question.index_statistics(definition))?;
        let statistics = |index: nodedb_engine::Index| {
            let (entries, segments) = counted.get(&index.id()).copied().unwrap_or_default();
            IndexStatistics { info: inner.schema.info(&index), entries, segments }
        };
        let indexes = indexes(definition).map(statistics).collect();
        Ok(CollectionStatistics { documents, key_bytes, value_bytes, indexes })
    }
}

impl Question<'_> {
    /// How much a collection holds over all its partitions.
    pub(crate) fn statistics(self, of: &Definition) -> Result<Statistics, Error> {
        let collection = of.id;
        // One time for all partitions: what expires meanwhile counts for all of them.
        let now_ms = self.schema.sender.data.commit_ms();
        let op = |snapshot| Op::Statistics { collection, snapshot, now_ms };
        let parts = self.ask_all(of, op, |outcome| {
            if let Outcome::Statistics(statistics) = outcome { Some(statistics) } else { None }
        })?;
        let mut total = Statistics::default();
        for part in parts {
            total += part;
        }
        Ok(total)
    }

    /// Entries and segments of its indexes.
    fn index_statistics(self, of: &Definition) -> Result<BTreeMap<IndexId, (u64, u64)>, Error> {
        let collection = of.id;
        let op = |snapshot| Op::IndexStatistics { collection, snapshot };
        let parts = self.ask_all(of, op, |outcome| {
            if let Outcome::IndexStatistics(counted) = outcome { Some(counted) } else { None }
        })?;
        let mut total = BTreeMap::<IndexId, (u64, u64)>::new();
        for part in parts.into_iter().flatten() {
            let (entries, segments) = total.entry(part.index).or_default();
            *entries += part.entries;
            *segments += part.segments;
        }
        Ok(total)
    }

    /// What every partition answers as of one snapshot, all asked at once. Nothing of an empty log.
    fn ask_all<T: Send + 'static>(
        self,
        of: &Definition,
        op: impl Fn(Lsn) -> Op,
        answer: fn(Outcome) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let Schema { sender, routing, .. } = self.schema;
        let Some(snapshot) = sender.data.snapshot_for_scan(sender.due())? else {
            return Ok(Vec::new());
        };
        let ask = |vshard| {
            let to = Destination { tenant: of.tenant, vshard, priority: Priority::Foreground };
            sender.send(to, op(snapshot.lsn()), move |outcome| {
                answer(outcome).ok_or_else(|| Error::mismatched("statistics"))
            })
        };
        let asked = routing.partitions(of.id, of.partitions).map(ask);
        let asked = asked.collect::<Result<Vec<Pending<T>>, _>>()?;
        let answers = asked.into_iter().map(Pending::wait).collect::<Result<_, _>>()?;
        Snapshot::check(&snapshot)?;
        Ok(answers)
    }
}
