//! When answers are given, and what they may rest on.

use super::world::{
    DRAWINGS, FIELD, NOTES, PERIODIC, World, at, delete, expecting, get, options, put, put_vector,
    text, value, vshard, written,
};
use crate::{Answer, Consistency, DataError, Expect, Op, Outcome, Search, Ticket, TicketError};
use nodedb_engine::Metric;
use nodedb_types::{Durability, ErrorKind, Stamp};
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

/// The answer, if it is there. The ticket is given back otherwise.
fn try_answer(ticket: Ticket<Answer>) -> Result<Result<Answer, TicketError>, Ticket<Answer>> {
    let mut ticket = ticket;
    let mut context = Context::from_waker(Waker::noop());
    match pin!(&mut ticket).poll(&mut context) {
        Poll::Ready(answer) => Ok(answer),
        Poll::Pending => Err(ticket),
    }
}

/// Asserts that the core has served a request and still holds its answer back. A status asked behind
/// it shows that its turn has passed.
fn parked(world: &World, ticket: Ticket<Answer>) -> Ticket<Answer> {
    world.status(0);
    try_answer(ticket).expect_err("the answer waits for the log")
}

fn strong(key: &str) -> Op {
    get(NOTES, key, Consistency::Strong)
}

#[test]
fn a_sync_write_is_seen_once_it_is_acknowledged_and_not_before() {
    let world = World::new(1, options(1));
    world.put(0, "a", "1");
    world.faults.hold_syncs("/wal/");
    let write = world.send(vshard(0), at(put("a", "2"), Durability::Sync));
    let write = parked(&world, write);
    // The snapshot at `durable` answers at once, with the old value.
    assert_eq!(world.text(0, "a").as_deref(), Some("1"));
    let row = world.get_from(0, NOTES, "a", Consistency::Eventual);
    assert_eq!(text(&row.expect("applied")), "2");
    world.faults.release_syncs();
    written(write.wait().expect("an answer"));
    assert_eq!(world.text(0, "a").as_deref(), Some("2"));
}

/// P6: `put` acknowledged as `Buffered`, then a strong `get` must not show the old value.
#[test]
fn a_buffered_acknowledgement_is_seen_by_a_strong_get() {
    let world = World::new(1, options(1));
    world.put(0, "a", "1");
    world.faults.hold_syncs("/wal/");
    let write = at(put("a", "2"), Durability::Buffered);
    written(world.ask(vshard(0), write));
    let read = parked(&world, world.send(vshard(0), strong("a")));
    // Another key of that vshard waits as well; another write would be judged by it.
    world.faults.release_syncs();
    let row = value(read.wait().expect("an answer"));
    assert_eq!(text(&row.expect("it was acknowledged")), "2");
}

#[test]
fn a_periodic_acknowledgement_comes_at_once_and_a_strong_get_asks_for_the_sync() {
    let world = World::new(1, options(1));
    world.faults.hold_syncs("/wal/");
    let stamp = world.put_weak(0, "a", "1").stamp.expect("logged");
    let read = parked(&world, world.send(vshard(0), strong("a")));
    world.faults.release_syncs();
    assert!(value(read.wait().expect("an answer")).is_some());
    assert!(world.wal.durable() >= Some(stamp.lsn), "nobody else asked");
}

#[test]
fn a_scan_snapshot_holds_what_was_acknowledged_weakly() {
    let world = World::new(2, options(2));
    world.put_weak(0, "a", "1");
    world.put_weak(1, "b", "1");
    assert_eq!(world.scan(0, 10), [("a".to_owned(), "1".to_owned())]);
    assert_eq!(world.scan(1, 10), [("b".to_owned(), "1".to_owned())]);
}

