//! Notices that somebody has set the wall clock forward.

use std::time::Duration;

/// Compares how far the commit clock has come with how much time has passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ClockWatch {
    commit_ms: u64,
    now: Duration,
    jump_max: Duration,
}

/// The commit clock went forward by more than time has passed and the limit allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ClockJump {
    pub(crate) by: Duration,
}

impl ClockWatch {
    /// Watches from a moment on at which the commit clock and the clock of this process showed this.
    pub(crate) const fn new(commit_ms: u64, now: Duration, jump_max: Duration) -> Self {
        Self { commit_ms, now, jump_max }
    }

    /// Looks at both clocks again. A jump is told once.
    pub(crate) fn check(&mut self, commit_ms: u64, now: Duration) -> Result<(), ClockJump> {
        let shown = Duration::from_millis(commit_ms.saturating_sub(self.commit_ms));
        let passed = now.saturating_sub(self.now);
        self.commit_ms = commit_ms;
        self.now = now;
        let by = shown.saturating_sub(passed);
        if by > self.jump_max { Err(ClockJump { by }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_a_step_beyond_the_limit_is_a_jump() {
        let mut watch = ClockWatch::new(1_000_000, seconds(5), seconds(60));
        assert_eq!(watch.check(1_060_000, seconds(5)), Ok(()));
        // Time that has passed is no jump, however much it is.
        assert_eq!(watch.check(101_060_000, seconds(100_005)), Ok(()));
        // Nor is a clock that stands still, as one that was set back does.
        assert_eq!(watch.check(101_060_000, seconds(200_000)), Ok(()));
        let jump = watch.check(101_121_001, seconds(200_000));
        assert_eq!(jump, Err(ClockJump { by: Duration::from_millis(61_001) }));
        assert_eq!(watch.check(101_121_001, seconds(200_000)), Ok(()));
    }
}
