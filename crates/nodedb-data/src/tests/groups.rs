//! Atomic batches over several vshards.

use super::world::{
    DRAWINGS, NOTES, PERIODIC, TENANT, World, at, delete, expecting, get, group_written, options,
    put, text, value, vshard, written,
};
use crate::{
    Change, Consistency, DataError, DataOptions, Expect, Group, Op, Part, Priority, TicketError,
    Write, task::Task,
};
use nodedb_bridge::BridgeOptions;
use nodedb_engine::CatalogChange;
use nodedb_types::{CoreId, Durability, ErrorKind, Lsn, Name, TenantId};
use std::{
    os::unix::process::ExitStatusExt,
    pin::pin,
    process::Command,
    task::{Context, Waker},
    thread,
    time::Duration,
};

fn strong(key: &str) -> Op {
    get(NOTES, key, Consistency::Strong)
}

#[test]
fn a_group_is_applied_everywhere_and_answers_in_the_order_of_its_writes() {
    let world = World::new(4, options(2));
    world.put(2, "old", "1");
    // Vshards descending, one of them twice, two of them on one core.
    let ticket = world.send_group(vec![
        (2, vec![delete("old"), delete("missing")]),
        (0, vec![put("a", "1")]),
        (2, vec![put("old", "2")]),
        (3, vec![put("b", "3"), delete("b"), delete("b")]),
    ]);
    let group = group_written(ticket.wait().expect("an answer"));
    let lsns = group.lsns.expect("records");
    let at = |offset: u64| Some(lsns.start().advance(offset));
    let found: Vec<_> =
        group.writes.iter().map(|write| write.stamp.map(|stamp| stamp.lsn)).collect();
    assert_eq!(found, [at(1), None, at(0), at(2), at(3), at(4), None]);
    assert_eq!(lsns.count(), 5);
    assert_eq!(world.text(0, "a").as_deref(), Some("1"));
    assert_eq!(world.text(2, "old").as_deref(), Some("2"));
    assert_eq!(world.text(3, "b"), None);
}

#[test]
fn a_group_of_deletes_of_missing_keys_logs_nothing() {
    let world = World::new(2, options(2));
    let before = world.wal.appended();
    let ticket = world.send_group(vec![(0, vec![delete("x")]), (1, vec![delete("y")])]);
    let group = group_written(ticket.wait().expect("an answer"));
    assert_eq!(group.lsns, None);
    assert!(group.writes.iter().all(|write| write.stamp.is_none()));
    assert_eq!(world.wal.appended(), before);
    assert_eq!(world.text(0, "x"), None, "the vshards go on");
}

#[test]
fn a_conflict_at_the_last_vshard_leaves_nothing_anywhere() {
    let world = World::new(3, options(3));
    world.put(2, "taken", "1");
    let before = world.wal.appended();
    let ticket = world.send_group(vec![
        (0, vec![put("a", "1")]),
        (1, vec![put("b", "1")]),
        (2, vec![expecting(put("taken", "2"), Expect::Absent)]),
    ]);
    let error = ticket.wait().expect("an answer").expect_err("a conflict");
    assert!(matches!(error, DataError::Conflict { found: Some(_) }), "{error}");
    assert_eq!(world.wal.appended(), before, "what is refused is never logged");
    assert_eq!((world.text(0, "a"), world.text(1, "b")), (None, None));
    assert_eq!(world.text(2, "taken").as_deref(), Some("1"));
}

/// P4: a paused vshard answers no read, of whatever kind, before it has its part of the group.
#[test]
fn a_read_on_a_paused_vshard_waits_and_sees_the_group_whole() {
    let world = World::new(2, options(2));
    let held = world.hold(1);
    let parts = [("a", 0), ("b", 1)]
        .map(|(key, id)| Part { vshard: vshard(id), writes: vec![put(key, "new")] });
    let group = Group { parts: parts.into(), durability: Durability::Buffered, idempotency: None };
    let group = world.data.send_group(TENANT, group, world.deadline());
    // Behind the group in the same inbox, so vshard 0 waits for the group when it is served.
    let reads = [Consistency::Strong, Consistency::Eventual]
        .map(|consistency| world.send(vshard(0), get(NOTES, "a", consistency)));
    held.release();
    let group = group.expect("there is room").wait().expect("an answer");
    assert_eq!(group_written(group).lsns.expect("records").count(), 2);
    for ticket in reads {
        let row = value(ticket.wait().expect("an answer")).expect("the group is there");
        assert_eq!(text(&row), "new");
    }
}

