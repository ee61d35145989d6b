use super::*;

const SCHEDULE: Schedule = Schedule {
    interval: Duration::from_mins(5),
    recovery_target: Duration::from_secs(10),
    log_bytes_max: 1900,
    dirty_bytes_max: 500,
};

const IDLE: Gauge =
    Gauge { log_bytes: 0, recovery: Duration::ZERO, dirty_bytes: 0, is_space_low: false };

fn due(gauge: Gauge, seconds: u64) -> Option<(Trigger, Urgency)> {
    SCHEDULE.due(&gauge, true, Duration::from_secs(seconds))
}

#[test]
fn each_limit_is_a_reason_from_its_very_value_on() {
    let recovery = |ms| Gauge { recovery: Duration::from_millis(ms), ..IDLE };
    for (gauge, seconds, reason) in [
        (IDLE, 299, None),
        (IDLE, 300, Some(Trigger::Interval)),
        (Gauge { log_bytes: 999, ..IDLE }, 2, None),
        (Gauge { log_bytes: 1000, ..IDLE }, 2, Some(Trigger::LogBytes)),
        (recovery(9_999), 2, None),
        (recovery(10_000), 2, Some(Trigger::RecoveryTime)),
        (Gauge { dirty_bytes: 499, ..IDLE }, 2, None),
        (Gauge { dirty_bytes: 500, ..IDLE }, 2, Some(Trigger::DirtyBytes)),
        (Gauge { is_space_low: true, ..IDLE }, 2, Some(Trigger::SpareShortage)),
    ] {
        let found = due(gauge, seconds).map(|(trigger, _)| trigger);
        assert_eq!(found, reason, "{gauge:?} after {seconds} s");
    }
}

/// D-12, P13: without a change nothing is a reason, whatever the log holds; housekeeping never feeds
/// itself.
#[test]
fn without_a_change_nothing_is_a_reason() {
    let worst = Gauge {
        log_bytes: u64::MAX,
        recovery: Duration::MAX,
        dirty_bytes: u64::MAX,
        is_space_low: true,
    };
    for seconds in [0, 1, 300, u64::MAX / 2] {
        assert_eq!(SCHEDULE.due(&worst, false, Duration::from_secs(seconds)), None);
    }
    assert!(due(worst, 1).is_some(), "no rate and no number overflows");
}

/// However far the limits are exceeded, checkpoints do not follow each other without a pause.
#[test]
fn nothing_begins_within_the_shortest_gap() {
    let full = Gauge { log_bytes: u64::MAX, is_space_low: true, ..IDLE };
    assert_eq!(SCHEDULE.due(&full, true, GAP_MIN.saturating_sub(Duration::from_millis(1))), None);
    assert!(SCHEDULE.due(&full, true, GAP_MIN).is_some());
}

#[test]
fn checkpoints_hurry_with_the_age_of_the_log() {
    for (bytes, age, urgency) in [
        (0, LogAge::Young, None),
        (949, LogAge::Young, None),
        (950, LogAge::Middle, None),
        (1000, LogAge::Middle, Some(Urgency::Lazy)),
        (1710, LogAge::Middle, Some(Urgency::Lazy)),
        (1711, LogAge::Old, Some(Urgency::Immediate)),
        (1900, LogAge::Old, Some(Urgency::Immediate)),
        (1901, LogAge::Over, Some(Urgency::Immediate)),
        (u64::MAX, LogAge::Over, Some(Urgency::Immediate)),
    ] {
        let gauge = Gauge { log_bytes: bytes, ..IDLE };
        assert_eq!(SCHEDULE.age(&gauge), age, "{bytes}");
        assert_eq!(due(gauge, 2).map(|(_, urgency)| urgency), urgency, "{bytes}");
    }
}

/// More log, more dirt, more time and less space are never less of a reason.
#[test]
fn being_due_is_monotone() {
    let values = [0, 1, 99, 499, 500, 999, 1000, 1710, 1711, 1900, 5000, u64::MAX];
    let seconds = [0, 1, 2, 299, 300, 4000];
    let is_due = |log_bytes, dirty_bytes, seconds| {
        due(Gauge { log_bytes, dirty_bytes, ..IDLE }, seconds).is_some()
    };
    for log in values.windows(2) {
        for dirty in values.windows(2) {
            for time in seconds.windows(2) {
                if is_due(log[0], dirty[0], time[0]) {
                    for (log, dirty, time) in [
                        (log[1], dirty[0], time[0]),
                        (log[0], dirty[1], time[0]),
                        (log[0], dirty[0], time[1]),
                    ] {
                        assert!(is_due(log, dirty, time), "{log} {dirty} {time}");
                    }
                }
            }
        }
    }
}
