//! The log of a plan, batch by batch.

use crate::{
    ColdError,
    error::FormatError,
    hash::ObjectHash,
    log_object::{ArchivedBatch, Batches},
    restore::{ArchiveReader, PlannedObject, RestorePlan, RestoreTarget},
};
use nodedb_types::Lsn;

impl ArchiveReader {
    /// The batches of a plan: from the one that holds its first record to the one that holds its
    /// target.
    pub fn batches<'a>(&'a self, plan: &'a RestorePlan) -> PlanBatches<'a> {
        PlanBatches {
            reader: self,
            plan,
            objects: plan.objects.iter(),
            current: None,
            chain: None,
            next: plan.first_lsn,
            ended: plan.target_lsn.is_none_or(|target| target < plan.first_lsn),
        }
    }
}

/// The batches of a plan, each verified. Holds one log object at a time.
#[derive(Debug)]
pub struct PlanBatches<'a> {
    reader: &'a ArchiveReader,
    plan: &'a RestorePlan,
    objects: std::slice::Iter<'a, PlannedObject>,
    current: Option<(&'a PlannedObject, Batches)>,
    chain: Option<ObjectHash>,
    next: Lsn,
    ended: bool,
}

impl PlanBatches<'_> {
    /// The next batch, or `None` after the last. The first may begin before the plan's first record
    /// and the last may end after its target: the caller skips what an engine has, and cuts the last
    /// at the end of an atomic group.
    ///
    /// Not cancel safe: after the future was dropped, begin again with [`ArchiveReader::batches`].
    ///
    /// # Errors
    /// [`ColdError::Gap`], [`ColdError::Corrupt`] and [`ColdError::BrokenChain`] name what is
    /// missing or damaged; [`ColdError::Store`]. After an error there are no more batches.
    pub async fn next(&mut self) -> Result<Option<ArchivedBatch>, ColdError> {
        if self.ended {
            return Ok(None);
        }
        let result = self.step().await;
        self.ended = !matches!(result, Ok(Some(_)))
            || self.plan.target_lsn.is_none_or(|target| target < self.next);
        result
    }

    async fn step(&mut self) -> Result<Option<ArchivedBatch>, ColdError> {
        loop {
            let Some((object, batches)) = &mut self.current else {
                self.open_next().await?;
                continue;
            };
            let Some(batch) = batches.next() else {
                self.current = None;
                continue;
            };
            let batch = batch?;
            let range = batch.range();
            if range.start() >= object.range.end() {
                // The rest was written after another writer's history had begun.
                self.current = None;
                continue;
            }
            // P4: epochs fork only between batches.
            if range.end() > object.range.end() {
                let problem = FormatError::Field { field: "fork position" };
                let key = object.key.clone();
                return Err(ColdError::Corrupt { key, problem });
            }
            if range.end() <= self.next {
                continue;
            }
            self.next = range.end();
            return Ok(Some(batch));
        }
    }

    async fn open_next(&mut self) -> Result<(), ColdError> {
        let Some(object) = self.objects.next() else {
            // The plan promised records up to its target.
            let target = self.plan.target_lsn.unwrap_or(self.next);
            let to = target.next().max(self.next.next());
            return Err(ColdError::Gap { from: self.next, to });
        };
        let decoded = self.reader.fetch_log(object).await?;
        if let Some(chain) = self.chain.filter(|chain| *chain != decoded.previous()) {
            return Err(ColdError::BrokenChain {
                key: object.key.clone(),
                expected: decoded.previous(),
                found: chain,
            });
        }
        if let RestoreTarget::Point(name) = &self.plan.target
            && self.plan.target_lsn.is_some_and(|lsn| object.range.contains(lsn))
            && !decoded.points().iter().any(|point| point.name == *name)
        {
            let problem = FormatError::Foreign { field: "restore point" };
            let key = object.key.clone();
            return Err(ColdError::Corrupt { key, problem });
        }
        self.chain = Some(decoded.hash());
        self.current = Some((object, decoded.batches()));
        Ok(())
    }
}
