//! Two things measured in turns, so that a ratio of them means something on a machine that is not idle.

use criterion::{BenchmarkGroup, measurement::WallTime};
use nodedb_env::{Clock, RealClock};
use std::{ops::Range, time::Duration};

/// What a ratio is taken over: the samples of one row, without those of its warm-up.
const SAMPLES: usize = 10;

/// A name and what is done in each iteration.
type Row<'a> = (&'a str, &'a mut dyn FnMut());

/// Measures `limit` and `subject` as two rows of a group. Each iteration of either row calls both, one
/// after the other, and counts one of them: a disk or a processor that is slow for a while is so for
/// both. The ratio of their times is printed below the rows.
pub fn beside(group: &mut BenchmarkGroup<'_, WallTime>, limit: Row<'_>, subject: Row<'_>) {
    let (limit_name, limit) = limit;
    let (subject_name, subject) = subject;
    let mut ratios = Vec::new();
    for (name, own) in [(limit_name, Turn::LIMIT), (subject_name, Turn::SUBJECT)] {
        let mut turns = Vec::new();
        group.sample_size(SAMPLES);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let turn = Turn::measure(0..iterations, limit, subject);
                turns.push(turn);
                own(&turn)
            });
        });
        let warm = turns.len().saturating_sub(SAMPLES);
        ratios.extend(turns.drain(warm..).map(Turn::ratio));
    }
    report(subject_name, limit_name, ratios);
}

/// How long the same number of calls of each took.
#[derive(Clone, Copy)]
struct Turn {
    limit: Duration,
    subject: Duration,
}

impl Turn {
    const LIMIT: fn(&Self) -> Duration = |turn| turn.limit;
    const SUBJECT: fn(&Self) -> Duration = |turn| turn.subject;

    fn measure(iterations: Range<u64>, limit: &mut dyn FnMut(), subject: &mut dyn FnMut()) -> Self {
        let clock = RealClock::new();
        let mut turn = Self { limit: Duration::ZERO, subject: Duration::ZERO };
        for _ in iterations {
            let start = clock.now();
            limit();
            let middle = clock.now();
            subject();
            turn.limit += middle.saturating_sub(start);
            turn.subject += clock.now().saturating_sub(middle);
        }
        turn
    }

    fn ratio(self) -> f64 {
        self.subject.div_duration_f64(self.limit)
    }
}

#[expect(
    clippy::print_stdout,
    reason = "criterion prints rows; what they are to each other belongs below them"
)]
fn report(subject: &str, limit: &str, mut ratios: Vec<f64>) {
    ratios.sort_by(f64::total_cmp);
    // Nothing was measured if a filter on the command line left the rows out.
    if let (Some(least), Some(most)) = (ratios.first(), ratios.last()) {
        let median = ratios[ratios.len() / 2];
        println!(
            "{subject} takes {median:.2} times as long as {limit} ({least:.2} to {most:.2})\n"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_called_in_turns_and_timed_apart() {
        let calls = std::cell::RefCell::new(String::new());
        let mut limit = || calls.borrow_mut().push('l');
        let mut subject = || {
            calls.borrow_mut().push('s');
            std::hint::black_box(vec![1_u8; 1 << 20]);
        };
        let turn = Turn::measure(0..3, &mut limit, &mut subject);
        assert_eq!(*calls.borrow(), "lslsls");
        assert!(turn.subject > Duration::ZERO);
    }

    #[test]
    fn a_ratio_is_of_the_subject_to_the_limit() {
        let turn = Turn { limit: Duration::from_millis(2), subject: Duration::from_millis(3) };
        assert!((turn.ratio() - 1.5).abs() < 1e-9);
    }
}
