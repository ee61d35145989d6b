//! The threads of the cores, and how they end.

use crate::{
    DataError,
    seed::{CoreSeed, Ready},
};
use nodedb_env::{Clock, Env, Thread};
use parking_lot::{Condvar, Mutex};
use std::{path::Path, sync::Arc, time::Duration};

/// The threads of the cores. Each core joins its own maintenance thread.
pub(crate) struct Threads {
    handles: Vec<Box<dyn Thread>>,
    running: Arc<Running>,
}

/// Counts the threads that have not ended.
#[derive(Default)]
struct Running {
    count: Mutex<usize>,
    ended: Condvar,
}

/// Held by a thread for its life.
struct Alive(Arc<Running>);

/// How waiting for the threads ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiting {
    AllEnded,
    /// So many have not.
    StillRunning(usize),
}

impl Threads {
    pub(crate) fn new() -> Self {
        Self { handles: Vec::new(), running: Arc::default() }
    }

    /// Starts a core.
    pub(crate) fn spawn(
        &mut self,
        env: &Env,
        seed: CoreSeed,
        ready: Ready,
    ) -> Result<(), DataError> {
        let name = format!("nodedb-core-{}", seed.core());
        *self.running.count.lock() += 1;
        let alive = Alive(Arc::clone(&self.running));
        let body = move || {
            let _alive = alive;
            seed.grow(ready);
        };
        let thread = env.threads.spawn(&name, Box::new(body));
        self.handles.push(thread.map_err(DataError::io("starting thread", Path::new(&name)))?);
        Ok(())
    }

    /// Waits until all have ended, or the deadline.
    pub(crate) fn wait(&self, clock: &dyn Clock, deadline: Duration) -> Waiting {
        let mut count = self.running.count.lock();
        while *count > 0 {
            let left = deadline.saturating_sub(clock.now());
            if self.running.ended.wait_for(&mut count, left).timed_out() {
                break;
            }
        }
        match *count {
            0 => Waiting::AllEnded,
            left => Waiting::StillRunning(left),
        }
    }

    /// Joins all.
    pub(crate) fn join(&mut self) {
        for thread in self.handles.drain(..) {
            if thread.join().is_err() {
                // A core catches its own panics, so this one came from ending it.
                tracing::error!("the thread of a core panicked");
            }
        }
    }

    /// Leaves them to end by themselves.
    pub(crate) fn detach(&mut self) {
        self.handles.clear();
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.ended.notify_all();
    }
}
