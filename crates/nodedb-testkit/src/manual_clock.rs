//! A clock that stands still until told.

use nodedb_env::Clock;
use parking_lot::Mutex;
use std::time::Duration;

/// A clock that a test moves. It starts at 0 with the wall clock at 2026-01-01.
#[derive(Debug)]
pub struct ManualClock {
    hands: Mutex<Hands>,
}

#[derive(Debug)]
struct Hands {
    now: Duration,
    // The wall clock, at the full precision of `now` so that short steps add up.
    wall: Duration,
}

const START_UNIX_MS: u64 = 1_767_225_600_000;

impl ManualClock {
    /// A clock at its start.
    pub fn new() -> Self {
        let hands = Hands { now: Duration::ZERO, wall: Duration::from_millis(START_UNIX_MS) };
        Self { hands: Mutex::new(hands) }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands.lock();
        hands.now = hands.now.saturating_add(by);
        hands.wall = hands.wall.saturating_add(by);
    }

    /// Sets the wall clock, forward or back, in milliseconds since 1970. `now` does not move.
    pub fn set_unix_ms(&self, unix_ms: u64) {
        self.hands.lock().wall = Duration::from_millis(unix_ms);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.hands.lock().now
    }

    fn unix_ms(&self) -> u64 {
        u64::try_from(self.hands.lock().wall.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_only_when_told_and_the_wall_alone_goes_back() {
        let clock = ManualClock::new();
        assert_eq!(clock.now(), Duration::ZERO);
        assert_eq!(clock.unix_ms(), START_UNIX_MS);
        for _ in 0..4 {
            clock.advance(Duration::from_micros(250));
        }
        assert_eq!(clock.now(), Duration::from_millis(1));
        assert_eq!(clock.unix_ms(), START_UNIX_MS + 1);
        clock.set_unix_ms(5);
        assert_eq!(clock.unix_ms(), 5);
        assert_eq!(clock.now(), Duration::from_millis(1));
    }
}
