//! From a target to a plan.

use crate::{
    ColdError,
    base::BaseManifest,
    error::FormatError,
    log_object::ArchivedBatch,
    restore::{ArchiveReader, LogWalk, PlannedObject, RestorePlan, RestoreTarget},
};
use nodedb_types::Lsn;

/// A target whose position, if it has one, is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Goal {
    End,
    Lsn(Lsn),
    Time(u64),
}

/// The log that a goal takes.
#[derive(Debug)]
struct Reach {
    objects: Vec<PlannedObject>,
    /// The first record that the objects do not hold.
    next: Lsn,
    /// Whether the archive ends there.
    at_end: bool,
}

impl ArchiveReader {
    /// What it takes to restore to the target, and exactly where that arrives. Reads headers, and
    /// one log object whole.
    ///
    /// The newest base image at or below the target is taken; a damaged one is passed over with a
    /// warning where an older one, or the log from record 1, reaches the same target.
    ///
    /// # Errors
    /// [`ColdError::Gap`] if records on the way are missing: never a shorter result;
    /// [`ColdError::BeyondEnd`], [`ColdError::BeforeBeginning`] and [`ColdError::UnknownPoint`] for a
    /// target that is not there, naming the nearest that is; [`ColdError::Corrupt`];
    /// [`ColdError::Store`].
    pub async fn plan(&self, target: RestoreTarget) -> Result<RestorePlan, ColdError> {
        let goal = match &target {
            RestoreTarget::Latest => Goal::End,
            RestoreTarget::Lsn(lsn) => Goal::Lsn(*lsn),
            RestoreTarget::Time(ms) => Goal::Time(*ms),
            RestoreTarget::Point(name) => Goal::Lsn(self.find_point(name).await?.lsn),
        };
        let mut warnings = Vec::new();
        let base = self.choose_base(goal, &target, &mut warnings).await?;
        let first_lsn = base.as_ref().map_or(Lsn::FIRST, |base| base.redo_lsn);
        let reach = self.reach(first_lsn, goal).await?;
        check_reach(&reach, base.as_ref(), goal, &target)?;
        let last = self.last_batch(&reach, goal).await?;
        let ceiling = base.as_ref().map(|base| base.ceiling_lsn);
        let (target_lsn, target_ms) = match (last, goal) {
            (Some(batch), Goal::Lsn(lsn)) => (Some(lsn), batch.commit_ms),
            (Some(batch), Goal::End | Goal::Time(_)) => (batch.range().last(), batch.commit_ms),
            (None, _) => (ceiling, base.as_ref().map_or(0, |base| base.commit_ms)),
        };
        if let Some(base) = base.as_ref().filter(|_| target_lsn < ceiling) {
            // Its clock says that it is older than its highest record.
            let key = self.lineage.layout.base(base.id());
            let problem = FormatError::Field { field: "commit time" };
            return Err(ColdError::Corrupt { key, problem });
        }
        let objects = reach.objects.iter().map(|object| object.bytes);
        let files = base.as_ref().map_or(0, BaseManifest::file_bytes);
        Ok(RestorePlan {
            database_id: self.database_id(),
            incarnation: self.incarnation(),
            bytes: files + objects.sum::<u64>(),
            target,
            base,
            objects: reach.objects,
            first_lsn,
            target_lsn,
            target_ms,
            warnings,
        })
    }

