//! The clock port.

use std::{
    fmt::Debug,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Time. Deadlines use [`Clock::now`]; only commit stamps and reports use [`Clock::unix_ms`].
pub trait Clock: Send + Sync + Debug {
    /// Time since some fixed moment of this process. Never goes back.
    fn now(&self) -> Duration;

    /// Milliseconds since 1970 by the wall clock, which may jump both ways.
    fn unix_ms(&self) -> u64;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    start: Instant,
}

impl RealClock {
    /// Starts counting now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the adapter that the others are sent to"
    )]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the adapter that the others are sent to"
    )]
    fn unix_ms(&self) -> u64 {
        // A clock set before 1970 reads as 1970; the commit clock never goes back anyway.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
