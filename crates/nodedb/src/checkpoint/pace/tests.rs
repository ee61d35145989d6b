use super::*;
use proptest::{prelude::*, proptest};

const SCHEDULE: Schedule = Schedule {
    interval: Duration::from_mins(5),
    recovery_target: Duration::from_secs(10),
    log_bytes_max: 1900,
    dirty_bytes_max: 1 << 30,
};
const START: Gauge =
    Gauge { log_bytes: 100, recovery: Duration::ZERO, dirty_bytes: 100, is_space_low: false };
const NOW: Duration = Duration::from_secs(1000);

fn log(log_bytes: u64) -> Gauge {
    Gauge { log_bytes, ..START }
}

#[test]
fn the_clock_spreads_flushes_over_nine_tenths_of_the_interval() {
    let pace = Pace::new(&SCHEDULE, START, NOW);
    assert_eq!((pace.span(), pace.slot(9)), (Duration::from_secs(270), Duration::from_secs(30)));
    for number in 0..9 {
        let at = pace.due_at(number, 9);
        assert_eq!(at, NOW + Duration::from_secs(30) * u32::try_from(number).expect("small"));
        assert_eq!(pace.due(&START, at, 9), number + 1);
        if number > 0 {
            assert_eq!(pace.due(&START, at.saturating_sub(Duration::from_nanos(1)), 9), number);
        }
    }
    assert_eq!(pace.due(&START, NOW + Duration::from_hours(1), 9), 9);
}

/// A checkpoint that only the clock paced let a burst of writes outgrow the limit of the log.
#[test]
fn the_log_makes_flushes_due_before_the_clock() {
    let pace = Pace::new(&SCHEDULE, START, NOW);
    // The next one would begin at 1000 bytes; this one may last for 900.
    for (bytes, begun) in [(100, 1), (199, 1), (200, 2), (550, 5), (899, 8), (900, 9), (1000, 9)] {
        assert_eq!(pace.due(&log(bytes), NOW, 9), begun, "{bytes} bytes");
    }
}

/// Between half and nine tenths of the limit the log's age alone says how much is due.
#[test]
fn an_older_log_makes_proportionally_more_due() {
    let half = Pace::new(&SCHEDULE, log(950), NOW);
    for (bytes, begun) in [(950, 1), (1329, 4), (1330, 5), (1709, 8), (1710, 8)] {
        assert_eq!(half.due(&log(bytes), NOW, 8), begun, "{bytes} bytes");
    }
}

/// Recovery takes as long as it may, or memory is full, long before the limit of the log.
#[test]
fn whatever_triggers_next_sets_the_pace() {
    let seconds = Duration::from_secs;
    let slow = Gauge { recovery: seconds(5), ..log(100) };
    // 200 bytes of log take ten seconds, so this one may last for 180.
    assert_eq!(Pace::new(&SCHEDULE, slow, NOW).due(&log(190), NOW, 2), 2);
    assert_eq!(Pace::new(&SCHEDULE, slow, NOW).due(&log(189), NOW, 2), 1);
    let dirty = Gauge { dirty_bytes: SCHEDULE.dirty_bytes_max / 2, ..log(100) };
    assert_eq!(Pace::new(&SCHEDULE, dirty, NOW).due(&log(190), NOW, 2), 2);
    assert_eq!(Pace::new(&SCHEDULE, dirty, NOW).due(&log(189), NOW, 2), 1);
}

#[test]
fn the_rate_ends_what_is_left_in_the_time_that_is_left() {
    let mib = 1 << 20;
    let schedule = Schedule { log_bytes_max: 1 << 40, recovery_target: Duration::MAX, ..SCHEDULE };
    let start = Gauge { log_bytes: 0, dirty_bytes: 2700 * mib, ..START };
    let pace = Pace::new(&schedule, start, NOW);
    let at = |seconds| NOW + Duration::from_secs(seconds);
    assert_eq!(pace.rate(&start, at(0), (9, 9)) / mib, 20, "twice as fast as it must be");
    assert_eq!(pace.rate(&start, at(135), (9, 9)) / mib, 40, "behind");
    assert_eq!(pace.rate(&start, at(135), (1, 9)), RATE_MIN.max(2 * 300 * mib / 135));
    assert_eq!(pace.rate(&start, at(269), (0, 9)), RATE_MIN, "nothing is left");
    let written = Gauge { log_bytes: 1000 * mib, ..start };
    assert_eq!(pace.rate(&written, at(100), (1, 9)), 40 * mib, "four times what is written");
    assert!(pace.rate(&start, at(400), (1, 9)) > 100_000 * mib, "late: as fast as it can");
}

proptest! {
    /// Never none, never more than there are, never fewer as time and log go on; and a look at the time
    /// that it names finds the next one due.
    #[test]
    fn what_is_due_only_grows(
        bytes in 0_u64..4000,
        more in 0_u64..4000,
        after in 0_u64..400_000,
        later in 0_u64..400_000,
        of in 1_usize..1024,
    ) {
        let pace = Pace::new(&SCHEDULE, START, NOW);
        let at = |ms| NOW + Duration::from_millis(ms);
        let first = pace.due(&log(bytes), at(after), of);
        let second = pace.due(&log(bytes + more), at(after + later), of);
        prop_assert!((1..=of).contains(&first) && first <= second && second <= of);
        if first < of {
            let next = pace.due_at(first, of);
            prop_assert!(next > at(after));
            prop_assert!(pace.due(&log(bytes), next, of) > first);
        }
    }

    /// However the options and the log are: no overflow, and always on.
    #[test]
    fn the_rate_is_never_nothing(
        gauge in any::<[u64; 3]>(),
        then in any::<u64>(),
        after in any::<u32>(),
        left in 0_usize..2000,
    ) {
        let [log_bytes, recovery_ms, dirty_bytes] = gauge;
        let recovery = Duration::from_millis(recovery_ms);
        let start = Gauge { log_bytes, recovery, dirty_bytes, is_space_low: false };
        let pace = Pace::new(&SCHEDULE, start, NOW);
        let now = NOW + Duration::from_millis(u64::from(after));
        let gauge = Gauge { log_bytes: then, ..start };
        prop_assert!(pace.rate(&gauge, now, (left, 1024)) >= RATE_MIN);
        prop_assert!((1..=1024).contains(&pace.due(&gauge, now, 1024)));
    }
}
