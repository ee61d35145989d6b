//! When a core last came to its inbox.

use crate::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The core's last look into its inbox, as one word: nobody asks the core, whose thread may be stuck.
///
/// The word is a time and whether that look gave the core something to do, or [`ASLEEP`]. A core that
/// sleeps has nothing to do. Who wakes it writes the time of waking, before the bell's flag says that it
/// was rung: otherwise a core that slept for an hour would look, until it is scheduled, as if it had been
/// stuck for an hour. The bell orders the two; the word itself publishes nothing else.
///
/// On a cache line of its own: the core writes it at every look, while senders read what stands beside it
/// for every request.
#[repr(align(64))]
pub(crate) struct Heartbeat(AtomicU64);

const ASLEEP: u64 = u64::MAX;

/// What a heartbeat says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Beat {
    /// The core waits in its inbox for something to come.
    Asleep,
    /// The core looked into its inbox, or was woken to do so, and is awake since.
    Awake {
        /// When.
        since: Duration,
        /// Whether it left the inbox with something to do.
        busy: bool,
    },
}

impl Heartbeat {
    /// Of a core that is to come to its inbox from `now` on.
    pub(crate) fn new(now: Duration) -> Self {
        Self(AtomicU64::new(word(now, false)))
    }

    /// The core looked, and does what it found.
    pub(crate) fn busy(&self, now: Duration) {
        self.0.store(word(now, true), Ordering::Release);
    }

    /// The core looked and found nothing.
    pub(crate) fn idle(&self, now: Duration) {
        self.0.store(word(now, false), Ordering::Release);
    }

    /// The core goes to sleep.
    pub(crate) fn sleep(&self) {
        self.0.store(ASLEEP, Ordering::Release);
    }

    /// Somebody wakes the core, which sleeps or is about to. Nothing if it has found something to do
    /// meanwhile: then its own last look counts.
    pub(crate) fn wake(&self, now: Duration) {
        let woken = |before| (before == ASLEEP || !is_busy(before)).then(|| word(now, false));
        match self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, woken) {
            Ok(_) | Err(_) => {}
        }
    }

    pub(crate) fn read(&self) -> Beat {
        match self.0.load(Ordering::SeqCst) {
            ASLEEP => Beat::Asleep,
            word => Beat::Awake { since: Duration::from_nanos(word >> 1), busy: is_busy(word) },
        }
    }
}

const fn is_busy(word: u64) -> bool {
    word & 1 == 1
}

/// A time beyond 292 years stays below [`ASLEEP`].
fn word(now: Duration, busy: bool) -> u64 {
    let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).min((ASLEEP >> 1) - 1);
    nanos << 1 | u64::from(busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waking_counts_unless_the_core_has_something_to_do() {
        let heartbeat = Heartbeat::new(Duration::from_secs(1));
        let since = |secs, busy| Beat::Awake { since: Duration::from_secs(secs), busy };
        assert_eq!(heartbeat.read(), since(1, false));
        heartbeat.wake(Duration::from_secs(2));
        assert_eq!(heartbeat.read(), since(2, false));
        heartbeat.busy(Duration::from_secs(3));
        heartbeat.wake(Duration::from_secs(4));
        assert_eq!(heartbeat.read(), since(3, true));
        heartbeat.sleep();
        assert_eq!(heartbeat.read(), Beat::Asleep);
        for secs in [4, 5] {
            heartbeat.wake(Duration::from_secs(secs));
            assert_eq!(heartbeat.read(), since(secs, false));
        }
        heartbeat.idle(Duration::MAX);
        assert!(matches!(heartbeat.read(), Beat::Awake { busy: false, .. }));
    }
}
