//! The data plane: the threads that own the vshards.

use crate::{
    DataError, DataHandle, DataOptions,
    ballast::Ballast,
    board::Board,
    durable_log::WalDurability,
    engines::Engines,
    published::PublishedCatalog,
    release::{ParkedLimits, ReleaseQueue},
    seed::{CoreSeed, Ready},
    shared::{Listener, Shared},
    threads::{Threads, Waiting},
    vshard_dir,
};
use nodedb_bridge::Bridge;
use nodedb_document::{LsmTables, Ports, TableStore};
use nodedb_engine::{DurableLog, EngineKind, Floor, IoBudget, Snapshots};
use nodedb_env::Env;
use nodedb_types::{CoreId, Lsn, VshardId, limits};
use nodedb_wal::{WaitError, Wal};
use parking_lot::Mutex;
use std::{
    fmt,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

/// The threads that own the vshards of a database. Dropping it ends them; [`DataPlane::close`] does so
/// in order and within a deadline.
pub struct DataPlane {
    shared: Arc<Shared>,
    threads: Threads,
}

/// Where the vshards are, and what holds their tables.
#[derive(Clone, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) env: &'a Env,
    /// The directory of all vshards.
    pub(crate) dir: &'a Path,
    /// Another store than the real one only in tests on a simulated disk.
    pub(crate) tables: Arc<dyn TableStore>,
}

impl<'a> Site<'a> {
    fn new(env: &'a Env, dir: &'a Path) -> Self {
        Self { env, dir, tables: Arc::new(LsmTables::default()) }
    }

    fn ports(&self, snapshots: Arc<Snapshots>, log: Arc<dyn DurableLog>) -> Ports {
        Ports { tables: Arc::clone(&self.tables), ..Ports::new(self.env, snapshots, log) }
    }
}

/// What the last checkpoint, or a base image, states of one engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proven {
    /// Of which vshard.
    pub vshard: VshardId,
    /// Which engine.
    pub engine: EngineKind,
    /// Its floors.
    pub floor: Floor,
}

/// What recovery of the log has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// How many vshards the database has.
    pub vshards: u16,
    /// The first record that some engine may need.
    pub redo: Lsn,
    /// The floors of the last checkpoint; empty if there was none.
    pub proven: Vec<Proven>,
}

/// What was replayed at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Replayed {
    /// Records that some engine lacked.
    pub records: u64,
}

impl DataPlane {
    /// Makes the directories of all vshards, `dir/0000` and on, with empty engines, and `dir` itself,
    /// which must not exist. Durable on return, except for the name of `dir`: the caller syncs its
    /// parent.
    ///
    /// # Errors
    /// [`DataError::InvalidRequest`] for 0 or too many vshards, [`DataError::Io`],
    /// [`DataError::Engine`]; what is there then is to be removed.
    pub fn create(env: &Env, dir: &Path, vshards: u16) -> Result<(), DataError> {
        Self::create_at(&Site::new(env, dir), vshards)
    }

    pub(crate) fn create_at(site: &Site<'_>, vshards: u16) -> Result<(), DataError> {
        check_vshards(vshards)?;
        let Site { env, dir, .. } = *site;
        let files = &env.files;
        let ports = site.ports(Snapshots::new(Arc::clone(&env.clock)), Arc::new(NothingDurable));
        files.create_dir(dir).map_err(DataError::io("creating", dir))?;
        for id in (0..vshards).map(VshardId::new) {
            let path = vshard_dir(dir, id);
            files.create_dir(&path).map_err(DataError::io("creating", &path))?;
            Engines::create(&ports, &path).map_err(DataError::engine(id))?;
            // The names of the engines' directories.
            files.sync_dir(&path).map_err(DataError::io("syncing", &path))?;
        }
        files.sync_dir(dir).map_err(DataError::io("syncing", dir))
    }

    /// Starts the cores: each loads its vshards, checks them against what was proven, and replays the
    /// log into them by a reader of its own, all at once and in bounded memory. Blocks until all are
    /// ready.
    ///
    /// Sets the log's listener; there is one data plane per log.
    ///
    /// # Errors
    /// The first failure of any core, after all have ended: [`DataError::FloorFellBack`],
    /// [`DataError::FloorAhead`], [`DataError::Engine`], [`DataError::Log`],
    /// [`DataError::UnknownRecord`], [`DataError::UnknownCollection`], [`DataError::ForeignVshard`],
    /// [`DataError::Undecodable`], [`DataError::CoreDied`]. What was flushed during replay stays, and
    /// the next start goes on from it. Also [`DataError::InvalidOptions`], [`DataError::Io`].
    pub fn start(
        env: &Env,
        dir: &Path,
        wal: Wal,
        recovery: Recovery,
        options: DataOptions,
    ) -> Result<(Self, Replayed), DataError> {
        Self::start_at(&Site::new(env, dir), wal, recovery, options)
    }