#[test]
fn a_conflict_waits_until_what_it_rests_on_is_durable() {
    let world = World::new(1, options(1));
    world.faults.hold_syncs("/wal/");
    let found = world.put_weak(0, "a", "1").stamp;
    let conflict = at(expecting(put("a", "2"), Expect::Absent), Durability::Sync);
    let conflict = parked(&world, world.send(vshard(0), conflict));
    let missing = parked(&world, world.send(vshard(0), at(delete("b"), Durability::Sync)));
    world.faults.release_syncs();
    let error = conflict.wait().expect("an answer").expect_err("a conflict");
    let DataError::Conflict { found: seen } = error else {
        panic!("{error}");
    };
    assert_eq!(seen, found);
    assert_eq!(written(missing.wait().expect("an answer")).stamp, None);
}

#[test]
fn a_precondition_holds_or_changes_nothing() {
    let world = World::new(1, options(1));
    let first = world.put(0, "a", "1").stamp.expect("logged");
    let before = world.wal.appended();
    let stale = Stamp { lsn: first.lsn.next(), ..first };
    for wrong in [Expect::Absent, Expect::Stamp(stale)] {
        let write = at(expecting(put("a", "2"), wrong), Durability::Sync);
        let error = world.ask(vshard(0), write).expect_err("a conflict");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    assert_eq!(world.wal.appended(), before, "what is refused is never logged");
    let write = expecting(put("a", "2"), Expect::Stamp(first));
    let second = written(world.ask(vshard(0), at(write, Durability::Sync)));
    let second = second.stamp.expect("logged");
    let write = expecting(delete("a"), Expect::Stamp(second));
    assert!(written(world.ask(vshard(0), at(write, Durability::Sync))).stamp.is_some());
    let write = expecting(put("a", "3"), Expect::Absent);
    assert!(written(world.ask(vshard(0), at(write, Durability::Sync))).stamp.is_some());
}

#[test]
fn a_search_waits_for_what_it_has_seen_and_asks_for_the_sync() {
    let world = World::new(1, options(1));
    world.faults.hold_syncs("/wal/");
    let write = at(put_vector("a", "{}", Some(vec![1.0, 2.0])), PERIODIC);
    written(world.ask(vshard(0), write));
    let search = Op::Search(Search {
        collection: NOTES,
        index: FIELD,
        vector: vec![1.0, 2.0],
        metric: Metric::L2,
        k: 3,
        filter: None,
        effort: crate::Effort::Usual,
    });
    let search = parked(&world, world.send(vshard(0), search));
    world.faults.release_syncs();
    let Ok(Outcome::Hits(hits)) = search.wait().expect("an answer") else {
        panic!("hits");
    };
    assert_eq!(hits.len(), 1);
}

#[test]
fn after_poison_what_needs_more_than_durable_fails_and_the_rest_is_answered() {
    let world = World::new(2, options(2));
    world.put(0, "a", "1");
    world.put(1, "b", "1");
    let doc = nodedb_crdt::CrdtDocument::new();
    let update = doc.edit(1, |doc| doc.get_text("t").insert(0, "x")).expect("an edit");
    world.faults.hold_syncs("/wal/");
    world.put_weak(0, "weak", "1");
    let merge = Op::CrdtMerge {
        collection: DRAWINGS,
        key: "d".into(),
        update: update.into(),
        durability: PERIODIC,
    };
    assert!(world.ask(vshard(0), merge).is_ok());
    assert_eq!(world.status(0).crdt_documents, 1);
    let lost = world.send(vshard(0), at(put("a", "2"), Durability::Sync));
    let read = world.send(vshard(0), strong("weak"));
    let group = world.send_group(vec![(0, vec![put("g", "1")]), (1, vec![put("g", "1")])]);
    let (lost, read) = (parked(&world, lost), parked(&world, read));
    world.faults.fail_syncs(Some("/wal/"));
    world.faults.release_syncs();
    let error = lost.wait().expect("an answer").expect_err("poisoned");
    assert!(matches!(error, DataError::OutcomeUnknown { .. }), "{error}");
    let error = read.wait().expect("an answer").expect_err("poisoned");
    assert!(matches!(error, DataError::Poisoned { .. }), "{error}");
    let error = group.wait().expect("an answer").expect_err("poisoned");
    assert_eq!(error.kind(), ErrorKind::Poisoned);
    // New writes are refused without a trace; what is durable is still read.
    let before = world.wal.appended();
    let error = world.ask(vshard(1), at(put("b", "2"), Durability::Sync));
    assert_eq!(error.expect_err("poisoned").kind(), ErrorKind::Poisoned);
    assert_eq!(world.wal.appended(), before);
    assert_eq!(world.status(0).crdt_documents, 0, "it held what may be lost");
    let error = world.ask(vshard(0), strong("weak")).expect_err("poisoned");
    assert_eq!(error.kind(), ErrorKind::Poisoned);
    let error = world.data.snapshot_for_scan(world.deadline());
    assert_eq!(error.expect_err("poisoned").kind(), ErrorKind::Poisoned);
}

/// The other vshard acknowledged nothing weakly, so its reads at `durable` go on.
#[test]
fn after_poison_a_vshard_without_weak_acknowledgements_is_read_as_before() {
    let world = World::new(2, options(2));
    world.put(0, "a", "1");
    world.faults.fail_syncs(Some("/wal/"));
    let error = world.ask(vshard(0), at(put("a", "2"), Durability::Sync));
    assert_eq!(error.expect_err("poisoned").kind(), ErrorKind::Poisoned);
    assert_eq!(world.text(0, "a").as_deref(), Some("1"));
    let eventual = world.get_from(0, NOTES, "a", Consistency::Eventual);
    assert_eq!(text(&eventual.expect("applied")), "2");
}

#[test]
fn what_does_not_fit_into_the_log_is_refused_before_anything_is_logged() {
    let world = World::new(2, options(2));
    let before = world.wal.appended();
    let huge = "x".repeat(world.wal.group_bytes_max());
    let error = world.ask(vshard(0), at(put("a", &huge), Durability::Sync));
    let error = error.expect_err("too large");
    assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let half = "x".repeat(world.wal.group_bytes_max() / 2);
    let ticket = world.send_group(vec![(0, vec![put("a", &half)]), (1, vec![put("b", &half)])]);
    let error = ticket.wait().expect("an answer").expect_err("too large");
    assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
    assert_eq!(world.wal.appended(), before);
    assert_eq!((world.text(0, "a"), world.text(1, "b")), (None, None));
    world.put(0, "a", "1");
}

#[test]
fn a_deadline_that_has_passed_has_no_effect() {
    let world = World::new(1, options(1));
    let held = world.hold(0);
    let past = world.env.clock.now();
    let write = at(put("a", "1"), Durability::Sync);
    let late = world
        .data
        .send(super::world::TENANT, vshard(0), write, past, crate::Priority::Foreground)
        .expect("there is room");
    held.release();
    assert_eq!(late.wait().expect_err("too late"), TicketError::Timeout);
    assert_eq!(world.text(0, "a"), None);
}

#[test]
fn closing_serves_what_waits_and_refuses_what_comes() {
    let world = World::new(2, options(2));
    let held = world.hold(0);
    let write = world.send(vshard(0), at(put("a", "1"), Durability::Sync));
    let weak = world.send(vshard(0), at(put("b", "1"), PERIODIC));
    let group = world.send_group(vec![(0, vec![put("c", "1")]), (1, vec![put("c", "1")])]);
    held.release();
    let (data, root) = (world.data.clone(), world.root);
    world.plane.close(world.env.clock.now() + std::time::Duration::from_mins(1)).expect("closes");
    written(write.wait().expect("an answer"));
    written(weak.wait().expect("an answer"));
    // It was served or given up, as a whole.
    let group = group.wait().expect("an answer").is_ok();
    let late = data.send(
        super::world::TENANT,
        vshard(0),
        Op::Status,
        std::time::Duration::MAX,
        crate::Priority::Foreground,
    );
    assert!(matches!(late, Err(DataError::Closed)));
    drop((data, world.data));
    drop(world.wal);
    let world = World::open(root, 2, options(1), Vec::new()).expect("opens");
    assert_eq!(world.text(0, "b").as_deref(), Some("1"));
    for id in 0..2 {
        assert_eq!(world.text(id, "c").is_some(), group);
    }
}
