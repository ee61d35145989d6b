//! The two floors of an engine.

use crate::Flushed;
use nodedb_types::Lsn;

/// Up to where an engine's files make the log unnecessary (protocol rule P2).
///
/// `own` is what the files themselves prove. `effective` may be higher: an idle engine reports the
/// checkpoint's barrier without writing anything. Only the pair tells an idle engine from an older
/// generation of its files that someone put back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Floor {
    own: Option<Lsn>,
    effective: Option<Lsn>,
}

impl Floor {
    /// The floor of an engine whose files prove `flushed` and nothing more is known.
    pub fn proven(flushed: Flushed) -> Self {
        Self { own: flushed.floor(), effective: flushed.floor() }
    }

    /// The floor of an engine that has nothing unflushed up to the barrier.
    #[must_use]
    pub fn idle_at(flushed: Flushed, barrier: Option<Lsn>) -> Self {
        Self { own: flushed.floor(), effective: flushed.floor().max(barrier) }
    }

    /// A floor as a checkpoint record or a base image states it.
    ///
    /// `None` if the effective floor lies below the own one, which nothing writes.
    pub fn recorded(own: Option<Lsn>, effective: Option<Lsn>) -> Option<Self> {
        (own <= effective).then_some(Self { own, effective })
    }

    /// What the files prove.
    pub const fn own(self) -> Option<Lsn> {
        self.own
    }

    /// Up to where the log is not needed.
    pub const fn effective(self) -> Option<Lsn> {
        self.effective
    }

    /// Both floors at their highest: facts are monotone, so late and repeated reports do no harm.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { own: self.own.max(other.own), effective: self.effective.max(other.effective) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_monotone_and_commutative() {
        let lsn = Lsn::from_u64;
        let low = Floor::recorded(lsn(5), lsn(9)).expect("in order");
        let high = Floor::recorded(lsn(7), lsn(8)).expect("in order");
        let merged = low.merge(high);
        assert_eq!((merged.own(), merged.effective()), (lsn(7), lsn(9)));
        assert_eq!(merged, high.merge(low));
        assert_eq!(Floor::recorded(lsn(2), lsn(1)), None);
    }
}
