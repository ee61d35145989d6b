//! What a core grows from, on its own thread.

use crate::{
    Answer, DataError, DataOptions, Recovery, Replayed,
    asks::Asks,
    ballast::{Ballast, Need},
    core::Core,
    image::FileState,
    maintenance::{Maintenance, MaintenanceParts},
    release::ReleaseQueue,
    shared::Shared,
    task::Task,
    turn::{Failures, Graphs, Merges, Refusals, Sweep},
    vshard::{LoadedVshards, Replay, Vshard, load_all},
};
use nodedb_bridge::Inbox;
use nodedb_document::Ports;
use nodedb_engine::EngineKind;
use nodedb_types::{CoreId, ErrorKind, VshardId};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, mpsc::SyncSender},
};

/// What a core grows from. Engines are loaded on the thread that will own them.
pub(crate) struct CoreSeed {
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: Arc<DataOptions>,
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) ports: Ports,
    pub(crate) ballast: Arc<Ballast>,
    /// The directory of all vshards.
    pub(crate) dir: PathBuf,
    pub(crate) inbox: Inbox<Task, Answer>,
    pub(crate) release: Arc<ReleaseQueue>,
}

/// Says once how the start of a core went. Dropped by a panic it says so too: the channel ends.
pub(crate) struct Ready(SyncSender<(CoreId, Result<Replayed, DataError>)>);

impl Ready {
    pub(crate) const fn new(to: SyncSender<(CoreId, Result<Replayed, DataError>)>) -> Self {
        Self(to)
    }

    fn say(self, core: CoreId, outcome: Result<Replayed, DataError>) {
        // Whoever started it may have given up over the failure of another core.
        drop(self.0.send((core, outcome)));
    }
}

impl CoreSeed {
    /// Whose seed it is.
    pub(crate) const fn core(&self) -> CoreId {
        self.inbox.core()
    }

    /// Loads, reports, and serves until the end.
    pub(crate) fn grow(self, ready: Ready) {
        let id = self.core();
        match self.load() {
            Ok((core, replayed)) => {
                ready.say(id, Ok(replayed));
                core.live();
            }
            Err(error) => ready.say(id, Err(error)),
        }
    }

    fn load(self) -> Result<(Core, Replayed), DataError> {
        let id = self.core();
        let shared = self.shared;
        let replay = Replay {
            ports: &self.ports,
            dir: &self.dir,
            wal: &shared.wal,
            vshards: shared.vshards,
            redo: self.recovery.redo,
            proven: &self.recovery.proven,
            options: &self.options,
            ballast: &self.ballast,
        };
        let mine =
            (0..shared.vshards).map(VshardId::new).filter(|vshard| vshard.core(shared.cores) == id);
        let LoadedVshards { vshards, floors, replayed } = loop {
            match load_all(&replay, mine.clone()) {
                // A switch that a kill had interrupted is made up for by loading.
                Err(error)
                    if error.kind() == ErrorKind::NoSpace && self.ballast.release(Need::Flush) => {}
                loaded => break loaded?,
            }
        };
        for (vshard, engine, floor) in floors {
            shared.board.prove(vshard, engine, floor);
        }
        for vshard in vshards.values() {
            shared.board.set_dirty(vshard.id, vshard.engines.dirty());
        }
        if let Some(first) = vshards.get(&VshardId::new(0)) {
            let catalog = first.engines.catalog.catalog().clone();
            shared.catalog.put(None, Arc::new(catalog));
        }
        let parts = MaintenanceParts {
            core: id,
            bridge: shared.bridge.clone(),
            log: Arc::clone(&self.ports.log),
            budget: Arc::clone(&self.ports.budget),
            ballast: self.ballast,
            states: file_states(&vshards),
            patience: self.options.maintenance_patience,
        };
        let sweep = Sweep::new(&shared, self.options.clock_jump_max);
        let core = Core {
            id,
            maintenance: Maintenance::start(&shared.env, parts)?,
            asks: Asks::new(shared.wal.clone(), Arc::clone(&shared.env.clock)),
            shared,
            options: self.options,
            inbox: self.inbox,
            release: self.release,
            touched: vshards.keys().copied().collect(),
            vshards,
            paused: BTreeSet::new(),
            merges: Merges::default(),
            crdt_bytes: 0,
            counts: VecDeque::new(),
            searches: VecDeque::new(),
            sweep,
            memory: 0,
            unsealed: 0,
            pressure: None,
            graphs: Graphs::default(),
            failures: Failures::default(),
            refusals: Refusals::default(),
            closing: false,
            forgotten: false,
            #[cfg(test)]
            panics_after_append: false,
        };
        Ok((core, replayed))
    }
}

fn file_states(vshards: &BTreeMap<VshardId, Vshard>) -> BTreeMap<VshardId, FileState> {
    let state = |vshard: &Vshard| {
        let own = EngineKind::ALL.map(|kind| (kind, vshard.engines.flushed(kind).floor()));
        FileState { own, ceiling: own.iter().filter_map(|(_, floor)| *floor).max() }
    };
    vshards.iter().map(|(id, vshard)| (*id, state(vshard))).collect()
}