/// P4: acknowledged write not seen by a strong read.
#[test]
fn a_group_is_answered_when_it_is_durable_and_applied_everywhere() {
    let world = World::new(2, options(2));
    let last = world.hold(1);
    let mut group = world.send_group(vec![(0, vec![put("a", "new")]), (1, vec![put("b", "new")])]);
    let before = world.wal.appended().expect("the catalog");
    // Core 0 has paused vshard 0 and does not come to apply its part.
    let first = world.hold_beside(0);
    last.release();
    let end = before.advance(2);
    world.wal_reaches(end);
    world.status(1);
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(&mut group).poll(&mut context).is_pending());
    let read = world.send(vshard(0), strong("a"));
    first.release();
    group_written(group.wait().expect("an answer"));
    let row = value(read.wait().expect("an answer")).expect("it is durable");
    assert_eq!(text(&row), "new");
}

/// P4: others have applied their parts, so the process ends, and a restart replays the whole.
#[test]
fn a_core_that_dies_within_a_logged_group_ends_the_process() {
    const CHILD: &str = "NODEDB_TEST_DIES_WITHIN_A_GROUP";
    if std::env::var_os(CHILD).is_none() {
        let program = std::env::current_exe().expect("this program");
        let test = "tests::groups::a_core_that_dies_within_a_logged_group_ends_the_process";
        let child =
            Command::new(program).args(["--exact", test]).env(CHILD, "1").output().expect("runs");
        assert_eq!(child.status.signal(), Some(6), "aborted: {child:?}");
        return;
    }
    let world = World::new(2, options(2));
    let last = world.hold(1);
    let group = world.send_group(vec![(0, vec![put("a", "1")]), (1, vec![put("b", "1")])]);
    let before = world.wal.appended().expect("the catalog");
    let first = world.hold_beside(0);
    // In the same turn of core 0 as the hold, so before it looks at the end of the group.
    let panic = world.send_task_to(0, vshard(9), Task::Panic);
    last.release();
    world.wal_reaches(before.advance(2));
    first.release();
    drop((panic.wait(), group.wait()));
}

#[test]
fn a_group_given_up_by_its_deadline_resumes_all() {
    let world = World::new(3, options(3));
    let held = world.hold(2);
    let soon = world.env.clock.now() + Duration::from_millis(50);
    let group = world.send_group_until(
        vec![(0, vec![put("a", "1")]), (1, vec![put("b", "1")]), (2, vec![put("c", "1")])],
        soon,
    );
    assert_eq!(group.wait().expect_err("in time"), TicketError::Timeout);
    // Core 2 is still busy; the two that waited for it go on by themselves.
    assert_eq!((world.text(0, "a"), world.text(1, "b")), (None, None));
    world.put(0, "a", "2");
    held.release();
    assert_eq!(world.text(2, "c"), None);
    assert_eq!(world.text(0, "a").as_deref(), Some("2"));
}

#[test]
fn a_full_inbox_of_the_next_core_gives_the_group_up() {
    let bridge = BridgeOptions { capacity: 2, ..BridgeOptions::default() };
    let world = World::new(2, DataOptions { bridge, ..options(2) });
    let held = world.hold(1);
    let waiting: Vec<_> = (0..2).map(|_| world.send(vshard(1), Op::Status)).collect();
    let group = world.send_group(vec![(0, vec![put("a", "1")]), (1, vec![put("b", "1")])]);
    let error = group.wait().expect("an answer").expect_err("no room");
    let full = CoreId::new(1);
    assert!(matches!(error, DataError::InboxFull { core } if core == full), "{error}");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(world.text(0, "a"), None, "vshard 0 goes on while core 1 is busy");
    held.release();
    for ticket in waiting {
        assert!(ticket.wait().expect("an answer").is_ok());
    }
    assert_eq!(world.text(1, "b"), None);
}

#[test]
fn the_queue_of_a_paused_vshard_is_bounded() {
    let world = World::new(2, DataOptions { paused_requests_max: 2, ..options(2) });
    let held = world.hold(1);
    let group = world.send_group(vec![(0, vec![put("a", "1")]), (1, vec![put("b", "1")])]);
    let read = || world.send(vshard(0), get(NOTES, "a", Consistency::Eventual));
    let mut reads: Vec<_> = (0..3).map(|_| read()).collect();
    let refused = reads.remove(2).wait().expect("an answer").expect_err("full");
    assert!(matches!(refused, DataError::PausedFull { .. }), "{refused}");
    held.release();
    group_written(group.wait().expect("an answer"));
    for read in reads {
        assert!(value(read.wait().expect("an answer")).is_some());
    }
}

