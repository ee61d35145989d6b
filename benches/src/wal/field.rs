//! Who takes part in a case.

use super::{
    bare::BareDisk,
    buffered::Buffered,
    latency::{BareCopy, PacedLog},
    log::OurLog,
    race::Race,
    store::{Subject, Workload},
};
use crate::{Contender, Site};
use anyhow::{Context, Result};
use std::path::Path;

/// The contenders of one case, the limit first. Each gets a fresh directory.
pub(super) struct Field<'a> {
    pub(super) site: &'a Site,
    pub(super) peers: &'a [&'a dyn Subject],
}

impl Field<'_> {
    /// Many threads that wait for their own records.
    pub(super) fn commits(&self, threads: usize, depth: usize) -> Result<Vec<Box<dyn Contender>>> {
        self.enter(Workload::Commits { threads, depth }, |subject, dir| {
            // The bare disk cannot gather what threads do: it gets all of it in one batch.
            let alone = subject.who() == crate::LIMIT;
            let (threads, depth) = if alone { (1, threads * depth) } else { (threads, depth) };
            Ok(Box::new(Race::prepare(subject, dir, threads, depth)?))
        })
    }

    /// One thread that does not wait for syncs.
    pub(super) fn buffered(&self) -> Result<Vec<Box<dyn Contender>>> {
        self.enter(Workload::Buffered, |subject, dir| {
            Ok(Box::new(Buffered::prepare(subject, dir, self.site.effort)?))
        })
    }

    /// One thread whose appends are timed one by one.
    pub(super) fn append(&self) -> Result<Vec<Box<dyn Contender>>> {
        let log = PacedLog::prepare(&self.site.fresh("nodedb")?)?;
        Ok(vec![Box::new(BareCopy::prepare()), Box::new(log)])
    }

    fn enter(
        &self,
        workload: Workload,
        prepare: impl Fn(&dyn Subject, &Path) -> Result<Box<dyn Contender>>,
    ) -> Result<Vec<Box<dyn Contender>>> {
        let ours: [&dyn Subject; 2] = [&BareDisk, &OurLog];
        let all = ours.iter().chain(self.peers);
        let takers = all.filter(|subject| subject.takes(workload));
        let entered = takers.map(|subject| {
            let entered = prepare(*subject, &self.site.fresh(subject.who())?);
            entered.with_context(|| format!("{} before its first turn", subject.who()))
        });
        entered.collect()
    }
}
