//! What may happen to a group at each step of its way, on a simulated disk: everything at every step.

use super::{
    machine::Machine,
    world::{Held, NOTES, TENANT, World, at, get, options, put, value, vshard},
};
use crate::{
    Answer, Attempt, Consistency, DataError, DataOptions, Group, IdempotencyKey, Op, Outcome, Part,
    Priority, Ticket, TicketError, task::Task,
};
use bytes::Bytes;
use nodedb_bridge::BridgeOptions;
use nodedb_engine::Redo;
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, ErrorKind, VshardId};
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

const VSHARDS: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(10);

/// How far a group has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// It waits in the inbox of the core of this vshard; those before it are paused.
    Before(u16),
    /// It is in the log, and this vshard has not come to apply its part.
    Logged(u16),
    /// It is applied everywhere, and not durable.
    Parked,
}

/// What happens then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    Nothing,
    /// Its deadline passes.
    Deadline,
    /// Its ticket is dropped.
    Dropped,
    /// The core that has it in its inbox panics.
    CoreDies,
    /// The core of the first vshard, which is paused for it, panics.
    PausedDies,
    /// The inbox of the core that it waits for is full, with requests of both priorities.
    InboxFull,
    /// The queues of the vshards that are paused for it are full.
    QueuesFull,
    /// The sync of its records fails.
    DiskFails,
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Done,
    NotDone,
    /// One of the two, and all of it.
    Whole,
}

const STEPS: [Step; 6] = [
    Step::Before(0),
    Step::Before(1),
    Step::Before(2),
    Step::Logged(0),
    Step::Logged(1),
    Step::Parked,
];

const EVENTS: [Event; 8] = [
    Event::Nothing,
    Event::Deadline,
    Event::Dropped,
    Event::CoreDies,
    Event::PausedDies,
    Event::InboxFull,
    Event::QueuesFull,
    Event::DiskFails,
];

fn core_of(id: u16, cores: u16) -> u16 {
    vshard(id).core(cores).get()
}

/// What must become of a group; `None` where the event cannot happen at that step.
fn fate(step: Step, event: Event, cores: u16) -> Option<Fate> {
    let core = |id| core_of(id, cores);
    match (step, event) {
        // The cores of two stops in a row are held one after the other, so they are two.
        (Step::Before(1..), _) if cores == 1 => None,
        (Step::Logged(id), _) if core(id) == core(VSHARDS - 1) => None,
        (Step::Before(id), Event::PausedDies) if id == 0 || core(id) == core(0) => None,
        // A core that dies behind the log's back ends the process: tested with processes of their own.
        (Step::Logged(_) | Step::Parked, Event::CoreDies | Event::PausedDies)
        // Nothing that these could meet: nobody is paused, or nobody looks.
        | (Step::Logged(_), Event::DiskFails | Event::QueuesFull)
        | (Step::Parked, Event::InboxFull | Event::QueuesFull)
        | (Step::Before(0), Event::QueuesFull) => None,
        (_, Event::DiskFails) => Some(Fate::Whole),
        (_, Event::Nothing | Event::QueuesFull) | (Step::Logged(_) | Step::Parked, _) => {
            Some(Fate::Done)
        }
        (Step::Before(_), _) => Some(Fate::NotDone),
    }
}

/// One group on its way, and what comes beside it.
struct Run {
    world: World<Machine>,
    cores: u16,
    step: Step,
    event: Event,
    held: Option<(u16, Held)>,
    group: Option<Ticket<Answer>>,
    answer: Option<Answer>,
    /// Writes of other callers, by the key that each puts.
    others: Vec<(u16, String, Ticket<Answer>)>,
    fillers: Vec<Ticket<Answer>>,
}

fn key() -> IdempotencyKey {
    // The simulated clocks stand at the beginning of 2026.
    IdempotencyKey {
        key: Bytes::from_static(b"group"),
        issued_ms: 1_767_225_600_000,
        attempt: Attempt::FirstOrAgain,
    }
}