    /// The newest sound base that may serve the goal; `None` stands for the empty database before
    /// record 1.
    async fn choose_base(
        &self,
        goal: Goal,
        target: &RestoreTarget,
        warnings: &mut Vec<String>,
    ) -> Result<Option<BaseManifest>, ColdError> {
        let mut damage = None;
        let mut oldest = (None, 0);
        for id in self.bases().await? {
            // P13: a base shows everything up to its ceiling, so it serves nothing below.
            if matches!(goal, Goal::Lsn(lsn) if lsn < id.ceiling_lsn) {
                oldest = (Some(id.ceiling_lsn), 0);
                continue;
            }
            match self.base(id).await {
                Ok(base) if matches!(goal, Goal::Time(ms) if ms < base.commit_ms) => {
                    oldest = (Some(base.ceiling_lsn), base.commit_ms);
                }
                Ok(base) => return Ok(Some(base)),
                Err(error @ (ColdError::Corrupt { .. } | ColdError::Missing { .. })) => {
                    warnings.push(format!("a base image is passed over: {error}"));
                    damage = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        if self.lineage.start() == Lsn::FIRST {
            return Ok(None);
        }
        let (oldest_lsn, oldest_ms) = oldest;
        Err(damage.unwrap_or(ColdError::BeforeBeginning {
            target: target.clone(),
            oldest_lsn,
            oldest_ms,
        }))
    }

    /// The objects from `from` to the goal.
    async fn reach(&self, from: Lsn, goal: Goal) -> Result<Reach, ColdError> {
        let mut reach = Reach { objects: Vec::new(), next: from, at_end: false };
        let mut walk = LogWalk::begin(&*self.store, &self.lineage, from).await?;
        while !matches!(goal, Goal::Lsn(lsn) if lsn < reach.next) {
            let Some(object) = walk.step().await? else {
                reach.at_end = true;
                break;
            };
            if matches!(goal, Goal::Time(ms) if ms < object.min_commit_ms) {
                break;
            }
            // A stale listing may have begun the walk too early.
            if object.range.end() <= from {
                continue;
            }
            if reach.objects.is_empty() && from < object.range.start() {
                return Err(ColdError::Gap { from, to: object.range.start() });
            }
            reach.next = object.range.end();
            reach.objects.push(object);
        }
        Ok(reach)
    }

    /// The batch in which the goal lies; `None` if the plan needs no log.
    async fn last_batch(
        &self,
        reach: &Reach,
        goal: Goal,
    ) -> Result<Option<ArchivedBatch>, ColdError> {
        let Some(object) = reach.objects.last() else {
            return Ok(None);
        };
        let mut last = None;
        for batch in self.fetch_log(object).await?.batches() {
            let batch = batch?;
            let past = match goal {
                Goal::End => false,
                Goal::Lsn(lsn) => lsn < batch.first_lsn,
                Goal::Time(ms) => ms < batch.commit_ms,
            };
            if past || batch.range().end() > object.range.end() {
                break;
            }
            last = Some(batch);
        }
        Ok(last)
    }
}

/// Whether the objects lead to the goal, and from the base.
fn check_reach(
    reach: &Reach,
    base: Option<&BaseManifest>,
    goal: Goal,
    target: &RestoreTarget,
) -> Result<(), ColdError> {
    // The base was completed after its log had been archived: if that is gone, it was lost.
    if let Some(base) = base
        && reach.next <= base.ceiling_lsn
    {
        return Err(ColdError::Gap { from: reach.next, to: base.ceiling_lsn.next() });
    }
    let newest_ms =
        reach.objects.last().map(|object| object.max_commit_ms).or(base.map(|base| base.commit_ms));
    let beyond = match goal {
        Goal::End => false,
        Goal::Lsn(lsn) => reach.next <= lsn,
        Goal::Time(ms) => reach.at_end && newest_ms.is_none_or(|newest| newest < ms),
    };
    if beyond {
        return Err(ColdError::BeyondEnd {
            target: target.clone(),
            newest_lsn: reach.next.previous(),
            newest_ms: newest_ms.unwrap_or_default(),
        });
    }
    // Only a goal by time can find everything too new.
    if matches!(goal, Goal::Time(_)) && reach.objects.is_empty() && base.is_none() {
        return Err(ColdError::BeforeBeginning {
            target: target.clone(),
            oldest_lsn: Some(Lsn::FIRST),
            oldest_ms: 0,
        });
    }
    Ok(())
}
