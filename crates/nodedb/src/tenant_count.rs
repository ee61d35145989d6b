//! The count of one tenant's bytes, on its way.

use crate::{Error, schema::Schema, sender::Destination};
use nodedb_bridge::Priority;
use nodedb_data::{Op, Outcome};
use nodedb_document::{Statistics, Tally};
use nodedb_engine::Snapshot;
use nodedb_types::{CollectionId, ErrorKind, TenantId, VshardId};
use std::{collections::VecDeque, time::Duration};

/// Goes through the partitions of a tenant's collections, slice by slice.
///
/// Each slice is a request of its own and has a snapshot of its own, so however much a tenant has, no
/// deadline and no flush ends the count, and one that fails is gone on with where it stands. A row counts as
/// it was at some moment after the count began; what was put since is added by whoever uses the result, which
/// makes it an upper bound all the same.
#[derive(Debug)]
pub(crate) struct TenantCount {
    pub(crate) tenant: TenantId,
    /// When it is gone on with, a time of the clock.
    pub(crate) due: Duration,
    /// What is still to be counted.
    partitions: VecDeque<(CollectionId, VshardId)>,
    /// How far the first of them is.
    tally: Option<Box<Tally>>,
    /// The time of the commit clock by which expiry is judged.
    now_ms: u64,
    bytes: u64,
}

/// What a slice came to.
enum Slice {
    Some(Box<Tally>),
    Last(Statistics),
}

impl TenantCount {
    /// Nothing is counted yet. What is created from now on is no part of it.
    pub(crate) fn begin(tenant: TenantId, schema: &Schema, due: Duration) -> Self {
        let catalog = schema.sender.data.catalog();
        let partitions = catalog.of(tenant).flat_map(|of| {
            let vshards = schema.routing.partitions(of.id, of.partitions);
            vshards.map(|vshard| (of.id, vshard))
        });
        let partitions = partitions.collect();
        let now_ms = schema.sender.data.commit_ms();
        Self { tenant, due, partitions, tally: None, now_ms, bytes: 0 }
    }

    /// Counts one slice. Answers the bytes of keys and values once all are counted.
    ///
    /// # Errors
    /// [`Error::Data`], [`Error::SnapshotExpired`], [`Error::Timeout`]: nothing was counted, and it may be
    /// gone on with.
    pub(crate) fn go_on(&mut self, schema: &Schema) -> Result<Option<u64>, Error> {
        let Some((collection, vshard)) = self.partitions.front().copied() else {
            return Ok(Some(self.bytes));
        };
        match schema.sender.patiently(|| self.slice(schema, collection, vshard)) {
            Ok(Slice::Some(tally)) => self.tally = Some(tally),
            Ok(Slice::Last(Statistics { key_bytes, value_bytes, .. })) => {
                self.bytes += key_bytes + value_bytes;
                self.next();
            }
            // Dropped meanwhile, with all that was in it.
            Err(error) if error.kind() == ErrorKind::NotFound => self.next(),
            Err(error) => return Err(error),
        }
        Ok(self.partitions.is_empty().then_some(self.bytes))
    }

    fn next(&mut self) {
        self.partitions.pop_front();
        self.tally = None;
    }

    fn slice(
        &self,
        schema: &Schema,
        collection: CollectionId,
        vshard: VshardId,
    ) -> Result<Slice, Error> {
        let sender = &schema.sender;
        // It holds everything that was answered before, at whatever level of durability.
        let Some(snapshot) = sender.data.snapshot_for_scan(sender.due())? else {
            return Ok(Slice::Last(Statistics::default()));
        };
        let lsn = snapshot.lsn();
        let tally = match &self.tally {
            Some(tally) => tally.as_ref().clone().at(lsn),
            None => Tally::new(self.tenant, collection, lsn, self.now_ms),
        };
        let to = Destination { tenant: self.tenant, vshard, priority: Priority::Background };
        let slice = sender.send(to, Op::Tally(Box::new(tally)), |outcome| {
            if let Outcome::Tally(tally) = outcome {
                Ok(Slice::Some(tally))
            } else if let Outcome::Statistics(statistics) = outcome {
                Ok(Slice::Last(statistics))
            } else {
                Err(Error::mismatched("a slice of statistics"))
            }
        })?;
        let slice = slice.wait()?;
        Snapshot::check(&snapshot)?;
        Ok(slice)
    }
}
