//! Every way in which somebody waits for the log.

use crate::{executor::resolve, world::record};
use nodedb_env::Env;
use nodedb_types::{ErrorKind, Lsn};
use nodedb_wal::{AppendClass, DurabilityListener, PoisonCause, ReadLimit, WaitError, Wal};
use parking_lot::{Condvar, Mutex};
use std::{sync::Arc, time::Duration};

/// A kind of waiter. A new one is added here and nowhere else: every test that goes through all kinds
/// then has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiter {
    Durable,
    Commit,
    Flush,
    Future,
    Sync,
    Listener,
    Watch,
    Tail,
    Room,
}

/// What a waiter knows when it was answered without an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Promise {
    /// The record survives a power cut.
    Durable,
    /// The record survives a killed process.
    Written,
    /// Nothing about the record.
    Nothing,
}

impl Waiter {
    pub(crate) const ALL: [Self; 9] = [
        Self::Durable,
        Self::Commit,
        Self::Flush,
        Self::Future,
        Self::Sync,
        Self::Listener,
        Self::Watch,
        Self::Tail,
        Self::Room,
    ];

    /// Those that acknowledge a record.
    pub(crate) fn acknowledging() -> Vec<Self> {
        let mut all = Self::ALL.to_vec();
        all.retain(|waiter| waiter.promise() != Promise::Nothing);
        all
    }

    pub(crate) const fn promise(self) -> Promise {
        match self {
            Self::Durable
            | Self::Commit
            | Self::Future
            | Self::Sync
            | Self::Listener
            | Self::Watch
            | Self::Tail => Promise::Durable,
            Self::Flush => Promise::Written,
            Self::Room => Promise::Nothing,
        }
    }

    /// Waits for a record that is appended, or for room for a large group.
    pub(crate) fn wait(
        self,
        env: &Env,
        wal: &Wal,
        lsn: Lsn,
        deadline: Duration,
    ) -> Result<(), ErrorKind> {
        let kind = |error: WaitError| error.kind();
        let reached = match self {
            Self::Durable => wal.wait_durable(lsn, deadline).map_err(kind)?,
            Self::Commit => wal.commit(lsn, deadline).map_err(kind)?,
            Self::Flush => wal.flush(lsn, deadline).map_err(kind)?,
            Self::Future => {
                let resolved = resolve(env, wal.durable_future(lsn), deadline);
                resolved.ok_or(ErrorKind::Timeout)?.map_err(kind)?
            }
            // Of all that is appended, and of no record that is not.
            Self::Sync => wal.sync(deadline).map_err(kind)?.max(Some(lsn)).unwrap_or(lsn),
            Self::Listener => return listen(env, wal, lsn, deadline),
            // These two ask for nothing themselves.
            Self::Watch => {
                wal.request_sync(lsn);
                let watch = wal.subscribe_durable();
                watch.wait_past(lsn.previous(), deadline).map_err(kind)?
            }
            Self::Tail => {
                wal.request_sync(lsn);
                let mut tail = wal.tail(lsn, ReadLimit::Durable).map_err(|error| error.kind())?;
                tail.next_batch(deadline).map_err(|error| error.kind())?.last_lsn
            }
            Self::Room => {
                let bytes = record(&[0; 9000]).encoded_len();
                let room = wal.wait_room(bytes, AppendClass::User, deadline);
                return room.map_err(|error| error.kind());
            }
        };
        assert!(reached >= lsn, "{self:?} answers {reached}, which is less than was asked for");
        Ok(())
    }
}

/// The last that a listener heard.
#[derive(Debug, Default)]
struct Heard {
    news: Mutex<(Option<Lsn>, bool)>,
    changed: Condvar,
}

impl DurabilityListener for Heard {
    fn durable(&self, durable: Lsn) {
        self.news.lock().0 = Some(durable);
        self.changed.notify_all();
    }

    fn written(&self, _: Lsn) {}

    fn poisoned(&self, _: &PoisonCause) {
        self.news.lock().1 = true;
        self.changed.notify_all();
    }
}

/// Waits for the listener to be told.
fn listen(env: &Env, wal: &Wal, lsn: Lsn, deadline: Duration) -> Result<(), ErrorKind> {
    let heard = Arc::new(Heard::default());
    wal.set_listener(Arc::<Heard>::clone(&heard));
    wal.request_sync(lsn);
    let mut news = heard.news.lock();
    loop {
        // The log is asked, too: the news may have come before the listener did.
        if news.0 >= Some(lsn) || wal.durable() >= Some(lsn) {
            return Ok(());
        }
        if news.1 || wal.health() == nodedb_wal::LogHealth::Poisoned {
            return Err(ErrorKind::Poisoned);
        }
        let left = deadline.saturating_sub(env.clock.now());
        if heard.changed.wait_for(&mut news, left).timed_out() {
            return Err(ErrorKind::Timeout);
        }
    }
}
