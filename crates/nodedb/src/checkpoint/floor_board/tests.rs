use super::*;

fn lsn(value: u64) -> Lsn {
    Lsn::from_u64(value).expect("not zero")
}

fn floor(effective: u64) -> Floor {
    let position = Lsn::from_u64(effective);
    Floor::recorded(position, position).expect("in order")
}

fn report(vshard: u16, life: u32, effective: u64) -> Report {
    Report {
        vshard: VshardId::new(vshard),
        life: Life::new(life),
        floors: EngineFloors::new(|_| floor(effective)),
        dirty: None,
    }
}

fn board(effective: [u64; 2]) -> FloorBoard {
    let start = [report(0, 1, effective[0]), report(1, 1, effective[1])];
    FloorBoard::new(2, &start).expect("both")
}

fn redo(board: &FloorBoard) -> u64 {
    board.proven_redo(lsn(100)).lsn().get()
}

/// D-1, S1: a silent vshard counts at its last proof, never left out of the minimum.
#[test]
fn a_silent_vshard_counts_at_its_last_proof() {
    let board = board([100, 40]);
    assert_eq!(redo(&board), 41);
    assert_eq!(board.behind(lsn(100)).len(), EngineKind::ALL.len());
    assert_eq!(board.behind(lsn(100))[0].lsn, Lsn::from_u64(40));
}

/// D-2, S2: a vshard that could not even be asked is missing from no minimum: without its floors there
/// is no board, and the database does not open.
#[test]
fn a_vshard_without_floors_is_an_error_and_moves_nothing() {
    let missing = VshardMissing { vshard: VshardId::new(1) };
    assert_eq!(FloorBoard::new(2, &[report(0, 1, 100)]), Err(missing));
}

/// D-6: an idle vshard reports the barrier, so it neither pins the log nor lies.
#[test]
fn an_idle_vshard_at_the_barrier_does_not_pin() {
    let board = board([100, 100]);
    assert_eq!((redo(&board), board.behind(lsn(100))), (101, Vec::new()));
}

/// A vshard that has proved nothing at all keeps the whole log.
#[test]
fn no_proof_keeps_everything() {
    assert_eq!(redo(&board([100, 0])), 1);
}

/// D-4: one engine that lags holds the log for the whole vshard, whichever it is.
#[test]
fn one_engine_that_lags_holds_the_log() {
    for lagging in EngineKind::ALL {
        let mut slow = report(1, 1, 100);
        slow.floors = EngineFloors::new(|engine| floor(if engine == lagging { 20 } else { 100 }));
        let board = FloorBoard::new(2, &[report(0, 1, 100), slow]).expect("both");
        assert_eq!(redo(&board), 21);
        assert_eq!(board.behind(lsn(100)).first().map(|behind| behind.engine), Some(lagging));
    }
}

/// A floor above the barrier (a flush that ran by itself) does not lift redo above what all proved.
#[test]
fn the_barrier_bounds_the_redo_position() {
    assert_eq!(redo(&board([250, 300])), 101);
}

#[test]
fn change_is_what_engines_hold_not_what_the_log_holds() {
    let changed = |board: &FloorBoard, barrier| board.is_changed(lsn(11), barrier);
    assert!(!changed(&board([10, 10]), None));
    assert!(changed(&board([10, 11]), None), "flushed since");
    let mut dirty = board([10, 10]);
    dirty.merge(Report { dirty: Some(lsn(12)), ..report(0, 1, 10) });
    assert!(changed(&dirty, None) && changed(&dirty, Some(lsn(12))));
    assert!(!changed(&dirty, Some(lsn(11))), "what follows the barrier is no change up to it");
    let mut idle = board([10, 10]);
    let effective = Floor::recorded(Lsn::from_u64(10), Lsn::from_u64(90)).expect("in order");
    idle.merge(Report { floors: EngineFloors::new(|_| effective), ..report(0, 1, 10) });
    assert!(!changed(&idle, None), "an idle engine that has reached a barrier has changed nothing");
}

/// D-9, D-14: reports that are late, repeated or out of order change nothing that they should not.
#[test]
fn reports_are_merged_by_maximum_in_any_order() {
    let reports = [report(1, 1, 60), report(1, 1, 30), report(1, 1, 60), report(1, 1, 45)];
    for first in 0..reports.len() {
        let mut board = board([100, 20]);
        for offset in 0..reports.len() {
            board.merge(reports[(first + offset) % reports.len()]);
        }
        assert_eq!(redo(&board), 61);
    }
}

/// A later life starts from what the files prove, which may be less; what an earlier one said of files
/// that are gone counts for nothing, however late it comes.
#[test]
fn a_report_of_an_earlier_life_is_ignored() {
    let mut board = board([100, 20]);
    board.merge(report(1, 1, 90));
    board.merge(report(1, 2, 40));
    assert_eq!(redo(&board), 41);
    board.merge(report(1, 1, 95));
    assert_eq!(redo(&board), 41);
    board.merge(report(1, 2, 50));
    assert_eq!(redo(&board), 51);
}

/// The pinning vshard is asked first; one with nothing up to the barrier costs nothing.
#[test]
fn the_lowest_floor_comes_first_and_idle_ones_apart() {
    let dirty = |at, report| Report { dirty: Lsn::from_u64(at), ..report };
    let start = [
        dirty(51, report(0, 1, 50)),
        dirty(40, report(1, 1, 20)),
        report(2, 1, 30),
        dirty(61, report(3, 1, 25)),
    ];
    let board = FloorBoard::new(4, &start).expect("all");
    let (idle, dirty) = board.by_floor(Lsn::from_u64(60).expect("not zero"));
    assert_eq!(
        (idle, dirty),
        ([3, 2].map(VshardId::new).to_vec(), [1, 0].map(VshardId::new).to_vec())
    );
}
