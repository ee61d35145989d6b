//! A disk whose n-th call of a kind fails, when the test says so.

use nodedb_env::Env;
use nodedb_testkit::{Call, Operation, Probe, ProbedFiles, SimFiles};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::Arc,
    thread::{self, ThreadId},
};

/// Stops the n-th call of a kind, tells the test, and lets it fail with EIO when released.
#[derive(Debug)]
pub(crate) struct Tripwire {
    disk: SimFiles,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    armed: Option<(Operation, u64)>,
    hit: Option<Hit>,
    released: bool,
    /// Whether the call that failed is to stay until it is let go, and stays.
    linger: bool,
    lingers: bool,
    /// Whose call is about to fail. Others of the kind wait: the fault is meant for this one.
    failing: Option<(ThreadId, Operation)>,
    /// Open files whose sync has failed.
    doubtful: BTreeSet<u64>,
    synced_again: Vec<PathBuf>,
}

/// The call that was stopped.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) thread: String,
    pub(crate) path: PathBuf,
}

impl Tripwire {
    /// The wire, and the disk behind it.
    pub(crate) fn on(disk: &SimFiles) -> (Arc<Self>, Env) {
        let state = Mutex::default();
        let wire = Arc::new(Self { disk: disk.clone(), state, changed: Condvar::new() });
        let probe = Arc::<Self>::clone(&wire);
        let files = ProbedFiles::new(Arc::new(disk.clone()), probe);
        (wire, Env { files: Arc::new(files), ..disk.env() })
    }

    /// Lets the `nth` call of a kind from now fail.
    pub(crate) fn arm(&self, operation: Operation, nth: u64) {
        self.state.lock().armed = Some((operation, nth));
    }

    pub(crate) fn disarm(&self) {
        self.state.lock().armed = None;
    }

    pub(crate) fn hit(&self) -> Option<Hit> {
        self.state.lock().hit.clone()
    }

    pub(crate) fn release(&self) {
        self.state.lock().released = true;
        self.changed.notify_all();
    }

    /// Has the failing call keep its thread after it failed, until [`Tripwire::let_go`].
    pub(crate) fn linger(&self) {
        self.state.lock().linger = true;
    }

    /// Whether the call has failed and keeps its thread.
    pub(crate) fn lingers(&self) -> bool {
        self.state.lock().lingers
    }

    pub(crate) fn let_go(&self) {
        self.state.lock().linger = false;
        self.changed.notify_all();
    }

    /// Files that were synced after a sync of theirs had failed.
    pub(crate) fn synced_again(&self) -> Vec<PathBuf> {
        self.state.lock().synced_again.clone()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the disk has no faults of these")]
    fn inject(&self, operation: Operation) -> io::Result<()> {
        match operation {
            // The simulated disk knows what such a failure leaves behind.
            Operation::Sync => self.disk.fail_sync(1),
            Operation::Write => self.disk.fail_write(1),
            Operation::SyncDir => self.disk.fail_dir_sync(1),
            _ => return Err(io::Error::from_raw_os_error(5)),
        }
        Ok(())
    }
}

impl Probe for Tripwire {
    fn before(&self, call: &Call<'_>) -> io::Result<()> {
        let me = thread::current();
        let mut state = self.state.lock();
        while state.failing.is_some_and(|(who, what)| who != me.id() && what == call.operation) {
            self.changed.wait(&mut state);
        }
        if call.operation == Operation::Sync && state.doubtful.contains(&call.handle) {
            state.synced_again.push(call.path.to_owned());
        }
        let Some((operation, left)) = state.armed.filter(|(armed, _)| *armed == call.operation)
        else {
            return Ok(());
        };
        if left > 1 {
            state.armed = Some((operation, left - 1));
            return Ok(());
        }
        state.armed = None;
        state.failing = Some((me.id(), operation));
        let thread = me.name().unwrap_or_default().to_owned();
        state.hit = Some(Hit { thread, path: call.path.to_owned() });
        while !state.released {
            self.changed.wait(&mut state);
        }
        drop(state);
        self.inject(operation)
    }

    fn after(&self, call: &Call<'_>, failed: bool) {
        let me = thread::current().id();
        let mut state = self.state.lock();
        if failed && call.operation == Operation::Sync {
            state.doubtful.insert(call.handle);
        }
        if state.failing == Some((me, call.operation)) {
            state.failing = None;
            self.changed.notify_all();
            state.lingers = true;
            while state.linger {
                self.changed.wait(&mut state);
            }
        }
    }
}
