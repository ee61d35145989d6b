//! What can happen to the world.

use super::world::{Flaw, NOW, Small, Switch, VSHARDS, World};
use crate::checkpoint::{
    Action, Event, Outcome, Stage, Urgency,
    caller::{Caller, CallerId},
    floor_board::Report,
};
use nodedb_types::{Lsn, VshardId};
use std::time::Duration;

type Step = (&'static str, Result<World, String>);

impl Small {
    pub(super) fn all_steps(&self, world: &World) -> Vec<Step> {
        let mut steps = Vec::new();
        self.crashes(world, &mut steps);
        reclaims(self, world, &mut steps);
        if world.stopped {
            return steps;
        }
        writes(world, &mut steps);
        callers(world, &mut steps);
        self.vshards(world, &mut steps);
        log_work(world, &mut steps);
        time(world, &mut steps);
        archive(self, world, &mut steps);
        steps
    }

    /// Vshards serve, fail, restart; their reports come whenever they like.
    fn vshards(&self, world: &World, steps: &mut Vec<Step>) {
        for request @ (round, vshard, barrier) in world.requests.iter().copied() {
            let paused = vshard == 0 && world.paused.is_some();
            if !paused || self.flaw == Some(Flaw::ReportWhilePaused) {
                let mut next = world.clone();
                next.requests.remove(&request);
                let applied = |at: &u64| *at <= barrier && Some(*at) != world.paused;
                if world.unflushed(vshard).any(|at| applied(&at)) {
                    next.files[usize::from(vshard)] = barrier;
                }
                let report = next.report(vshard, barrier);
                next.send(report);
                // A flush that is done with a group half applied has left a part out of the files.
                if paused && next.files[0] >= world.paused.unwrap_or(u64::MAX) {
                    steps.push(("flush", Err("I6: a floor above a record in flight".to_owned())));
                } else {
                    steps.push(("flush", Ok(next)));
                }
            }
            if world.left.failures > 0 {
                let mut failed = world.clone();
                failed.left.failures -= 1;
                failed.requests.remove(&request);
                let vshard = VshardId::new(vshard);
                steps.push(("decline", failed.feed(Event::Declined { round, vshard })));
            }
        }
        for report in &world.reports {
            steps.push(("report", world.clone().feed(Event::Reported(*report))));
        }
        if world.left.restarts > 0 {
            restarts(world, steps);
        }
    }

    fn crashes(&self, world: &World, steps: &mut Vec<Step>) {
        if world.left.crashes == 0 {
            return;
        }
        // What is not durable may survive or not; either slot may be the one that is intact.
        for kept in world.durable..=world.appended() {
            let slots = if world.slots[0] == world.slots[1] { 1 } else { 2 };
            for slot in 0..slots {
                steps.push(("crash", Ok(self.reopened(world, kept, slot))));
            }
        }
    }

    fn reopened(&self, world: &World, kept: u64, slot: usize) -> World {
        let mut next = world.clone();
        next.left.crashes -= 1;
        next.log.truncate(usize::try_from(kept).expect("small"));
        next.durable = kept;
        next.paused = None;
        next.pin = None;
        next.lives = next.lives.map(|life| life + 1);
        next.fence = None;
        next.requests.clear();
        next.reports.clear();
        next.record = None;
        next.switch = None;
        next.recording = None;
        next.callers.clear();
        next.poisoned = false;
        next.stopped = false;
        let control = next.slots[slot].clone();
        // The open writes both slots anew.
        next.slots = [control.clone(), control.clone()];
        next.machine = self.machine(&next, &control);
        next
    }
}

fn writes(world: &World, steps: &mut Vec<Step>) {
    if let Some(_paused) = world.paused {
        steps.push(("resume", Ok(World { paused: None, ..world.clone() })));
    }
    if world.poisoned {
        return;
    }
    if world.left.groups > 0 && world.paused.is_none() {
        let mut next = world.clone();
        next.left.groups -= 1;
        next.log.push(Some(0));
        next.paused = Some(next.appended());
        steps.push(("group", Ok(next)));
    }
    // Vshard 2 stays idle for ever.
    for vshard in 0..VSHARDS - 1 {
        let waits = vshard == 0 && world.paused.is_some();
        if world.left.puts > 0 && !waits {
            let mut next = world.clone();
            next.left.puts -= 1;
            next.log.push(Some(vshard));
            steps.push(("put", Ok(next)));
        }
    }
}

fn callers(world: &World, steps: &mut Vec<Step>) {
    if world.left.calls > 0 {
        // A lazy one differs where a shutdown gives it up.
        let lazy = (world.left.shutdowns > 0).then_some(Urgency::Lazy);
        for urgency in lazy.into_iter().chain([Urgency::Immediate]) {
            let mut next = world.clone();
            next.left.calls -= 1;
            let (id, wants) = (u64::from(world.left.calls), world.appended());
            next.callers.insert(id, wants);
            let caller = Caller { id: CallerId::new(id), urgency, wants: Lsn::from_u64(wants) };
            steps.push(("call", next.feed(Event::Requested(caller))));
        }
    }
    if world.left.shutdowns > 0 {
        let mut next = world.clone();
        next.left.shutdowns -= 1;
        let deadline = NOW + Duration::from_mins(1);
        steps.push(("shut down", next.feed(Event::ShutDown { deadline })));
    }
}

/// A vshard gets another owner, who finds the files as they are, or an older generation that is still
/// good for what is recorded or being recorded; an older one is refused.
fn restarts(world: &World, steps: &mut Vec<Step>) {
    for vshard in 0..VSHARDS - 1 {
        let at = usize::from(vshard);
        let recorded = world.slots.iter().map(|slot| slot.floors[at]);
        let asked = world.record.as_ref().map(|(_, record)| record);
        let recording = world.recording.as_ref().into_iter().chain(asked);
        let floors = recorded.chain(recording.map(|record| World::floors_of(record)[at]));
        let least = floors.map(|(_, effective)| effective).max().unwrap_or(0);
        for floor in [world.files[at], least.min(world.files[at])] {
            let mut next = world.clone();
            next.left.restarts -= 1;
            next.lives[at] += 1;
            next.files[at] = floor;
            let gone = next.requests.iter().filter(|(_, other, _)| *other == vshard);
            for request in gone.copied().collect::<Vec<_>>() {
                next.requests.remove(&request);
            }
            let report = next.report(vshard, 0);
            steps.push(("restart", next.feed(Event::Reported(report))));
        }
    }
}

/// Fence, record and CONTROL, each of which may also fail.
fn log_work(world: &World, steps: &mut Vec<Step>) {
    if let Some(round) = world.fence {
        let mut next = world.clone();
        next.fence = None;
        next.durable = next.appended();
        next.barrier = next.durable;
        let barrier = Lsn::from_u64(next.durable);
        steps.push(("fence", next.feed(Event::Fenced { round, barrier })));
        steps.push(("poison", poisoned(world)));
    }
    if let Some((round, record)) = &world.record {
        let mut next = world.clone();
        next.record = None;
        next.recording = Some(record.clone());
        next.log.push(None);
        steps.push(("append record", Ok(next)));
        if world.left.failures > 0 {
            let mut failed = world.clone();
            failed.left.failures -= 1;
            failed.record = None;
            let stage = Stage::Recording;
            steps.push(("fail record", failed.feed(Event::Failed { round: *round, stage })));
        }
    }
    recording(world, steps);
    if let Some(switch) = &world.switch {
        let mut next = world.clone();
        next.slots[switch.written] = switch.slot.clone();
        let done = switch.written == 1;
        let round = switch.round;
        next.switch = (!done).then(|| Switch { written: 1, ..switch.clone() });
        if done {
            next.recording = None;
            steps.push(("second slot", next.feed(Event::Switched { round })));
        } else {
            steps.push(("first slot", Ok(next)));
        }
    }
}

/// The record that was appended becomes durable.
fn recording(world: &World, steps: &mut Vec<Step>) {
    let Some(Event::Recorded { round, .. }) = world.awaited() else {
        return;
    };
    let mut next = world.clone();
    next.durable = next.appended();
    let record = Lsn::from_u64(world.last_housekeeping()).expect("appended");
    steps.push(("sync record", next.feed(Event::Recorded { round, record })));
    steps.push(("poison", poisoned(world)));
}

fn poisoned(world: &World) -> Result<World, String> {
    let mut next = world.clone();
    next.poisoned = true;
    next.fence = None;
    next.record = None;
    next.switch = None;
    next.recording = None;
    next.feed(Event::Poisoned)
}

fn time(world: &World, steps: &mut Vec<Step>) {
    let Some(wake) = world.machine.wake_at() else {
        return;
    };
    let mut next = Ok(world.clone());
    for vshard in 0..VSHARDS {
        // As the driver does: what is known of the vshards first.
        next = next.and_then(|next: World| {
            let report = next.report(vshard, 0);
            next.feed(Event::Reported(report))
        });
    }
    steps.push(("deadline", next.and_then(|next| next.feed_at(Event::Tick, wake))));
}

fn archive(model: &Small, world: &World, steps: &mut Vec<Step>) {
    if model.required && world.archived < world.durable {
        steps.push(("archive", Ok(World { archived: world.durable, ..world.clone() })));
    }
    if let Some(_pin) = world.pin {
        steps.push(("unpin", Ok(World { pin: None, ..world.clone() })));
    } else if world.left.pins > 0 {
        let mut next = world.clone();
        next.left.pins -= 1;
        next.pin = Some(world.oldest);
        steps.push(("pin", Ok(next)));
    }
}

fn reclaims(model: &Small, world: &World, steps: &mut Vec<Step>) {
    if world.poisoned {
        return;
    }
    let computed = world.switch.as_ref().map(|switch| switch.slot.redo);
    let mut horizon = match (model.flaw, computed) {
        (Some(Flaw::DeleteBeforeControl), Some(computed)) => computed,
        _ => world.redo(),
    };
    if model.required && model.flaw != Some(Flaw::ArchiveAfterDelete) {
        horizon = horizon.min(world.archived + 1);
    }
    if model.flaw != Some(Flaw::IgnorePins) {
        horizon = world.pin.map_or(horizon, |pin| pin.min(horizon));
    }
    let oldest = World::segment_of(horizon);
    if oldest > world.oldest {
        steps.push(("reclaim", Ok(World { oldest, ..world.clone() })));
    }
}

impl World {
    /// Leaves a report under way: the last two of each vshard stay, to come late or again.
    fn send(&mut self, report: Report) {
        if self.reports.contains(&report) {
            return;
        }
        let of = |other: &&Report| other.vshard == report.vshard;
        if self.reports.iter().filter(of).count() == 2
            && let Some(first) = self.reports.iter().position(|other| of(&other))
        {
            self.reports.remove(first);
        }
        self.reports.push(report);
        // By vshard, so that the order in which different vshards answered is no state of its own.
        self.reports.sort_by_key(|report| report.vshard);
    }

    fn last_housekeeping(&self) -> u64 {
        let at = self.log.iter().rposition(Option::is_none);
        at.map_or(0, |at| at as u64 + 1)
    }

    /// The event that an appended record waits for.
    fn awaited(&self) -> Option<Event> {
        let waits = self.recording.is_some() && self.switch.is_none() && self.record.is_none();
        let round = self.recording_round?;
        let record = Lsn::from_u64(self.last_housekeeping())?;
        waits.then_some(Event::Recorded { round, record })
    }

    fn feed(self, event: Event) -> Result<Self, String> {
        self.feed_at(event, NOW)
    }

    fn feed_at(mut self, event: Event, now: Duration) -> Result<Self, String> {
        for action in self.machine.step(event, now) {
            self.carry_out(action)?;
        }
        Ok(self)
    }

    fn carry_out(&mut self, action: Action) -> Result<(), String> {
        if self.poisoned
            && !matches!(action, Action::Conclude { .. } | Action::Refuse { .. } | Action::Stop(_))
        {
            return Err(format!("I13: {action:?} after poison"));
        }
        match action {
            Action::Fence { round, .. } => {
                let busy = self.fence.is_some() || self.record.is_some() || self.switch.is_some();
                // A lazy round may be given up for the final one while its fence is under way.
                if busy && self.fence.is_none() {
                    return Err("I20: two rounds at a time".to_owned());
                }
                self.fence = Some(round);
            }
            Action::Flush { round, vshard, barrier, .. } => {
                self.requests.insert((round, vshard.get(), barrier.get()));
            }
            Action::Record { round, record } => {
                self.recording_round = Some(round);
                self.record = Some((round, record));
            }
            Action::Switch { round, redo, record } => {
                let recording = self.recording.clone().ok_or("a switch without a record")?;
                if record.get() > self.durable {
                    return Err("I9: CONTROL names a record that is not durable".to_owned());
                }
                let slot = Self::slot(redo, record, &recording);
                if slot.redo < self.slots[0].redo.max(self.slots[1].redo) {
                    return Err("I8: the redo position falls".to_owned());
                }
                self.switch = Some(Switch { round, slot, written: 0 });
            }
            Action::Conclude { callers, outcome, .. } => {
                let failed = matches!(outcome, Outcome::Failed { .. });
                for id in callers {
                    let wants = self.callers.iter().find(|(known, _)| CallerId::new(**known) == id);
                    let (known, wants) =
                        wants.map(|(a, b)| (*a, *b)).ok_or("I20: answered twice")?;
                    if !failed && wants > self.barrier {
                        return Err("I20: a caller is served by an older barrier".to_owned());
                    }
                    self.callers.remove(&known);
                }
            }
            Action::Refuse { caller, .. } => {
                self.callers.retain(|known, _| CallerId::new(*known) != caller);
            }
            Action::Stop(_) => {
                self.stopped = true;
                if !self.callers.is_empty() {
                    return Err("a caller waits for ever".to_owned());
                }
            }
        }
        Ok(())
    }
}
