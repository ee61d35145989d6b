//! What is known of every vshard's floors, without asking its core.

use crate::VshardFloors;
use nodedb_crdt::Quarantined;
use nodedb_engine::{Dirty, EngineKind, Floor};
use nodedb_types::VshardId;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// One slot per vshard, written by its core. A silent, slow or dead core is counted at its last proof
/// instead of being left out.
#[derive(Debug)]
pub(crate) struct Board {
    slots: Box<[Mutex<VshardFloors>]>,
    /// CRDT updates that made the library fail, by vshard.
    quarantine: Mutex<BTreeMap<VshardId, Vec<Quarantined>>>,
}

impl Board {
    /// A board on which nothing is proven.
    pub(crate) fn new(vshards: u16) -> Self {
        let slot = |vshard| {
            Mutex::new(VshardFloors {
                vshard: VshardId::new(vshard),
                floors: EngineKind::ALL.map(|kind| (kind, Floor::default())),
                dirty: None,
                failure: None,
            })
        };
        Self { slots: (0..vshards).map(slot).collect(), quarantine: Mutex::default() }
    }

    fn slot(&self, vshard: VshardId) -> &Mutex<VshardFloors> {
        let index = usize::from(vshard.get());
        assert!(index < self.slots.len(), "vshard {vshard} exists");
        &self.slots[index]
    }

    /// Raises an engine's floor. Proofs are monotone, so a late or repeated one does no harm.
    pub(crate) fn prove(&self, vshard: VshardId, engine: EngineKind, floor: Floor) {
        let mut slot = self.slot(vshard).lock();
        for (kind, known) in &mut slot.floors {
            if *kind == engine {
                *known = known.merge(floor);
            }
        }
    }

    /// What the vshard holds that its files do not.
    pub(crate) fn set_dirty(&self, vshard: VshardId, dirty: Option<Dirty>) {
        self.slot(vshard).lock().dirty = dirty;
    }

    /// Why the vshard does not flush; `None` once it does.
    pub(crate) fn set_failure(&self, vshard: VshardId, failure: Option<String>) {
        self.slot(vshard).lock().failure = failure;
    }

    /// What the vshard keeps aside.
    pub(crate) fn set_quarantine(&self, vshard: VshardId, held: Vec<Quarantined>) {
        self.quarantine.lock().insert(vshard, held);
    }

    /// What the vshards keep aside, ascending.
    pub(crate) fn quarantine(&self) -> Vec<(VshardId, Quarantined)> {
        let held = self.quarantine.lock();
        held.iter().flat_map(|(id, held)| held.iter().map(|one| (*id, one.clone()))).collect()
    }

    /// What is known of one vshard.
    pub(crate) fn of(&self, vshard: VshardId) -> VshardFloors {
        self.slot(vshard).lock().clone()
    }

    /// What is known of all, ascending.
    pub(crate) fn all(&self) -> Vec<VshardFloors> {
        self.slots.iter().map(|slot| slot.lock().clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_types::Lsn;

    #[test]
    fn a_silent_vshard_is_counted_at_its_last_proof() {
        let board = Board::new(2);
        let floor = |own, effective| {
            Floor::recorded(Lsn::from_u64(own), Lsn::from_u64(effective)).expect("in order")
        };
        let first = VshardId::new(0);
        board.prove(first, EngineKind::Vectors, floor(5, 9));
        // A late report of an earlier flush.
        board.prove(first, EngineKind::Vectors, floor(3, 3));
        let all = board.all();
        assert_eq!(all.len(), 2, "nobody is left out");
        assert_eq!(all[0].floors[1], (EngineKind::Vectors, floor(5, 9)));
        assert_eq!(all[1].floors[1], (EngineKind::Vectors, Floor::default()));
        board.set_failure(first, Some("disk".to_owned()));
        assert_eq!(board.of(first).failure.as_deref(), Some("disk"));
        assert_eq!(board.of(first).floors[1].1, floor(5, 9), "a failure keeps the proofs");
    }
}
