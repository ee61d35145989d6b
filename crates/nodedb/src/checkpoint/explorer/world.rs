//! A database in small: the real machine, and a log, vshards and an archive of a few records.

use super::search::Model;
use crate::checkpoint::{
    CheckpointRecord, Life, Mutation, Schedule,
    floor_board::{EngineFloors, FloorBoard, ProvenRedo, Report},
    machine::{Machine, Start},
    round::RoundId,
};
use nodedb_engine::{EngineKind, Floor};
use nodedb_types::{Lsn, VshardId};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub(super) const VSHARDS: u16 = 3;
/// Records of a segment.
const SEGMENT: u64 = 1;
pub(super) const NOW: Duration = Duration::from_secs(1000);

/// How much may happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Budget {
    pub(super) puts: u8,
    /// Writes of a group, which are logged before their vshard applies them.
    pub(super) groups: u8,
    pub(super) calls: u8,
    /// Steps that fail: flushes that decline, records that are not logged.
    pub(super) failures: u8,
    pub(super) crashes: u8,
    pub(super) restarts: u8,
    pub(super) pins: u8,
    pub(super) shutdowns: u8,
}

/// Which rule around the machine is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flaw {
    /// One within the machine.
    Machine(Mutation),
    /// A vshard reports the barrier while its group is logged and not applied.
    ReportWhilePaused,
    /// Log is deleted by what was computed, or by one slot of CONTROL.
    DeleteBeforeControl,
    /// Log is deleted before it is archived.
    ArchiveAfterDelete,
    /// Pins are not asked.
    IgnorePins,
}

/// What one slot of CONTROL names, with the floors of the record.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Slot {
    pub(super) redo: u64,
    pub(super) record: Option<u64>,
    pub(super) floors: [(u64, u64); VSHARDS as usize],
}

/// The switch under way: what is written, and how many slots have it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Switch {
    pub(super) round: RoundId,
    pub(super) slot: Slot,
    pub(super) written: usize,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct World {
    pub(super) machine: Machine,
    /// Whose each record is; `None` of housekeeping.
    pub(super) log: Vec<Option<u16>>,
    pub(super) durable: u64,
    /// The first record that is still there.
    pub(super) oldest: u64,
    pub(super) archived: u64,
    pub(super) pin: Option<u64>,
    /// What the files of each vshard hold.
    pub(super) files: [u64; VSHARDS as usize],
    pub(super) lives: [u32; VSHARDS as usize],
    /// A record of vshard 0 that is logged and not applied: its group is paused.
    pub(super) paused: Option<u64>,
    pub(super) slots: [Slot; 2],
    pub(super) fence: Option<RoundId>,
    pub(super) requests: BTreeSet<(RoundId, u16, u64)>,
    /// Reports under way. They stay: each may come late, again, or never.
    pub(super) reports: Vec<Report>,
    pub(super) record: Option<(RoundId, CheckpointRecord)>,
    pub(super) switch: Option<Switch>,
    /// The floors of the record that is logged and not yet named.
    pub(super) recording: Option<CheckpointRecord>,
    pub(super) recording_round: Option<RoundId>,
    /// What each caller wants, and the barrier of the round under way.
    pub(super) callers: BTreeMap<u64, u64>,
    pub(super) barrier: u64,
    pub(super) poisoned: bool,
    pub(super) stopped: bool,
    pub(super) left: Budget,
}

/// The model: bounds, and perhaps a flaw.
#[derive(Clone, Debug)]
pub(super) struct Small {
    pub(super) budget: Budget,
    pub(super) required: bool,
    pub(super) flaw: Option<Flaw>,
}

impl World {
    pub(super) fn appended(&self) -> u64 {
        self.log.len() as u64
    }

    /// Records of a vshard that its files lack, applied or not.
    pub(super) fn unflushed(&self, vshard: u16) -> impl Iterator<Item = u64> {
        let floor = self.files[usize::from(vshard)];
        let own = (1..=self.appended()).filter(move |at| *at > floor);
        own.filter(move |at| self.log[usize::try_from(*at - 1).expect("small")] == Some(vshard))
    }

    /// What a vshard reports after it has served a barrier, or of itself (0).
    pub(super) fn report(&self, vshard: u16, barrier: u64) -> Report {
        let own = self.files[usize::from(vshard)];
        let floor = Floor::recorded(Lsn::from_u64(own), Lsn::from_u64(own.max(barrier)));
        let floor = floor.expect("in order");
        let dirty = self.unflushed(vshard).find(|at| Some(*at) != self.paused);
        Report {
            vshard: VshardId::new(vshard),
            life: Life::new(self.lives[usize::from(vshard)]),
            floors: EngineFloors::new(|_| floor),
            dirty: dirty.and_then(Lsn::from_u64),
        }
    }

    /// What both slots say recovery needs, at worst.
    pub(super) fn redo(&self) -> u64 {
        self.slots[0].redo.min(self.slots[1].redo)
    }

