use super::*;
use nodedb_engine::{Dirty, Floor};

fn lsn(value: u64) -> Lsn {
    Lsn::from_u64(value).expect("not zero")
}

fn vshard(id: u16, effective: u64) -> VshardFloors {
    let position = Lsn::from_u64(effective);
    let floor = Floor::recorded(position, position).expect("in order");
    VshardFloors {
        vshard: VshardId::new(id),
        floors: EngineKind::ALL.map(|engine| (engine, floor)),
        dirty: None,
        failure: None,
    }
}

fn round(floors: &[VshardFloors]) -> Round<'_> {
    Round { barrier: Lsn::from_u64(100), redo: lsn(11), vshards: 2, floors }
}

/// D-1, S1: a silent vshard counts at its last proof, never left out of the minimum.
#[test]
fn a_silent_vshard_counts_at_its_last_proof() {
    let floors = [vshard(0, 100), vshard(1, 40)];
    let decision = round(&floors).decide().expect("all registered");
    assert_eq!(decision.redo, lsn(41));
    assert_eq!(decision.behind.len(), EngineKind::ALL.len());
}

/// D-2, S2: a vshard that could not even be asked is missing from no minimum.
#[test]
fn a_vshard_without_floors_is_an_error_and_moves_nothing() {
    let floors = [vshard(0, 100)];
    let missing = VshardMissing { vshard: VshardId::new(1) };
    assert_eq!(round(&floors).decide(), Err(missing));
}

/// D-6: an idle vshard reports the barrier, so it neither pins the log nor lies.
#[test]
fn an_idle_vshard_at_the_barrier_does_not_pin() {
    let floors = [vshard(0, 100), vshard(1, 100)];
    let decision = round(&floors).decide().expect("all registered");
    assert_eq!(decision, Decision { redo: lsn(101), behind: Vec::new() });
}

/// A vshard that has proved nothing at all keeps the whole log.
#[test]
fn no_proof_keeps_everything_above_the_old_redo() {
    let floors = [vshard(0, 100), vshard(1, 0)];
    assert_eq!(round(&floors).decide().expect("all registered").redo, lsn(11));
}

/// D-4: one engine that lags holds the log for the whole vshard.
#[test]
fn one_engine_that_lags_holds_the_log() {
    let lagging = vshard(1, 100);
    let low = Floor::recorded(Lsn::from_u64(20), Lsn::from_u64(20)).expect("in order");
    for engine in 0..EngineKind::ALL.len() {
        let mut floors = [vshard(0, 100), lagging.clone()];
        floors[1].floors[engine].1 = low;
        assert_eq!(round(&floors).decide().expect("all registered").redo, lsn(21));
    }
}

/// A floor above the barrier (a flush that ran by itself) does not lift redo above what all proved.
#[test]
fn the_barrier_bounds_the_redo_position() {
    let floors = [vshard(0, 250), vshard(1, 300)];
    assert_eq!(round(&floors).decide().expect("all registered").redo, lsn(101));
}

#[test]
fn change_is_what_engines_hold_not_what_the_log_holds() {
    let idle = [vshard(0, 10), vshard(1, 10)];
    assert!(!round(&idle).is_changed());
    let flushed_since = [vshard(0, 10), vshard(1, 11)];
    assert!(round(&flushed_since).is_changed());
    let mut dirty = [vshard(0, 10), vshard(1, 10)];
    dirty[0].dirty = Some(Dirty { oldest: lsn(12), bytes: 1 });
    assert!(round(&dirty).is_changed());
}