#[test]
fn a_request_that_waits_for_a_group_times_out_by_its_own_deadline() {
    let world = World::new(2, options(2));
    let held = world.hold(1);
    let group = world.send_group(vec![(0, vec![put("a", "1")]), (1, vec![put("b", "1")])]);
    let soon = world.env.clock.now() + Duration::from_millis(20);
    let write = at(put("a", "late"), Durability::Sync);
    let late = world
        .data
        .send(TENANT, vshard(0), write, soon, Priority::Foreground)
        .expect("there is room");
    match late.wait() {
        Ok(Err(DataError::TimedOut)) | Err(TicketError::Timeout) => {}
        other => panic!("{other:?}"),
    }
    held.release();
    group_written(group.wait().expect("an answer"));
    assert_eq!(world.text(0, "a").as_deref(), Some("1"), "it had no effect");
}

#[test]
fn a_group_whose_caller_is_gone_is_given_up() {
    let world = World::new(2, options(2));
    let held = world.hold(1);
    let group = world.send_group(vec![(0, vec![put("a", "1")]), (1, vec![put("b", "1")])]);
    let read = world.send(vshard(0), strong("a"));
    drop(group);
    held.release();
    assert_eq!(value(read.wait().expect("an answer")), None);
    assert_eq!(world.text(1, "b"), None);
}

#[test]
fn groups_stay_whole_under_mixed_priorities_and_full_queues() {
    let bridge = BridgeOptions { capacity: 3, ..BridgeOptions::default() };
    let world = World::new(4, DataOptions { bridge, paused_requests_max: 2, ..options(3) });
    let write = |name: &str| put("shared", name);
    thread::scope(|scope| {
        for writer in 0..4 {
            let world = &world;
            scope.spawn(move || {
                for round in 0..50 {
                    let name = format!("{writer}-{round}");
                    let parts =
                        (0..4).map(|id| Part { vshard: vshard(id), writes: vec![write(&name)] });
                    let group = Group {
                        parts: parts.collect(),
                        durability: Durability::Sync,
                        idempotency: None,
                    };
                    let sent = world.data.send_group(TENANT, group, world.deadline());
                    outcome_or_busy(sent.map(|ticket| ticket.wait().expect("an answer")));
                    let priority = [Priority::Background, Priority::Foreground][round % 2];
                    let own = at(put(&name, "own"), Durability::Buffered);
                    let target = vshard(u16::try_from(round % 4).expect("small"));
                    let sent = world.data.send(TENANT, target, own, world.deadline(), priority);
                    outcome_or_busy(sent.map(|ticket| ticket.wait().expect("an answer")));
                }
            });
        }
    });
    let texts: Vec<_> = (0..4).map(|id| world.text(id, "shared")).collect();
    assert!(texts[0].is_some(), "some group went through");
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    let texts_after_kill: Vec<_> = {
        let world = world.kill(1);
        (0..4).map(|id| world.text(id, "shared")).collect()
    };
    assert_eq!(texts_after_kill, texts);
}

fn outcome_or_busy(result: Result<crate::Answer, DataError>) {
    if let Err(error) | Ok(Err(error)) = result {
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    }
}

#[test]
fn a_catalog_change_is_published_with_its_answer_and_goes_to_every_vshard_alike() {
    let world = World::new(2, options(2));
    let name = Name::new("acme").expect("a good name");
    let change = CatalogChange::CreateTenant { id: TenantId::new(2), name: name.clone() };
    assert_eq!(world.data.catalog().tenant(Some(&name)), None);
    world.change_catalog(&change);
    assert_eq!(world.data.catalog().tenant(Some(&name)), Some(TenantId::new(2)));
    let write = Write { change: Change::Catalog(change), ..put("", "") };
    let group = Group {
        parts: vec![Part { vshard: vshard(0), writes: vec![write.clone()] }],
        durability: Durability::Sync,
        idempotency: None,
    };
    let deadline = world.deadline();
    let partial = world.data.send_group(TENANT, group, deadline);
    assert!(matches!(partial, Err(DataError::InvalidRequest { .. })));
    let alone =
        world.data.send(TENANT, vshard(0), Op::Write(write), deadline, Priority::Foreground);
    assert!(matches!(alone, Err(DataError::InvalidRequest { .. })));
    let again = world.data.catalog();
    drop(world);
    assert_eq!(again.all().count(), 2);
}

