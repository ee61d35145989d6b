use super::*;
use crate::checkpoint::{
    Life,
    floor_board::{EngineFloors, Report},
};
use nodedb_engine::{EngineKind, Floor};
use nodedb_types::VshardId;

const LIMIT: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(1);
const NOW: Duration = Duration::from_secs(1000);

fn lsn(value: u64) -> Lsn {
    Lsn::from_u64(value).expect("not zero")
}

fn report(vshard: u16, own: u64, effective: u64) -> Report {
    let floor = Floor::recorded(Lsn::from_u64(own), Lsn::from_u64(effective)).expect("in order");
    let floors = EngineFloors::new(|_| floor);
    Report { vshard: VshardId::new(vshard), life: Life::new(1), floors, dirty: None }
}

/// Two vshards that have flushed nothing, and the rounds that a test makes them go through.
struct World {
    machine: Machine,
    now: Duration,
    round: RoundId,
}

impl World {
    fn new() -> Self {
        let board = FloorBoard::new(2, &[report(0, 0, 0), report(1, 0, 0)]).expect("both");
        let schedule = Schedule {
            interval: Duration::from_mins(5),
            recovery_target: Duration::from_secs(10),
            log_bytes_max: 1 << 30,
            dirty_bytes_max: 1 << 30,
        };
        let start =
            Start { limit: LIMIT, schedule, board, redo: Lsn::FIRST, recorded: None, now: NOW };
        Self { machine: Machine::new(start), now: NOW, round: RoundId::FIRST }
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let actions = self.machine.step(event, self.now);
        for action in &actions {
            if let Action::Fence { round, .. } = action {
                self.round = *round;
            }
        }
        actions
    }

    fn after(&mut self, pause: Duration) -> Vec<Action> {
        self.now += pause;
        self.step(Event::Tick)
    }

    fn ask(&mut self, id: u64, urgency: Urgency, wants: u64) -> Vec<Action> {
        let caller = Caller { id: CallerId::new(id), urgency, wants: Lsn::from_u64(wants) };
        self.step(Event::Requested(caller))
    }

    fn fenced(&mut self, barrier: u64) -> Vec<Action> {
        let (round, barrier) = (self.round, Lsn::from_u64(barrier));
        self.step(Event::Fenced { round, barrier })
    }

    fn flushed(&mut self, vshard: u16, upto: u64) -> Vec<Action> {
        self.step(Event::Reported(report(vshard, upto, upto)))
    }

    fn declined(&mut self, vshard: u16) -> Vec<Action> {
        let (round, vshard) = (self.round, VshardId::new(vshard));
        self.step(Event::Declined { round, vshard })
    }

    fn failed(&mut self, stage: Stage) -> Vec<Action> {
        let round = self.round;
        self.step(Event::Failed { round, stage })
    }

    /// From the last flush to the answer.
    fn recorded(&mut self, record: u64) -> Vec<Action> {
        let (round, record) = (self.round, lsn(record));
        let actions = self.step(Event::Recorded { round, record });
        assert!(matches!(actions[..], [Action::Switch { .. }]), "{actions:?}");
        self.step(Event::Switched { round })
    }

    /// A whole round for one caller.
    fn blocked_round(&mut self, id: u64, barrier: u64) -> Outcome {
        self.ask(id, Urgency::Immediate, 0);
        self.fenced(barrier);
        self.declined(1);
        conclusion(&self.declined(0)).1
    }
}

fn conclusion(actions: &[Action]) -> (Vec<CallerId>, Outcome) {
    let found = actions.iter().find_map(|action| {
        let Action::Conclude { callers, outcome, .. } = action else { return None };
        Some((callers.clone(), outcome.clone()))
    });
    found.unwrap_or_else(|| panic!("no conclusion in {actions:?}"))
}

fn callers<const N: usize>(ids: [u64; N]) -> Vec<CallerId> {
    ids.map(CallerId::new).to_vec()
}

fn starts(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Fence { .. }))
}

