//! As little of a runtime as futures can do with.

use nodedb_env::Env;
use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread. A lost wake-up ends the test.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let env = Env::real();
    let deadline = env.clock.now() + Duration::from_secs(20);
    resolve(&env, future, deadline).expect("somebody wakes the future")
}

/// Runs a future on this thread; `None` if the deadline comes first. Polls only when woken.
pub(crate) fn resolve<F: Future>(env: &Env, future: F, deadline: Duration) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        thread::park_timeout(deadline.checked_sub(env.clock.now())?);
        if env.clock.now() >= deadline {
            return None;
        }
    }
}

/// Counts how often it was woken.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
