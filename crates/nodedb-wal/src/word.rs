//! A word in memory that threads sleep on until another changes it.

#[cfg(any(shuttle, not(target_os = "linux")))]
use crate::sync::{Condvar, Mutex};
#[cfg(all(not(shuttle), target_os = "linux"))]
use rustix::thread::futex;
#[cfg(all(not(shuttle), target_os = "linux"))]
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One word per batch wakes exactly those who wait for that batch: with one condition variable for
/// everybody, 64 writers measured half the throughput, for each batch woke them all.
///
/// Who sleeps has taken a ticket before under a lock; who wakes changes the word after it has released
/// that lock, or under it. So a change between ticket and sleep is noticed, and no wake-up is lost.
#[derive(Debug, Default)]
pub(crate) struct Word {
    #[cfg(all(not(shuttle), target_os = "linux"))]
    value: AtomicU32,
    /// How many sleep, so that waking nobody costs no system call.
    #[cfg(all(not(shuttle), target_os = "linux"))]
    sleepers: AtomicU32,
    #[cfg(any(shuttle, not(target_os = "linux")))]
    value: Mutex<u32>,
    #[cfg(any(shuttle, not(target_os = "linux")))]
    changed: Condvar,
}

/// The state of a word at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket(u32);

#[cfg(all(not(shuttle), target_os = "linux"))]
impl Word {
    /// What to sleep with.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.value.load(Ordering::Acquire))
    }

    /// Sleeps until the word changes after the ticket was taken, for at most `patience`. May end early.
    pub(crate) fn sleep(&self, ticket: Ticket, patience: Duration) {
        let seconds = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
        let patience =
            futex::Timespec { tv_sec: seconds, tv_nsec: i64::from(patience.subsec_nanos()) };
        // Counted before the word is looked at, and changed before they are counted, both in one order
        // for all threads: either the waker sees this sleeper, or the kernel sees the change.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // Whatever ends it (a change, the time, a signal): the caller looks for itself.
        let _ended = futex::wait(&self.value, futex::Flags::PRIVATE, ticket.0, Some(&patience));
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Changes the word and wakes at most `count` of those who sleep.
    pub(crate) fn wake(&self, count: u32) {
        self.value.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // It fails only for an address that is none.
            let _woken = futex::wake(&self.value, futex::Flags::PRIVATE, count);
        }
    }
}

#[cfg(any(shuttle, not(target_os = "linux")))]
impl Word {
    /// What to sleep with.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(*self.value.lock())
    }

    /// Sleeps until the word changes after the ticket was taken, for at most `patience`. May end early.
    pub(crate) fn sleep(&self, ticket: Ticket, patience: Duration) {
        let mut value = self.value.lock();
        if *value == ticket.0 {
            self.changed.wait_for(&mut value, patience);
        }
    }

    /// Changes the word and wakes at most `count` of those who sleep.
    pub(crate) fn wake(&self, count: u32) {
        let mut value = self.value.lock();
        *value = value.wrapping_add(1);
        drop(value);
        if count == 1 {
            self.changed.notify_one();
        } else {
            self.changed.notify_all();
        }
    }
}
