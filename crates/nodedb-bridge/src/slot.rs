//! The one place where an answer changes hands.

use crate::{
    TicketError,
    exchange::Exchange,
    sync::{
        Mutex, MutexGuard, Thread,
        atomic::{AtomicU8, Ordering},
    },
};
use nodedb_types::TenantId;
use std::{
    mem,
    sync::{Arc, PoisonError},
    task::Waker,
};

/// Holds at most one answer, between one reply and one ticket.
///
/// A mutex of a few instructions rather than a channel: one allocation for both sides, both kinds of
/// waiter, and no system call unless somebody really sleeps. Answers and wakers are dropped and
/// called outside the lock, so no foreign code runs under it and it cannot be poisoned by any.
pub(crate) struct Slot<A> {
    state: Mutex<State<A>>,
    /// The same in short, written under the lock: who only wants to know need not take it.
    stage: AtomicU8,
    tenant: TenantId,
    exchange: Arc<Exchange>,
}

enum State<A> {
    /// Not answered; the ticket lives.
    Open(Option<Waiter>),
    /// Answered; the ticket has not taken it.
    Answered(Result<A, TicketError>),
    /// The ticket has taken the answer, or is gone.
    Done,
}

const OPEN: u8 = 0;
const ANSWERED: u8 = 1;
const DONE: u8 = 2;

/// Who is to be told of the answer.
pub(crate) enum Waiter {
    Thread(Thread),
    Task(Waker),
}

impl<A> Slot<A> {
    pub(crate) fn new(tenant: TenantId, exchange: Arc<Exchange>) -> Self {
        let state = Mutex::new(State::Open(None));
        Self { state, stage: AtomicU8::new(OPEN), tenant, exchange }
    }

    pub(crate) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Counts the request off its tenant, leaves the result and tells the waiter. Only the first
    /// result counts; the caller sees to it that this is called once.
    pub(crate) fn settle(&self, result: Result<A, TicketError>) {
        // Before the answer can be seen: whoever waits for each answer before the next request is
        // never over a limit of one.
        self.exchange.tenants.leave(self.tenant);
        let mut state = self.lock();
        let State::Open(waiter) = &mut *state else {
            // The guard goes before the parameter does, so the unwanted answer drops unlocked.
            return;
        };
        let waiter = waiter.take();
        *state = State::Answered(result);
        self.stage.store(ANSWERED, Ordering::Release);
        drop(state);
        match waiter {
            None => {}
            Some(Waiter::Thread(thread)) => thread.unpark(),
            Some(Waiter::Task(waker)) => waker.wake(),
        }
    }

    /// Whether there is a result to take: then there is until it is taken.
    pub(crate) fn is_answered(&self) -> bool {
        self.stage.load(Ordering::Acquire) == ANSWERED
    }

    /// Takes the result if it is there, else notes who is to be told.
    ///
    /// # Panics
    /// If the result was taken before.
    pub(crate) fn take_or_wait(&self, waiter: Option<Waiter>) -> Option<Result<A, TicketError>> {
        let mut state = self.lock();
        if let State::Open(place) = &mut *state {
            let before = mem::replace(place, waiter);
            drop(state);
            drop(before);
            return None;
        }
        self.stage.store(DONE, Ordering::Release);
        let before = mem::replace(&mut *state, State::Done);
        drop(state);
        let State::Answered(result) = before else {
            unreachable!("a ticket was polled after it gave its result");
        };
        Some(result)
    }

    /// Gives the answer up; one that is there already is dropped.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        self.stage.store(DONE, Ordering::Release);
        let before = mem::replace(&mut *state, State::Done);
        drop(state);
        drop(before);
    }

    /// Whether nobody will take an answer any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.stage.load(Ordering::Acquire) == DONE
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