    pub(crate) fn start_at(
        site: &Site<'_>,
        wal: Wal,
        recovery: Recovery,
        options: DataOptions,
    ) -> Result<(Self, Replayed), DataError> {
        let Site { env, dir, .. } = *site;
        options.validate()?;
        check_vshards(recovery.vshards)?;
        let vshards = recovery.vshards;
        let cores = options.cores.min(vshards);
        let clock = Arc::clone(&env.clock);
        let (bridge, inboxes) = Bridge::new(cores, options.bridge.clone(), Arc::clone(&clock));
        let snapshots = Snapshots::new(Arc::clone(&clock));
        let log: Arc<dyn DurableLog> =
            Arc::new(WalDurability { wal: wal.clone(), clock, wait: options.durable_wait });
        let limits = ParkedLimits {
            answers_max: options.parked_answers_max,
            bytes_max: options.parked_bytes_max,
        };
        let queues = listen(&wal, &bridge, (cores, limits));
        let budget = IoBudget::new(Arc::clone(&env.clock), options.io_bytes_per_second);
        let shared = Arc::new(Shared {
            env: env.clone(),
            wal,
            bridge,
            vshards,
            cores,
            board: Arc::new(Board::new(vshards)),
            snapshots: Arc::clone(&snapshots),
            catalog: Arc::new(PublishedCatalog::default()),
            weak: (0..cores).map(|_| Mutex::default()).collect(),
            expiry_halt: Mutex::default(),
            budget: Arc::clone(&budget),
        });
        let ports = Ports { budget, ..site.ports(snapshots, log) };
        let ballast = Arc::new(Ballast::open(env, dir, options.ballast_bytes));
        let (recovery, options) = (Arc::new(recovery), Arc::new(options));
        let (ready, outcomes) = mpsc::sync_channel(usize::from(cores));
        let mut plane = Self { shared: Arc::clone(&shared), threads: Threads::new() };
        for (inbox, release) in inboxes.into_iter().zip(queues) {
            let seed = CoreSeed {
                shared: Arc::clone(&shared),
                options: Arc::clone(&options),
                recovery: Arc::clone(&recovery),
                ports: ports.clone(),
                ballast: Arc::clone(&ballast),
                dir: dir.to_owned(),
                inbox,
                release,
            };
            plane.threads.spawn(env, seed, Ready::new(ready.clone()))?;
        }
        drop(ready);
        // On failure the plane is dropped here, which ends and joins every core.
        let replayed = all_ready(&outcomes, cores)?;
        Ok((plane, replayed))
    }

    /// A handle to send requests with.
    pub fn handle(&self) -> DataHandle {
        DataHandle::new(Arc::clone(&self.shared))
    }

    /// Ends the data plane: takes no more requests, serves those that wait, asks the log for a last
    /// sync so that parked answers are given, and joins all threads. Engines are not flushed; a caller
    /// who wants a short recovery asks for a flush before.
    ///
    /// # Errors
    /// - [`DataError::CloseTimedOut`]: some threads have not ended at the deadline; they end by
    ///   themselves once what they wait for is over.
    /// - [`DataError::TimedOut`] or [`DataError::Poisoned`]: the last sync failed.
    pub fn close(mut self, deadline: Duration) -> Result<(), DataError> {
        self.shared.bridge.close();
        let ended = self.threads.wait(&*self.shared.env.clock, deadline);
        if let Waiting::StillRunning(threads) = ended {
            self.threads.detach();
            return Err(DataError::CloseTimedOut { threads });
        }
        self.threads.join();
        let wal = &self.shared.wal;
        if wal.durable() == wal.appended() {
            return Ok(());
        }
        match wal.sync(deadline) {
            Ok(_) => Ok(()),
            Err(WaitError::Timeout) => Err(DataError::TimedOut),
            Err(WaitError::Poisoned(cause)) => {
                Err(DataError::Poisoned { cause: cause.to_string() })
            }
            Err(_) => Err(DataError::Closed),
        }
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.shared.bridge.close();
        self.threads.join();
    }
}

impl fmt::Debug for DataPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataPlane")
            .field("vshards", &self.shared.vshards)
            .field("cores", &self.shared.cores)
            .finish_non_exhaustive()
    }
}

/// Makes the queues of parked answers and has the log's flusher release them.
fn listen(
    wal: &Wal,
    bridge: &Bridge<crate::task::Task, crate::Answer>,
    (cores, limits): (u16, ParkedLimits),
) -> Vec<Arc<ReleaseQueue>> {
    let queues: Vec<_> = (0..cores).map(|_| Arc::new(ReleaseQueue::new(limits))).collect();
    wal.set_listener(Arc::new(Listener { queues: queues.clone().into(), bridge: bridge.clone() }));
    // After the listener is set: what becomes durable in between is told to it.
    for queue in &queues {
        if let Some(durable) = wal.durable() {
            queue.durable(durable);
        }
    }
    queues
}

fn all_ready(
    outcomes: &mpsc::Receiver<(CoreId, Result<Replayed, DataError>)>,
    cores: u16,
) -> Result<Replayed, DataError> {
    let mut all = Replayed::default();
    let mut missing: Vec<_> = (0..cores).map(CoreId::new).collect();
    // Ends when every core has answered, or has dropped its end by a panic.
    while let Ok((core, outcome)) = outcomes.recv() {
        missing.retain(|other| *other != core);
        all.records += outcome?.records;
    }
    match missing.first() {
        None => Ok(all),
        Some(core) => Err(DataError::CoreDied { core: *core }),
    }
}

fn check_vshards(vshards: u16) -> Result<(), DataError> {
    if (1..=limits::VSHARDS_MAX).contains(&vshards) {
        return Ok(());
    }
    let reason = "a database has 1 to 1024 vshards";
    Err(DataError::InvalidRequest { reason })
}

/// The log of a database that does not exist yet.
#[derive(Debug)]
pub(crate) struct NothingDurable;

impl DurableLog for NothingDurable {
    fn durable(&self) -> Option<Lsn> {
        None
    }

    fn wait_durable(&self, _lsn: Lsn) -> Result<(), nodedb_engine::NotDurable> {
        Err(nodedb_engine::NotDurable)
    }
}
