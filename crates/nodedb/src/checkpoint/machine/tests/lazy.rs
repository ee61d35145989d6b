//! Rounds that take their time.

use super::*;

/// A lazy round of both vshards, one of which is asked at its fence.
fn lazy() -> World {
    let mut world = World::new();
    for vshard in [0, 1] {
        let dirty = Some(lsn(3 - u64::from(vshard)));
        world.step(Event::Reported(Report { dirty, ..report(vshard, 0, 0) }));
    }
    world.ask(1, Urgency::Lazy, 7);
    assert_eq!(asked(&world.fenced(9)), [(0, Urgency::Lazy)]);
    world
}

fn asked(actions: &[Action]) -> Vec<(u16, Urgency)> {
    let asked = actions.iter().filter_map(|action| {
        let Action::Flush { vshard, urgency, .. } = action else { return None };
        Some((vshard.get(), *urgency))
    });
    asked.collect()
}

/// 9/10 of the interval, half of it for each.
const SLOT: Duration = Duration::from_secs(135);

/// A checkpoint that hurried through all vshards at once was felt by everybody who wrote meanwhile.
#[test]
fn a_lazy_round_asks_one_vshard_after_the_other() {
    let mut world = lazy();
    assert!(world.machine.rate(world.now).is_some());
    assert_eq!(world.flushed(0, 9), []);
    assert_eq!(world.machine.wake_at(), Some(NOW + SLOT));
    assert_eq!(world.after(SLOT.saturating_sub(MOMENT)), []);
    let actions = world.after(MOMENT);
    let [Action::Flush { vshard, deadline, .. }] = actions[..] else { panic!("{actions:?}") };
    assert_eq!((vshard.get(), deadline), (1, NOW + SLOT * 2 + LIMIT), "its slot and the limit");
    assert!(matches!(world.flushed(1, 9)[..], [Action::Record { .. }]));
    assert_eq!(world.machine.rate(world.now), None);
}

#[test]
fn idle_vshards_are_asked_at_once() {
    let mut world = World::new();
    world.step(Event::Reported(Report { dirty: Some(lsn(3)), ..report(1, 0, 0) }));
    world.ask(1, Urgency::Lazy, 7);
    assert_eq!(asked(&world.fenced(9)), [(0, Urgency::Lazy), (1, Urgency::Lazy)]);
}

/// One that is silent holds up nobody else, and no round for longer than its limit after the last slot.
#[test]
fn a_silent_vshard_does_not_stop_a_lazy_round() {
    let mut world = lazy();
    assert_eq!(asked(&world.after(SLOT)), [(1, Urgency::Lazy)]);
    assert_eq!(world.flushed(1, 9), []);
    assert_eq!(world.machine.wake_at(), Some(NOW + SLOT * 2 + LIMIT));
    let (_, outcome) = conclusion(&world.after(SLOT + LIMIT));
    let Outcome::Blocked { by, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(by.vshard, VshardId::new(0));
}

/// A vshard that has flushed by itself need not be asked.
#[test]
fn a_proof_that_nobody_asked_for_counts() {
    let mut world = lazy();
    assert_eq!(world.flushed(1, 9), []);
    assert_eq!(world.machine.wake_at(), Some(NOW + SLOT * 2 + LIMIT), "nobody is left to ask");
    assert!(matches!(world.flushed(0, 9)[..], [Action::Record { .. }]));
}

#[test]
fn whoever_cannot_wait_hurries_a_lazy_round() {
    // By an immediate caller whom it covers, and by one who waits for the next one.
    for wants in [9, 12] {
        let mut world = lazy();
        world.now += MOMENT;
        let all = [(1, Urgency::Immediate), (0, Urgency::Immediate)];
        assert_eq!(asked(&world.ask(2, Urgency::Immediate, wants)), all);
        assert_eq!(world.machine.wake_at(), Some(world.now + LIMIT), "one deadline, and sooner");
        assert_eq!(world.machine.rate(world.now), None);
        assert_eq!(asked(&world.ask(3, Urgency::Immediate, wants)), [], "once is enough");
        world.flushed(0, 9);
        world.flushed(1, 9);
        assert_eq!(starts(&world.recorded(10)), wants == 12);
    }
    // By the log: more of it makes more due, nine tenths of the limit everything.
    let gauge = |log_bytes| Gauge {
        log_bytes,
        recovery: Duration::ZERO,
        dirty_bytes: 1,
        is_space_low: false,
    };
    let mut world = lazy();
    assert_eq!(world.step(Event::Observed(gauge(1 << 20))), []);
    assert_eq!(asked(&world.step(Event::Observed(gauge(1 << 29)))), [(1, Urgency::Lazy)]);
    let all = [(0, Urgency::Immediate), (1, Urgency::Immediate)];
    assert_eq!(asked(&world.step(Event::Observed(gauge(1 << 30)))), all);
    let mut world = lazy();
    let low = Gauge { is_space_low: true, ..gauge(0) };
    assert_eq!(asked(&world.step(Event::Observed(low))).len(), 2, "no room for more log");
}