/// A put that was admitted before a drop and served after it.
#[test]
fn a_put_before_a_drop_cannot_resurrect_anything() {
    let world = World::new(2, options(2));
    world.put(1, "a", "1");
    world.change_catalog(&CatalogChange::DropCollection {
        id: NOTES,
        indexes: vec![super::world::FIELD],
    });
    let late = world.ask(vshard(1), at(put("a", "2"), Durability::Sync));
    let error = late.expect_err("the collection is gone");
    assert!(matches!(error, DataError::NoSuchCollection { .. }), "{error}");
    let ticket = world.send_group(vec![(0, vec![put("b", "1")]), (1, vec![put("a", "3")])]);
    let error = ticket.wait().expect("an answer").expect_err("gone");
    assert!(matches!(error, DataError::NoSuchCollection { .. }), "{error}");
    // Replay skips what was put before the drop (P11).
    let world = world.kill(2);
    let error = world.ask(vshard(1), strong("a")).expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(world.data.catalog().get(NOTES).is_none());
}

#[test]
fn another_tenant_finds_nothing() {
    let world = World::new(1, options(1));
    world.put(0, "a", "1");
    let other = TenantId::new(7);
    for op in [strong("a"), at(put("a", "2"), Durability::Sync)] {
        let deadline = world.deadline();
        let ticket = world
            .data
            .send(other, vshard(0), op, deadline, Priority::Foreground)
            .expect("there is room");
        let error = ticket.wait().expect("an answer").expect_err("not theirs");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[test]
fn a_dead_core_fails_typed_and_leaves_nobody_waiting() {
    let world = World::new(4, options(2));
    world.put(1, "b", "1");
    world.flush(1).expect("flushed");
    let proven = world.data.floors();
    // Core 0 is paused for a group that core 1 will never log.
    let held = world.hold(1);
    let panic = world.send_task(1, Task::Panic);
    let behind = world.send(vshard(1), strong("b"));
    let group = world.send_group(vec![(0, vec![put("a", "1")]), (1, vec![put("b", "2")])]);
    let waits = world.send(vshard(0), strong("a"));
    held.release();
    assert_eq!(panic.wait().expect_err("dropped"), TicketError::Cancelled);
    let died = CoreId::new(1);
    let dead = |answer: crate::Answer| {
        let error = answer.expect_err("the core is dead");
        assert!(matches!(error, DataError::CoreDied { core } if core == died), "{error}");
    };
    dead(behind.wait().expect("an answer"));
    dead(group.wait().expect("an answer"));
    dead(world.ask(vshard(3), Op::Status));
    assert_eq!(value(waits.wait().expect("an answer")), None);
    world.put(0, "a", "2");
    let floors = world.data.floors();
    assert_eq!(floors[1].floors, proven[1].floors, "proofs stay");
    assert!(floors[1].failure.is_some() && floors[0].failure.is_none());
    world.close();
}

#[test]
fn a_dying_core_gives_up_the_group_it_waits_for() {
    let world = World::new(2, options(2));
    let held = world.hold(1);
    let group = world.send_group(vec![(0, vec![put("a", "1")]), (1, vec![put("b", "1")])]);
    let waits = world.send(vshard(0), strong("a"));
    // A task for a core as such; the vshard that it names is not looked at when it is not there.
    let panic = world.send_task_to(0, vshard(9), Task::Panic);
    assert_eq!(panic.wait().expect_err("dropped"), TicketError::Cancelled);
    let error = waits.wait().expect("an answer").expect_err("dead");
    assert!(matches!(error, DataError::CoreDied { .. }), "{error}");
    held.release();
    let error = group.wait().expect("an answer").expect_err("given up");
    assert!(matches!(error, DataError::CoreDied { .. }), "{error}");
    assert_eq!(world.text(1, "b"), None, "nothing of it was logged");
}

/// A group of deletes that find nothing logs nothing, so no append asks for the sync that its answer
/// waits for: after a weak delete the answer came with the next write of somebody else, or never.
#[test]
fn a_group_that_logs_nothing_asks_for_the_sync_of_what_it_rests_on() {
    let world = World::new(2, options(2));
    world.put(0, "a", "1");
    let gone = at(delete("a"), PERIODIC);
    assert!(written(world.ask(vshard(0), gone)).stamp.is_some());
    assert!(world.wal.durable() < world.wal.appended(), "nobody has asked yet");
    let ticket = world.send_group(vec![(0, vec![delete("a")]), (1, vec![delete("b")])]);
    let group = group_written(ticket.wait().expect("an answer"));
    assert_eq!(group.lsns, None);
    assert_eq!(world.wal.durable(), world.wal.appended());
}

/// A core panics while it serves what waited for a vshard. The rest of that queue is dropped with the
/// turn, the visit of a group among it; the vshard that waits for this group on another core must not
/// wait for the group's deadline, which may be hours away.
#[test]
fn a_visit_that_a_panic_drops_gives_its_group_up() {
    let world = World::new(3, options(3));
    let held = world.hold(2);
    let first = world.send_group(vec![(1, vec![put("b", "1")]), (2, vec![put("c", "1")])]);
    // Both wait in the queue of vshard 1, one behind the other.
    let panic = world.send_task_to(1, vshard(1), Task::Panic);
    let far = world.env.clock.now() + Duration::from_hours(1);
    let second =
        world.send_group_until(vec![(0, vec![put("a", "2")]), (1, vec![put("b", "2")])], far);
    let waits = world.send(vshard(0), strong("a"));
    // Core 0 has passed the group on, and core 1 has taken it, once each has answered what came later.
    let busy = world.send_task_to(0, vshard(9), Task::Op(Box::new(strong("a"))));
    assert!(busy.wait().expect("an answer").is_err());
    let busy = world.send_task_to(1, vshard(9), Task::Op(Box::new(strong("a"))));
    assert!(busy.wait().expect("an answer").is_err());
    held.release();
    assert_eq!(panic.wait().expect_err("dropped"), TicketError::Cancelled);
    group_written(first.wait().expect("an answer"));
    assert_eq!(second.wait().expect_err("dropped"), TicketError::Cancelled);
    assert_eq!(value(waits.wait().expect("an answer")), None);
    world.put(0, "a", "3");
}

/// A write that was logged and applied nowhere. Its core may answer nothing more: what it shows would lack a
/// record of the log. The others go on, and whoever opens the database finds the write.
#[test]
fn a_panic_between_append_and_apply_hangs_nobody_and_loses_nothing() {
    let world = World::new(4, options(2));
    world.put(1, "kept", "1");
    let held = world.hold(1);
    let spoiled = world.send_task(1, Task::PanicAfterAppend);
    let write = world.send(vshard(1), Op::Write(put("logged", "1")));
    let behind = world.send(vshard(3), Op::Write(put("behind", "1")));
    let group = world.send_group(vec![(0, vec![put("a", "1")]), (1, vec![put("b", "1")])]);
    let before = world.wal.appended();
    held.release();
    assert_eq!(spoiled.wait().expect_err("dropped"), TicketError::Cancelled);
    assert_eq!(write.wait().expect_err("nobody knows"), TicketError::Cancelled);
    for never_begun in [behind, group] {
        let error = never_begun.wait().expect("an answer").expect_err("dead");
        assert!(matches!(error, DataError::CoreDied { .. }), "{error}");
    }
    for floors in world.data.floors() {
        let named = floors.failure.is_some_and(|failure| failure.contains("core 1"));
        assert_eq!(named, floors.vshard.get() % 2 == 1, "its vshards say so, and no others");
    }
    let logged = world.wal.appended();
    assert_eq!(logged, before.map(Lsn::next), "one record, and nothing behind it");
    world.wal_reaches(logged.expect("a record"));
    world.put(0, "other", "1");
    let world = world.kill(2);
    assert_eq!(world.text(1, "logged").as_deref(), Some("1"));
    assert_eq!(world.text(1, "kept").as_deref(), Some("1"));
    assert_eq!(world.text(0, "other").as_deref(), Some("1"));
    for never_begun in [(3, "behind"), (0, "a"), (1, "b")] {
        assert_eq!(world.text(never_begun.0, never_begun.1), None);
    }
}

/// A put behind the drop of its collection passed the check, was logged at a position above the drop,
/// and was refused by every replay as a record of an unknown collection: nothing could open it again.
#[test]
fn catalog_changes_travel_alone_and_are_checked_one_after_the_other() {
    let world = World::new(2, options(2));
    let catalog = |change| Write { change: Change::Catalog(change), ..put("", "") };
    let send = |writes: &[Write]| {
        let parts = (0..2).map(|id| Part { vshard: vshard(id), writes: writes.to_vec() });
        let group =
            Group { parts: parts.collect(), durability: Durability::Sync, idempotency: None };
        world.data.send_group(TENANT, group, world.deadline())
    };
    let drop_it = CatalogChange::DropCollection { id: DRAWINGS, indexes: Vec::new() };
    let mixed = send(&[catalog(drop_it.clone()), put("a", "1")]);
    assert!(matches!(mixed, Err(DataError::InvalidRequest { .. })));
    let twice = send(&[catalog(drop_it.clone()), catalog(drop_it)]).expect("there is room");
    let error = twice.wait().expect("an answer").expect_err("it is gone the second time");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(world.data.catalog().get(DRAWINGS).is_some(), "nothing of it was done");
    let world = world.kill(1);
    assert!(world.data.catalog().get(DRAWINGS).is_some());
}