/// D-11: what is recorded is what recovery starts from: the record's floors, then CONTROL.
#[test]
fn a_round_goes_from_fence_to_control() {
    let mut world = World::new();
    let actions = world.ask(1, Urgency::Immediate, 7);
    assert_eq!(actions, [Action::Fence { round: world.round, deadline: NOW + LIMIT }]);
    let asked = world.fenced(9);
    assert_eq!(asked.len(), 2, "all vshards at once: {asked:?}");
    assert_eq!(world.flushed(1, 9), []);
    let recording = world.flushed(0, 9);
    let [Action::Record { record, .. }] = &recording[..] else { panic!("{recording:?}") };
    assert_eq!((record.barrier, record.redo), (lsn(9), lsn(10)));
    assert_eq!(record.floors.len(), 2 * EngineKind::ALL.len());
    let (who, outcome) = conclusion(&world.recorded(10));
    assert_eq!((who, outcome), (callers([1]), Outcome::Advanced { redo: lsn(10) }));
    assert_eq!(world.machine.phase(), "idle");
    // The log holds nothing but that record now: nobody is asked.
    world.ask(2, Urgency::Immediate, 10);
    assert_eq!(conclusion(&world.fenced(10)).1, Outcome::Unchanged);
}

/// D-1, D-9: at the one deadline whoever is silent counts at its last proof, and is named.
#[test]
fn at_the_deadline_the_round_goes_on_with_what_is_known() {
    let mut world = World::new();
    world.ask(1, Urgency::Immediate, 7);
    world.fenced(9);
    world.flushed(0, 9);
    world.flushed(1, 4);
    assert_eq!(world.machine.wake_at(), Some(NOW + LIMIT));
    assert_eq!(world.after(LIMIT.saturating_sub(MOMENT)), []);
    let recording = world.after(MOMENT);
    let [Action::Record { record, .. }] = &recording[..] else { panic!("{recording:?}") };
    assert_eq!(record.redo, lsn(5));
    let (_, outcome) = conclusion(&world.recorded(10));
    let Outcome::Blocked { by, behind, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((by.vshard, by.lsn), (VshardId::new(1), Lsn::from_u64(4)));
    assert_eq!(behind.len(), EngineKind::ALL.len());
}

/// D-3, D-10: where nothing was proved nothing is recorded, so a stuck engine does not fill the log
/// either.
#[test]
fn a_round_that_moves_nothing_records_nothing() {
    let mut world = World::new();
    world.ask(1, Urgency::Immediate, 7);
    world.fenced(9);
    world.flushed(0, 9);
    let (_, outcome) = conclusion(&world.declined(1));
    assert!(matches!(outcome, Outcome::Blocked { .. }), "{outcome:?}");
}

/// D-14: answers to another round, late ones and repeated ones are no answers to this one.
#[test]
fn stale_and_repeated_answers_change_nothing() {
    let mut world = World::new();
    world.ask(1, Urgency::Immediate, 7);
    let stale = world.round;
    world.failed(Stage::Fencing);
    world.ask(2, Urgency::Immediate, 7);
    assert_ne!(stale, world.round);
    let late = Event::Fenced { round: stale, barrier: Lsn::from_u64(9) };
    assert_eq!(world.step(late), []);
    world.fenced(9);
    for vshard in [0, 1].map(VshardId::new) {
        assert_eq!(world.step(Event::Declined { round: stale, vshard }), []);
    }
    world.flushed(0, 9);
    assert_eq!(world.flushed(0, 9), []);
    assert_eq!(world.step(Event::Recorded { round: stale, record: lsn(10) }), []);
    assert_eq!(
        world.step(Event::Recorded { round: world.round, record: lsn(10) }),
        [],
        "too early"
    );
    world.flushed(1, 9);
    world.recorded(10);
    let round = world.round;
    assert_eq!(world.step(Event::Switched { round }), [], "twice");
}

/// I20: a caller is served only by a barrier that covers what was in the log when he asked; all whom the
/// running round does not cover share exactly one more.
#[test]
fn callers_join_what_covers_them_and_share_one_more_round() {
    let mut world = World::new();
    world.ask(1, Urgency::Immediate, 7);
    world.ask(2, Urgency::Immediate, 12);
    world.fenced(9);
    assert_eq!(world.ask(3, Urgency::Immediate, 9), [], "joins");
    assert_eq!(world.ask(4, Urgency::Lazy, 10), [], "waits");
    world.flushed(0, 9);
    world.flushed(1, 9);
    let actions = world.recorded(10);
    assert_eq!(conclusion(&actions).0, callers([1, 3]));
    assert!(starts(&actions), "{actions:?}");
    world.fenced(13);
    world.flushed(0, 13);
    world.flushed(1, 13);
    let actions = world.recorded(14);
    assert_eq!(conclusion(&actions).0, callers([2, 4]));
    assert!(!starts(&actions), "{actions:?}");
}

#[test]
fn a_caller_who_leaves_is_not_waited_for_and_the_round_goes_on() {
    let mut world = World::new();
    world.ask(1, Urgency::Immediate, 7);
    world.fenced(9);
    world.ask(2, Urgency::Immediate, 10);
    world.step(Event::Left(CallerId::new(1)));
    world.step(Event::Left(CallerId::new(2)));
    world.flushed(0, 9);
    world.flushed(1, 9);
    let actions = world.recorded(10);
    assert_eq!(conclusion(&actions).0, callers([]));
    assert!(!starts(&actions), "nobody waits for another one");
}

#[test]
fn more_callers_than_the_limit_are_refused() {
    let mut world = World::new();
    for id in 0..CALLERS_MAX as u64 {
        assert!(world.ask(id, Urgency::Immediate, 0).len() <= 1);
    }
    let id = CallerId::new(CALLERS_MAX as u64);
    let refused = [Action::Refuse { caller: id, reason: Refusal::Busy }];
    assert_eq!(world.ask(CALLERS_MAX as u64, Urgency::Immediate, 0), refused);
}

/// D-12: rounds that do not get through are followed by pauses that double; one that somebody asks for
/// at once is not held up, and one that gets through ends it.
#[test]
fn failures_are_followed_by_growing_pauses() {
    let mut world = World::new();
    world.ask(1, Urgency::Immediate, 0);
    world.failed(Stage::Fencing);
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(world.machine.phase(), "backoff");
        let pause = Duration::from_secs(seconds);
        assert_eq!(world.machine.wake_at(), Some(world.now + pause));
        assert_eq!(world.ask(2, Urgency::Lazy, 0), []);
        assert_eq!(world.after(pause.saturating_sub(MOMENT)), []);
        assert!(starts(&world.after(MOMENT)), "the lazy one begins");
        world.failed(Stage::Fencing);
    }
    assert_eq!(world.machine.failures(), 9);
    world.ask(3, Urgency::Immediate, 0);
    assert_eq!(conclusion(&world.fenced(0)).1, Outcome::Unchanged);
    assert_eq!((world.machine.phase(), world.machine.failures()), ("idle", 0));
}

