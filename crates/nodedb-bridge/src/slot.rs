//! The one place where an answer changes hands.

use crate::TicketError;
use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
    thread::Thread,
};

/// Holds at most one answer, between one reply and one ticket.
///
/// A mutex of a few instructions rather than a channel: one allocation for both sides, both kinds of
/// waiter, and no system call unless somebody really sleeps. Answers and wakers are dropped and
/// called outside the lock, so no foreign code runs under it and it cannot be poisoned by any.
pub(crate) struct Slot<A> {
    state: Mutex<State<A>>,
}

enum State<A> {
    /// Not answered; the ticket lives.
    Open(Option<Waiter>),
    /// Answered; the ticket has not taken it.
    Answered(Result<A, TicketError>),
    /// The ticket has taken the answer, or is gone.
    Done,
}

/// Who is to be told of the answer.
pub(crate) enum Waiter {
    Thread(Thread),
    Task(Waker),
}

impl<A> Slot<A> {
    pub(crate) const fn new() -> Self {
        Self { state: Mutex::new(State::Open(None)) }
    }

    /// Leaves the result and tells the waiter. Only the first call counts.
    pub(crate) fn settle(&self, result: Result<A, TicketError>) {
        let mut state = self.lock();
        let State::Open(waiter) = &mut *state else {
            // The guard goes before the parameter does, so the unwanted answer drops unlocked.
            return;
        };
        let waiter = waiter.take();
        *state = State::Answered(result);
        drop(state);
        match waiter {
            None => {}
            Some(Waiter::Thread(thread)) => thread.unpark(),
            Some(Waiter::Task(waker)) => waker.wake(),
        }
    }

    /// Takes the result if it is there, else notes who is to be told.
    ///
    /// # Panics
    /// If the result was taken before.
    pub(crate) fn take_or_wait(&self, waiter: Waiter) -> Option<Result<A, TicketError>> {
        let mut state = self.lock();
        if let State::Open(place) = &mut *state {
            let before = place.replace(waiter);
            drop(state);
            drop(before);
            return None;
        }
        let before = mem::replace(&mut *state, State::Done);
        drop(state);
        let State::Answered(result) = before else {
            unreachable!("a ticket was polled after it gave its result");
        };
        Some(result)
    }

    /// Gives the answer up; one that is there already is dropped.
    pub(crate) fn abandon(&self) {
        let before = mem::replace(&mut *self.lock(), State::Done);
        drop(before);
    }

    /// Whether nobody will take an answer any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(*self.lock(), State::Done)
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