    /// The first record of the segment that holds one.
    pub(super) fn segment_of(lsn: u64) -> u64 {
        (lsn - 1) / SEGMENT * SEGMENT + 1
    }

    /// Floors of a record, by vshard: the lowest of its engines.
    pub(super) fn floors_of(record: &CheckpointRecord) -> [(u64, u64); VSHARDS as usize] {
        let mut floors = [(u64::MAX, u64::MAX); VSHARDS as usize];
        for (vshard, engine, floor) in &record.floors {
            assert!(EngineKind::ALL.contains(engine));
            let slot = &mut floors[usize::from(vshard.get())];
            slot.0 = slot.0.min(Lsn::encode(floor.own()));
            slot.1 = slot.1.min(Lsn::encode(floor.effective()));
        }
        floors
    }

    pub(super) fn slot(redo: ProvenRedo, lsn: Lsn, record: &CheckpointRecord) -> Slot {
        let floors = Self::floors_of(record);
        Slot { redo: redo.lsn().get(), record: Some(lsn.get()), floors }
    }
}

impl Small {
    /// The machine of a process that begins with what CONTROL says.
    pub(super) fn machine(&self, world: &World, control: &Slot) -> Machine {
        let report = |vshard: u16| {
            let (_, effective) = control.floors[usize::from(vshard)];
            world.report(vshard, effective)
        };
        let start: Vec<_> = (0..VSHARDS).map(report).collect();
        let mut board = FloorBoard::new(VSHARDS, &start).expect("all vshards");
        if let Some(Flaw::Machine(mutation)) = self.flaw {
            board.break_rule(mutation);
        }
        Machine::new(Start {
            limit: Duration::from_secs(30),
            schedule: Schedule {
                interval: Duration::from_mins(5),
                recovery_target: Duration::from_secs(10),
                log_bytes_max: 1 << 30,
                dirty_bytes_max: 1 << 30,
            },
            board,
            redo: Lsn::from_u64(control.redo).expect("at least 1"),
            recorded: control.record.and_then(Lsn::from_u64),
            now: NOW,
        })
    }
}

impl Model for Small {
    type State = World;

    fn start(&self) -> World {
        let control = Slot { redo: 1, record: None, floors: [(0, 0); VSHARDS as usize] };
        let board: Vec<_> = (0..VSHARDS)
            .map(|vshard| Report {
                vshard: VshardId::new(vshard),
                life: Life::new(1),
                floors: EngineFloors::default(),
                dirty: None,
            })
            .collect();
        let board = FloorBoard::new(VSHARDS, &board).expect("all vshards");
        let schedule =
            Schedule { interval: NOW, recovery_target: NOW, log_bytes_max: 1, dirty_bytes_max: 1 };
        let (limit, redo) = (NOW, Lsn::FIRST);
        let blank = Start { limit, schedule, board, redo, recorded: None, now: NOW };
        let mut world = World {
            machine: Machine::new(blank),
            log: Vec::new(),
            durable: 0,
            oldest: 1,
            archived: 0,
            pin: None,
            files: [0; VSHARDS as usize],
            lives: [1; VSHARDS as usize],
            paused: None,
            slots: [control.clone(), control.clone()],
            fence: None,
            requests: BTreeSet::new(),
            reports: Vec::new(),
            record: None,
            switch: None,
            recording: None,
            recording_round: None,
            callers: BTreeMap::new(),
            barrier: 0,
            poisoned: false,
            stopped: false,
            left: self.budget,
        };
        world.machine = self.machine(&world, &control);
        world
    }

    fn steps(&self, world: &World) -> Vec<(&'static str, Result<World, String>)> {
        self.all_steps(world)
    }

    fn check(&self, world: &World) -> Result<(), String> {
        for vshard in 0..VSHARDS {
            for lost in world.unflushed(vshard) {
                if lost < world.oldest {
                    return Err(format!("I10: record {lost} of vshard {vshard} is deleted"));
                }
                for slot in &world.slots {
                    // Recovery may have either slot: the other one may be damaged.
                    if lost < slot.redo || lost <= slot.floors[usize::from(vshard)].1 {
                        return Err(format!("I8, I16: record {lost} is not replayed"));
                    }
                }
            }
            let own = world.files[usize::from(vshard)];
            if world.slots.iter().any(|slot| own < slot.floors[usize::from(vshard)].0) {
                return Err(format!("P2: vshard {vshard} is behind its recorded own floor"));
            }
        }
        if world.oldest > world.redo() {
            return Err("I9: log is deleted above what both slots of CONTROL hold".to_owned());
        }
        if self.required && world.oldest > world.archived + 1 {
            return Err("I11: unarchived log is deleted".to_owned());
        }
        if world.pin.is_some_and(|pin| world.oldest > pin) {
            return Err("I12: pinned log is deleted".to_owned());
        }
        Ok(())
    }
}
