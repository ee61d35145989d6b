//! The decision of a round, free of I/O: from floors to a redo position.

use nodedb_data::VshardFloors;
use nodedb_engine::EngineKind;
use nodedb_types::{Lsn, VshardId};

/// What a round has learned when its deadline comes.
#[derive(Debug)]
pub(crate) struct Round<'a> {
    /// The durable position that was asked about; `None` of an empty log.
    pub(crate) barrier: Option<Lsn>,
    /// The redo position before, which never falls.
    pub(crate) redo: Lsn,
    /// How many vshards there are; each must have its floors here.
    pub(crate) vshards: u16,
    /// The last proofs of every vshard, also of silent ones.
    pub(crate) floors: &'a [VshardFloors],
}

/// What follows from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Decision {
    /// The first record that recovery needs.
    pub(crate) redo: Lsn,
    /// The engines that have not proved the barrier.
    pub(crate) behind: Vec<(VshardId, EngineKind, Option<Lsn>)>,
}

/// A vshard without floors. Leaving it out of the minimum would delete the only copy of its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("vshard {vshard} has no floors, so nothing may be deleted")]
pub(crate) struct VshardMissing {
    pub(crate) vshard: VshardId,
}

impl Round<'_> {
    /// The new redo position: one above the lowest floor of **all** registered engines. An engine
    /// that did not answer counts at its last proof; an idle one has reported the barrier.
    pub(crate) fn decide(&self) -> Result<Decision, VshardMissing> {
        let mut lowest = self.barrier;
        let mut behind = Vec::new();
        for vshard in (0..self.vshards).map(VshardId::new) {
            let known = self.floors.iter().find(|known| known.vshard == vshard);
            let known = known.ok_or(VshardMissing { vshard })?;
            for (engine, floor) in known.floors {
                lowest = lowest.min(floor.effective());
                if floor.effective() < self.barrier {
                    behind.push((vshard, engine, floor.effective()));
                }
            }
        }
        let redo = self.redo.max(Lsn::after(lowest));
        assert!(redo >= self.redo, "the redo position never falls");
        Ok(Decision { redo, behind })
    }

    /// Whether any user or catalog record lies at or above the redo position. Housekeeping records
    /// do not count, so that an idle database writes nothing.
    pub(crate) fn is_changed(&self) -> bool {
        self.floors.iter().any(|vshard| {
            let flushed_above =
                vshard.floors.iter().any(|(_, floor)| floor.own() >= Some(self.redo));
            vshard.dirty.is_some() || flushed_above
        })
    }
}

#[cfg(test)]
mod tests;
