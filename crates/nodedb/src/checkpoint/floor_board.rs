//! What is proven of every engine of every vshard, and the redo position that follows from it.

use super::{CheckpointRecord, life::Life};
use nodedb_engine::{EngineKind, Floor};
use nodedb_types::{Lsn, VshardId};

/// The floors of one vshard: a field for every engine, so that one that is forgotten does not compile.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct EngineFloors {
    documents: Floor,
    vectors: Floor,
    catalog: Floor,
}

impl EngineFloors {
    pub(crate) fn new(of: impl Fn(EngineKind) -> Floor) -> Self {
        Self {
            documents: of(EngineKind::Documents),
            vectors: of(EngineKind::Vectors),
            catalog: of(EngineKind::Catalog),
        }
    }

    pub(crate) const fn of(&self, engine: EngineKind) -> Floor {
        match engine {
            EngineKind::Documents => self.documents,
            EngineKind::Vectors => self.vectors,
            EngineKind::Catalog => self.catalog,
        }
    }

    fn merge(self, other: Self) -> Self {
        Self::new(|engine| self.of(engine).merge(other.of(engine)))
    }

    fn each(self) -> impl Iterator<Item = (EngineKind, Floor)> {
        EngineKind::ALL.into_iter().map(move |engine| (engine, self.of(engine)))
    }
}

/// What one life of a vshard's owner says of it. A report is a fact: whenever it comes and however
/// often, it says the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Report {
    pub(crate) vshard: VshardId,
    pub(crate) life: Life,
    pub(crate) floors: EngineFloors,
    /// The oldest record that its files lack; `None` of an idle vshard.
    pub(crate) dirty: Option<Lsn>,
}

/// An engine that has not proved a barrier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Behind {
    pub(crate) vshard: VshardId,
    pub(crate) engine: EngineKind,
    /// What it has proved.
    pub(crate) lsn: Option<Lsn>,
}

/// A redo position that every engine of every vshard has proved. Made by [`FloorBoard::proven_redo`] only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ProvenRedo(Lsn);

impl ProvenRedo {
    pub(crate) const fn lsn(self) -> Lsn {
        self.0
    }
}

/// A vshard that the board was not made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("vshard {vshard} has no floors, so nothing may be deleted")]
pub(crate) struct VshardMissing {
    pub(crate) vshard: VshardId,
}

/// The highest proofs of every engine of every vshard, merged by maximum within a life.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FloorBoard {
    /// One for each vshard, ascending, from the first moment on: nobody can be left out of a minimum.
    known: Box<[Report]>,
    #[cfg(test)]
    broken: broken::Broken,
}

impl FloorBoard {
    /// A board of what every vshard proves at the start.
    ///
    /// # Errors
    /// [`VshardMissing`] if one of them says nothing: such a database does not open, since a minimum
    /// without it would give up its log.
    pub(crate) fn new(vshards: u16, start: &[Report]) -> Result<Self, VshardMissing> {
        assert!(vshards > 0, "a database has a vshard");
        let report = |vshard| {
            let found = start.iter().find(|report| report.vshard == vshard);
            found.copied().ok_or(VshardMissing { vshard })
        };
        let known = (0..vshards).map(|id| report(VshardId::new(id))).collect::<Result<_, _>>()?;
        Ok(Self {
            known,
            #[cfg(test)]
            broken: broken::Broken::default(),
        })
    }

    /// Takes in a report: late, repeated and reordered ones do no harm, and one of an earlier life is
    /// ignored.
    pub(crate) fn merge(&mut self, report: Report) {
        let Some(known) = self.known.iter_mut().find(|known| known.vshard == report.vshard) else {
            return;
        };
        #[cfg(test)]
        if self.broken.believes_old_lives() && report.life < known.life {
            known.floors = known.floors.merge(report.floors);
            return;
        }
        if report.life > known.life {
            *known = report;
        } else if report.life == known.life {
            known.floors = known.floors.merge(report.floors);
            known.dirty = report.dirty;
        }
    }

    /// One above the lowest floor of **all** engines and of the barrier.
    pub(crate) fn proven_redo(&self, barrier: Lsn) -> ProvenRedo {
        let floors = self.counted().flat_map(|known| known.floors.each());
        let effective = floors.map(|(_, floor)| floor.effective());
        let lowest = effective.fold(Some(barrier), Option::min);
        ProvenRedo(Lsn::after(lowest))
    }

    /// Everybody.
    #[cfg(not(test))]
    fn counted(&self) -> impl Iterator<Item = &Report> {
        self.known.iter()
    }

    /// Everybody, unless a test breaks the rule.
    #[cfg(test)]
    fn counted(&self) -> impl Iterator<Item = &Report> {
        self.known.iter().filter(|known| self.broken.counts(known.vshard))
    }

    /// Who has not proved a barrier, the lowest first.
    pub(crate) fn behind(&self, barrier: Lsn) -> Vec<Behind> {
        let mut behind: Vec<_> = self
            .known
            .iter()
            .flat_map(|known| known.floors.each().map(move |floor| (known.vshard, floor)))
            .filter(|(_, (_, floor))| floor.effective() < Some(barrier))
            .map(|(vshard, (engine, floor))| Behind { vshard, engine, lsn: floor.effective() })
            .collect();
        behind.sort_by_key(|behind| behind.lsn);
        behind
    }

    /// Whether all engines of a vshard have proved a barrier.
    pub(crate) fn reaches(&self, vshard: VshardId, barrier: Lsn) -> bool {
        let known = self.known.iter().find(|known| known.vshard == vshard);
        known.is_some_and(|known| {
            known.floors.each().all(|(_, floor)| floor.effective() >= Some(barrier))
        })
    }

    /// Whether any user or catalog record lies from the redo position up to a barrier, or at all if there
    /// is none. Housekeeping records do not count, so that an idle database writes nothing (protocol
    /// rule P13).
    pub(crate) fn is_changed(&self, redo: Lsn, barrier: Option<Lsn>) -> bool {
        self.known.iter().any(|known| {
            let flushed = known.floors.each().any(|(_, floor)| floor.own() >= Some(redo));
            flushed || known.dirty.is_some_and(|dirty| barrier.is_none_or(|end| dirty <= end))
        })
    }

    /// The vshards that lack nothing up to a barrier, whose flush costs nothing, and the others; of each the
    /// one that pins the log first.
    pub(crate) fn by_floor(&self, barrier: Lsn) -> (Vec<VshardId>, Vec<VshardId>) {
        let lowest = |known: &Report| known.floors.each().map(|(_, floor)| floor.effective()).min();
        let mut vshards: Vec<_> = self.known.iter().collect();
        vshards.sort_by_key(|known| (lowest(known), known.vshard));
        let is_idle = |known: &&Report| known.dirty.is_none_or(|dirty| dirty > barrier);
        let (idle, dirty): (Vec<_>, Vec<_>) = vshards.into_iter().partition(is_idle);
        let names = |of: Vec<&Report>| of.into_iter().map(|known| known.vshard).collect();
        (names(idle), names(dirty))
    }

    /// The record that states the floors as they are.
    pub(crate) fn record(&self, barrier: Lsn, redo: ProvenRedo) -> CheckpointRecord {
        let floors = self.known.iter().flat_map(|known| {
            known.floors.each().map(move |(engine, floor)| (known.vshard, engine, floor))
        });
        CheckpointRecord { barrier, redo: redo.lsn(), floors: floors.collect() }
    }
}

#[cfg(test)]
mod broken;
#[cfg(test)]
mod tests;
