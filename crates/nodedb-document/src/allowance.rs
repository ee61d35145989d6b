//! How much one call may look at before others get their turn.

use nodedb_env::Clock;
use std::time::Duration;

/// What a call may still look at. Rows count whether they are shown or not: passing over a deleted one
/// takes about as long as showing one.
#[derive(Debug)]
pub(crate) struct Allowance<'c> {
    rows: usize,
    bytes: usize,
    clock: &'c dyn Clock,
    /// When the call has to end, by the clock.
    until: Option<Duration>,
}

/// Rows between two looks at the clock.
const ROWS_PER_LOOK: usize = 16;

impl<'c> Allowance<'c> {
    pub(crate) const fn new(rows: usize, bytes: usize, clock: &'c dyn Clock) -> Self {
        Self { rows, bytes, clock, until: None }
    }

    /// The same, and not beyond this time of the clock. One row may be looked at in any case, so that
    /// calls that go on where the last one stopped come to an end.
    pub(crate) const fn until(mut self, until: Option<Duration>) -> Self {
        self.until = until;
        self
    }

    /// Takes a row off that was looked at. Answers whether another one may be.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.rows > 0 && self.bytes > 0 && !self.is_late()
    }

    fn is_late(&self) -> bool {
        self.rows.is_multiple_of(ROWS_PER_LOOK)
            && self.until.is_some_and(|until| self.clock.now() >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug, Default)]
    struct Ticks(AtomicU64);

    impl Clock for Ticks {
        fn now(&self) -> Duration {
            Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
        }

        fn unix_ms(&self) -> u64 {
            0
        }
    }

    fn taken(mut allowance: Allowance<'_>, bytes: usize) -> usize {
        let mut taken = 1;
        while allowance.take(bytes) {
            taken += 1;
        }
        taken
    }

    #[test]
    fn ends_at_the_first_of_its_limits() {
        let clock = Ticks::default();
        assert_eq!(taken(Allowance::new(10, 1000, &clock), 1), 10);
        assert_eq!(taken(Allowance::new(10, 1000, &clock), 400), 3);
        assert_eq!(taken(Allowance::new(10, 1, &clock), 400), 1, "one row in any case");
        assert_eq!(taken(Allowance::new(0, 0, &clock), 0), 1);
    }

    #[test]
    fn looks_at_the_clock_now_and_then_and_ends_in_time() {
        let clock = Ticks::default();
        let until = Some(Duration::from_millis(3));
        let rows = taken(Allowance::new(1000, 1000, &clock).until(until), 0);
        assert!(rows <= 4 * ROWS_PER_LOOK, "{rows} rows in 3 looks");
        assert_eq!(clock.0.load(Ordering::Relaxed), 4);
    }
}