fn group() -> Group {
    let part = |id: u16| Part { vshard: vshard(id), writes: vec![put("shared", "\"new\"")] };
    let parts = (0..VSHARDS).rev().map(part).collect();
    Group { parts, durability: Durability::Sync, idempotency: Some(key()) }
}

fn small(cores: u16) -> DataOptions {
    let bridge = BridgeOptions { capacity: 5, ..BridgeOptions::default() };
    DataOptions { bridge, paused_requests_max: 4, ..options(cores) }
}

/// A ticket's end as an answer.
fn answer(ticket: Ticket<Answer>) -> Answer {
    match ticket.wait() {
        Ok(answer) => answer,
        Err(TicketError::Timeout) => Err(DataError::TimedOut),
        Err(other) => Err(DataError::Unanswered(other)),
    }
}

impl Run {
    fn new(disk: &SimFiles, cores: u16, (step, event): (Step, Event)) -> Self {
        let world = World::start(disk.crash_keeping_all(), VSHARDS, small(cores));
        let (others, fillers) = (Vec::new(), Vec::new());
        Self { world, cores, step, event, held: None, group: None, answer: None, others, fillers }
    }

    /// Holds the next core, then lets the one go that was held, and waits until that has passed the group on.
    fn move_on(&mut self, to: Option<u16>) {
        let next = to.map(|core| (core, self.world.hold_beside(core)));
        let (core, held) = std::mem::replace(&mut self.held, next).expect("a core is held");
        held.release();
        self.world.settle(core);
    }

    fn send(&mut self) {
        let deadline = self.world.env.clock.now() + PATIENCE;
        match self.world.data.send_group(TENANT, group(), deadline) {
            Ok(ticket) => self.group = Some(ticket),
            Err(error) => self.answer = Some(Err(error)),
        }
    }

    /// What must be there when the group comes.
    fn prepare(&mut self, core: u16) {
        match self.event {
            Event::CoreDies => {
                self.fillers.push(self.world.send_task_to(core, vshard(u16::MAX), Task::Panic));
            }
            Event::InboxFull => self.fill_inbox(core),
            _ => {}
        }
    }

    fn fill_inbox(&mut self, core: u16) {
        let world = &self.world;
        for priority in [Priority::Foreground, Priority::Background] {
            let ask = || {
                let (id, deadline) = (vshard(core), world.deadline());
                world.data.send(TENANT, id, Op::Status, deadline, priority)
            };
            self.fillers.extend(std::iter::from_fn(|| ask().ok()));
            let full = ask().expect_err("full");
            assert!(matches!(full, DataError::InboxFull { .. }), "{full}");
        }
    }

    fn fill_queue(&mut self, id: VshardId) {
        let core = core_of(id.get(), self.cores);
        let mut waiting = 0;
        loop {
            let mut ticket = self.world.send(id, get(NOTES, "shared", Consistency::Eventual));
            self.world.settle(core);
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(refused) = pin!(&mut ticket).poll(&mut context) {
                let error = refused.expect("an answer").expect_err("full");
                assert!(matches!(error, DataError::PausedFull { .. }), "{error}");
                return assert_eq!(waiting, 4);
            }
            self.fillers.push(ticket);
            waiting += 1;
        }
    }

    /// Brings the group to its step.
    fn bring(&mut self) {
        let cores = self.cores;
        let core = |id| core_of(id, cores);
        let stops = match self.step {
            Step::Before(id) => id,
            Step::Parked if cores == 1 => 0,
            Step::Logged(_) | Step::Parked => VSHARDS - 1,
        };
        self.held = Some((core(0), self.world.hold_beside(core(0))));
        if self.step == Step::Before(0) {
            self.prepare(core(0));
        }
        self.send();
        for id in 1..=stops {
            let next = core(id);
            let held = (next, self.world.hold_beside(next));
            if self.step == Step::Before(id) {
                self.prepare(next);
            }
            let (before, released) = self.held.replace(held).expect("a core is held");
            released.release();
            self.world.settle(before);
        }
        match self.step {
            Step::Before(_) => {}
            Step::Logged(id) => {
                self.move_on(Some(core(id)));
                self.prepare(core(id));
            }
            Step::Parked => {
                self.world.hold_syncs();
                self.move_on(None);
                (0..cores).for_each(|core| self.world.settle(core));
            }
        }
    }

