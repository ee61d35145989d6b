//! Who waits for a position to change.

use crate::{
    WaitError,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering, fence},
    },
};
use nodedb_types::Lsn;
use std::{
    collections::BTreeMap,
    mem,
    task::{Poll, Waker},
    time::Duration,
};

/// Threads and futures that wait for one position of the log. Costs whoever moves it two atomic
/// operations and a fence per pass while nobody waits.
///
/// `news` below answers the position if it is what the caller waits for.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    /// Threads and wakers in wait; changes under the lock only.
    waiting: AtomicUsize,
    /// The last position that was told; 0 is none.
    told: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    end: Option<WaitError>,
    next_ticket: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl State {
    /// First what was published, then the end: it is announced after the last publication.
    fn verdict(&self, news: impl Fn() -> Option<Lsn>) -> Option<Result<Lsn, WaitError>> {
        news().map(Ok).or_else(|| self.end.clone().map(Err))
    }
}

impl Watchers {
    /// Wakes whoever waits, if the position has changed since the last time. Called after it has, and
    /// outside of all locks: a waker may run or drop anything.
    pub(crate) fn notify(&self, position: Option<Lsn>) {
        let position = Lsn::encode(position);
        if self.told.fetch_max(position, Ordering::Relaxed) >= position {
            // By this thread before, or by another one that is about to wake them.
            return;
        }
        // Pairs with the fence in `announce`: either this load sees who waits, or they, who look at the
        // position after their fence, see the change.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.wake();
        }
    }

    /// Tells everybody who waits, now or later, that nothing more comes. The first end stays.
    pub(crate) fn end(&self, end: WaitError) {
        self.state.lock().end.get_or_insert(end);
        self.wake();
    }

    fn wake(&self) {
        let mut state = self.state.lock();
        let wakers = mem::take(&mut state.wakers);
        self.waiting.fetch_sub(wakers.len(), Ordering::Relaxed);
        // Under the lock: a thread is either not yet looking at the position, or asleep.
        self.changed.notify_all();
        drop(state);
        wakers.into_values().for_each(Waker::wake);
    }

    fn announce(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Puts the calling thread to sleep until there are news, the end, or no time `left`.
    pub(crate) fn wait(
        &self,
        news: impl Fn() -> Option<Lsn>,
        left: impl Fn() -> Duration,
    ) -> Result<Lsn, WaitError> {
        let mut state = self.state.lock();
        self.announce();
        let verdict = loop {
            if let Some(verdict) = state.verdict(&news) {
                break verdict;
            }
            if self.changed.wait_for(&mut state, left()).timed_out() {
                break state.verdict(&news).unwrap_or(Err(WaitError::Timeout));
            }
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        verdict
    }

    /// Leaves a waker under `ticket`, or under a new one that is put there, unless there are news or
    /// the end.
    pub(crate) fn poll(
        &self,
        ticket: &mut Option<u64>,
        waker: &Waker,
        news: impl Fn() -> Option<Lsn>,
    ) -> Poll<Result<Lsn, WaitError>> {
        let waker = waker.clone();
        let mut state = self.state.lock();
        let number = *ticket.get_or_insert(state.next_ticket);
        state.next_ticket = state.next_ticket.max(number + 1);
        let replaced = state.wakers.insert(number, waker);
        if replaced.is_none() {
            self.announce();
        }
        let verdict = state.verdict(news);
        drop(state);
        // Outside of the lock: dropping a waker may drop a task that holds another future.
        drop(replaced);
        let Some(verdict) = verdict else {
            return Poll::Pending;
        };
        self.withdraw(ticket.take());
        Poll::Ready(verdict)
    }

    /// Takes the waker of a ticket back.
    pub(crate) fn withdraw(&self, ticket: Option<u64>) {
        let Some(ticket) = ticket else {
            return;
        };
        let mut state = self.state.lock();
        let waker = state.wakers.remove(&ticket);
        if waker.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        drop(state);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a publisher does not see it does not wake, so what is left registered costs every later
    /// publication, and what is missing sleeps for ever.
    #[test]
    fn only_who_waits_is_registered() {
        let watchers = Watchers::default();
        let waiting = || watchers.waiting.load(Ordering::Relaxed);
        let (mut one, mut other) = (None, None);
        for _ in 0..3 {
            assert!(watchers.poll(&mut one, Waker::noop(), || None).is_pending());
            assert!(watchers.poll(&mut other, Waker::noop(), || None).is_pending());
            assert_eq!(waiting(), 2);
        }
        watchers.withdraw(one);
        assert_eq!(waiting(), 1);
        watchers.notify(None);
        assert_eq!(waiting(), 1, "nothing has changed");
        watchers.notify(Some(Lsn::FIRST));
        assert_eq!(waiting(), 0);
        watchers.withdraw(other);
        let news = || Some(Lsn::FIRST);
        assert!(matches!(watchers.poll(&mut other, Waker::noop(), news), Poll::Ready(Ok(_))));
        assert!(watchers.wait(|| None, || Duration::ZERO).is_err());
        assert_eq!(waiting(), 0);
        watchers.end(WaitError::Closed);
        watchers.end(WaitError::Timeout);
        let ended = watchers.poll(&mut other, Waker::noop(), || None);
        assert!(matches!(ended, Poll::Ready(Err(WaitError::Closed))));
        assert_eq!(waiting(), 0);
    }

    /// Two threads hand a number to and fro, each asleep until the other has moved it: one lost wake-up
    /// and they stop. Their patience is far longer than a test takes.
    #[test]
    fn no_wake_up_is_lost() {
        let watchers = Watchers::default();
        let ball = AtomicU64::new(1);
        let patience = || Duration::from_mins(1);
        let play = |parity: u64| {
            for round in (parity..20_000).step_by(2) {
                let turn = Lsn::from_u64(round + 1);
                let news = || turn.filter(|turn| ball.load(Ordering::Acquire) == turn.get());
                watchers.wait(news, patience).expect("the other plays on");
                ball.fetch_add(1, Ordering::AcqRel);
                watchers.notify(turn);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| play(0));
            scope.spawn(|| play(1));
        });
        assert_eq!(ball.load(Ordering::Acquire), 20_001);
    }
}