/// After three rounds in a row the engine is named; a round that it gets through forgets them.
#[test]
fn whoever_is_behind_three_times_in_a_row_is_stuck() {
    let mut world = World::new();
    for id in 0..3 {
        assert_eq!(world.machine.streaks().stuck().count(), 0);
        let outcome = world.blocked_round(id, 9);
        let Outcome::Blocked { since, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(since, NOW, "since the first of them");
        world.now += Duration::from_secs(5);
    }
    assert_eq!(world.machine.streaks().stuck().count(), 2 * EngineKind::ALL.len());
    world.ask(9, Urgency::Immediate, 0);
    world.fenced(9);
    world.flushed(0, 9);
    world.flushed(1, 9);
    world.recorded(10);
    assert_eq!(world.machine.streaks().stuck().count(), 0);
}

/// A late proof, asked for by a round long over, counts in the next.
#[test]
fn a_late_proof_counts() {
    let mut world = World::new();
    world.blocked_round(1, 9);
    world.flushed(0, 9);
    world.flushed(1, 9);
    world.ask(2, Urgency::Immediate, 0);
    world.fenced(9);
    world.flushed(0, 9);
    assert!(matches!(world.flushed(1, 9)[..], [Action::Record { .. }]));
}

/// I13: after poison nothing is recorded, nothing begins, and whoever waits is told.
#[test]
fn poison_stops_everything() {
    for stage in [Stage::Fencing, Stage::Flushing, Stage::Recording, Stage::Switching] {
        let mut world = World::new();
        world.ask(1, Urgency::Immediate, 7);
        let round = world.round;
        let reach = |world: &mut World| {
            world.fenced(9);
            if stage == Stage::Flushing {
                return;
            }
            world.flushed(0, 9);
            world.flushed(1, 9);
            if stage == Stage::Switching {
                world.step(Event::Recorded { round, record: lsn(10) });
            }
        };
        if stage != Stage::Fencing {
            reach(&mut world);
        }
        let actions = world.step(Event::Poisoned);
        assert_eq!(conclusion(&actions), (callers([1]), Outcome::Failed { stage }));
        assert_eq!(actions.last(), Some(&Action::Stop(Stop::Poisoned)));
        assert_eq!(world.step(Event::Switched { round }), []);
        assert_eq!(world.step(Event::ShutDown { deadline: NOW }), []);
        assert!(!starts(&world.ask(2, Urgency::Immediate, 7)));
        assert_eq!(world.machine.wake_at(), None);
    }
}

/// D-13: a shutdown gives up a lazy round, ends with exactly one final one, and never spins.
#[test]
fn a_shutdown_ends_with_one_final_round() {
    let mut world = World::new();
    world.ask(1, Urgency::Lazy, 7);
    world.fenced(9);
    let deadline = NOW + LIMIT;
    let actions = world.step(Event::ShutDown { deadline });
    assert!(starts(&actions), "{actions:?}");
    assert_eq!(world.step(Event::ShutDown { deadline }), [], "asked again");
    assert_eq!(world.machine.phase(), "draining");
    let refused = Action::Refuse { caller: CallerId::new(2), reason: Refusal::Stopped };
    assert_eq!(world.ask(2, Urgency::Immediate, 7), [refused]);
    world.fenced(11);
    world.flushed(0, 11);
    world.flushed(1, 11);
    let actions = world.recorded(12);
    assert_eq!(conclusion(&actions), (callers([1]), Outcome::Advanced { redo: lsn(12) }));
    assert_eq!(actions.last(), Some(&Action::Stop(Stop::Drained)));
    assert!(!starts(&actions));
}

#[test]
fn a_shutdown_lets_what_hurries_or_is_being_written_end_first() {
    for (urgency, is_recording) in [(Urgency::Immediate, false), (Urgency::Lazy, true)] {
        let mut world = World::new();
        world.ask(1, urgency, 7);
        world.fenced(9);
        world.flushed(0, 9);
        if is_recording {
            world.flushed(1, 9);
        }
        assert!(!starts(&world.step(Event::ShutDown { deadline: NOW + LIMIT })));
        world.flushed(1, 9);
        let actions = world.recorded(10);
        assert_eq!(conclusion(&actions).0, callers([1]));
        assert!(starts(&actions), "then the final one: {actions:?}");
        assert_eq!(world.fenced(10).last(), Some(&Action::Stop(Stop::Drained)));
    }
}

/// The flushes of the final round leave time for its record; what still does not end is given up.
#[test]
fn a_shutdown_keeps_its_deadline() {
    let mut world = World::new();
    let limit = Duration::from_secs(8);
    world.step(Event::ShutDown { deadline: NOW + limit });
    world.fenced(9);
    world.flushed(1, 9);
    world.flushed(0, 4);
    let recording = world.after(limit / 4 * 3);
    assert!(matches!(recording[..], [Action::Record { .. }]), "{recording:?}");
    assert_eq!(world.machine.wake_at(), Some(NOW + limit));
    let actions = world.after(limit / 4);
    assert_eq!(actions.last(), Some(&Action::Stop(Stop::Overdue)));
    let round = world.round;
    assert_eq!(world.step(Event::Recorded { round, record: lsn(10) }), [], "too late");
}

/// D-12: a trigger starts a round by itself, but none while nothing changes, and none in a pause.
#[test]
fn triggers_start_rounds_only_where_something_changed() {
    let mut world = World::new();
    let gauge = Gauge {
        log_bytes: 1 << 40,
        recovery: Duration::from_hours(1),
        dirty_bytes: 0,
        is_space_low: false,
    };
    world.now += Duration::from_secs(2);
    assert_eq!(world.step(Event::Observed(gauge)), [], "nothing has changed");
    world.step(Event::Reported(Report { dirty: Some(lsn(3)), ..report(0, 0, 0) }));
    assert!(starts(&world.step(Event::Observed(gauge))));
    world.failed(Stage::Fencing);
    assert_eq!(world.step(Event::Observed(gauge)), [], "in a pause");
}

mod lazy;