    /// Writes of others, of both priorities, behind the group.
    fn send_others(&mut self) {
        for id in 0..VSHARDS {
            for (name, priority) in
                [("front", Priority::Foreground), ("back", Priority::Background)]
            {
                let write = at(put(name, "\"other\""), Durability::Sync);
                let deadline = self.world.deadline();
                let sent = self.world.data.send(TENANT, vshard(id), write, deadline, priority);
                match sent {
                    Ok(ticket) => self.others.push((id, name.to_owned(), ticket)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
                }
            }
        }
    }

    fn happen(&mut self) {
        match self.event {
            Event::Deadline => {
                self.world.advance(PATIENCE);
                self.answer = self.group.take().map(answer);
                if let Step::Before(id) = self.step {
                    self.assert_free(id);
                }
            }
            Event::Dropped => drop(self.group.take()),
            Event::PausedDies => {
                let behind =
                    self.world.send(vshard(0), get(NOTES, "shared", Consistency::Eventual));
                let dies = self.world.send_task_to(0, vshard(u16::MAX), Task::Panic);
                assert_eq!(dies.wait().expect_err("dropped"), TicketError::Cancelled);
                // Refused behind the group, which was given up. Logged before that, it would end the process.
                let error = answer(behind).expect_err("dead");
                assert!(matches!(error, DataError::CoreDied { .. }), "{error}");
            }
            Event::DiskFails => self.world.fail_sync(),
            Event::QueuesFull => {
                let Step::Before(stop) = self.step else { return };
                // A held core does not look at its queues.
                let held = core_of(stop, self.cores);
                let free = (0..stop).filter(|id| core_of(*id, self.cores) != held);
                for id in free.collect::<Vec<_>>() {
                    self.fill_queue(vshard(id));
                }
            }
            Event::Nothing | Event::CoreDies | Event::InboxFull => {}
        }
    }

    /// The vshards before a stop go on though the core of the stop is held.
    fn assert_free(&self, stop: u16) {
        let held = core_of(stop, self.cores);
        for id in (0..stop).filter(|id| core_of(*id, self.cores) != held) {
            assert_eq!(self.world.text(id, "shared"), None);
        }
    }

    fn finish(&mut self) {
        if let Some((_, held)) = self.held.take() {
            held.release();
        }
        self.world.release_syncs();
        // What filled an inbox has been served then, so there is room in it again.
        for filler in self.fillers.drain(..) {
            drop(filler.wait());
        }
        if let Some(group) = self.group.take() {
            self.answer = Some(answer(group));
        }
    }

    fn dead_core(&self) -> Option<u16> {
        match (self.event, self.step) {
            (Event::CoreDies, Step::Before(id)) => Some(core_of(id, self.cores)),
            (Event::PausedDies, _) => Some(0),
            _ => None,
        }
    }

    /// The answer is typed, says what is true, and says no more than is known.
    fn assert_answer(&self, fate: Fate) {
        let error = match &self.answer {
            None => return assert_eq!(self.event, Event::Dropped),
            Some(Ok(outcome)) => {
                assert!(matches!(outcome, Outcome::GroupWritten(_)), "{outcome:?}");
                return assert_eq!(fate, Fate::Done);
            }
            Some(Err(error)) => error,
        };
        let expected = match self.event {
            Event::Deadline => matches!(error, DataError::TimedOut),
            Event::CoreDies | Event::PausedDies => matches!(error, DataError::CoreDied { .. }),
            Event::InboxFull => matches!(error, DataError::InboxFull { .. }),
            Event::DiskFails => matches!(error, DataError::OutcomeUnknown { .. }),
            Event::Nothing | Event::Dropped | Event::QueuesFull => false,
        };
        assert!(expected, "{error}");
    }

    /// All vshards that live have the group, or none. Whether they have it.
    fn assert_whole(&mut self, fate: Fate) {
        let dead = self.dead_core();
        let cores = self.cores;
        // Before, a read of one vshard may come before the group and a read of the next one behind it.
        self.world.wal_reaches(self.world.wal.appended().expect("the catalog"));
        let live = (0..VSHARDS).filter(|id| Some(core_of(*id, cores)) != dead);
        let rows: Vec<_> = live.map(|id| self.world.text(id, "shared").is_some()).collect();
        assert!(rows.iter().all(|row| *row == (fate == Fate::Done)), "{rows:?}");
        for (id, key, ticket) in std::mem::take(&mut self.others) {
            let done = match answer(ticket) {
                Ok(_) => true,
                Err(error) => {
                    let kind = error.kind();
                    assert!(matches!(kind, ErrorKind::Busy | ErrorKind::Internal), "{error}");
                    false
                }
            };
            if Some(core_of(id, cores)) != dead {
                assert_eq!(self.world.text(id, &key).is_some(), done, "{key} of vshard {id}");
                self.world.put(id, &key, "\"again\"");
            }
        }
    }
}

impl Run {
    /// Nothing of any request is left behind.
    fn assert_empty(&mut self) {
        let dead = self.dead_core();
        (0..self.cores).filter(|core| Some(*core) != dead).for_each(|core| self.world.settle(core));
        assert_eq!(self.world.data.shared().bridge.in_flight(TENANT), 0);
    }
}

/// What any crash leaves: the group whole, or nothing of it; and its retry is done once.
fn assert_image(disk: SimFiles, (fate, answered): (Fate, Option<&Outcome>)) {
    let world = World::start(disk, VSHARDS, options(2));
    let rows: Vec<_> = (0..VSHARDS).map(|id| world.text(id, "shared").is_some()).collect();
    assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
    match fate {
        Fate::Done => assert!(rows[0]),
        Fate::NotDone => assert!(!rows[0]),
        Fate::Whole => {}
    }
    let again = world.data.send_group(TENANT, group(), world.deadline()).expect("room");
    let again = answer(again).expect("done, or done before");
    if let Some(answered) = answered {
        assert_eq!(format!("{again:?}"), format!("{answered:?}"));
    }
    let redos = world.logged();
    let puts = redos.iter().filter(|redo| matches!(redo, Redo::Put { key, .. } if key == "shared"));
    assert_eq!(puts.count(), usize::from(VSHARDS), "each part was logged once");
    for id in 0..VSHARDS {
        let row = value(world.ask(vshard(id), get(NOTES, "shared", Consistency::Strong)));
        assert!(row.is_some(), "vshard {id}");
    }
}

fn run(disk: &SimFiles, cores: u16, (step, event): (Step, Event), fate: Fate) {
    let mut run = Run::new(disk, cores, (step, event));
    run.bring();
    run.happen();
    if event != Event::DiskFails {
        run.send_others();
    }
    run.finish();
    run.assert_answer(fate);
    if fate != Fate::Whole {
        run.assert_whole(fate);
        run.assert_empty();
    }
    let answered = run.answer.as_ref().and_then(|answer| answer.as_ref().ok());
    for image in run.world.images() {
        assert_image(image, (fate, answered));
    }
}

/// Every event at every step, with each vshard on a core of its own, two on one, and all on one.
#[test]
fn whatever_happens_to_a_group_at_whatever_step_it_is_whole_and_nobody_waits_for_it() {
    let disk = World::new_disk(VSHARDS);
    let mut runs = 0;
    for cores in [3, 2, 1] {
        for step in STEPS {
            for event in EVENTS {
                if let Some(fate) = fate(step, event, cores) {
                    eprintln!("{cores} cores, {step:?}: {event:?}");
                    run(&disk, cores, (step, event), fate);
                    runs += 1;
                }
            }
        }
    }
    assert!(runs > 70, "{runs} cases");
}
