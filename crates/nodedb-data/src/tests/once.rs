//! Idempotency keys: applied at most once, and answered as the first time.

use super::world::{
    PERIODIC, TENANT, World, at, delete, expecting, group_written, options, put, vshard, written,
};
use crate::{
    Answer, Attempt, DataError, DataOptions, Expect, Group, IdempotencyKey, Op, Part, Priority,
    Ticket, Write,
};
use nodedb_types::{Durability, ErrorKind, TenantId, limits};
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn key(world: &World, name: &str) -> IdempotencyKey {
    issued(name, world.wal.commit_time_ms())
}

fn issued(name: &str, issued_ms: u64) -> IdempotencyKey {
    IdempotencyKey {
        key: name.as_bytes().to_vec().into(),
        issued_ms,
        attempt: Attempt::FirstOrAgain,
    }
}

fn once(write: Write, key: &IdempotencyKey) -> Write {
    Write { idempotency: Some(key.clone()), ..write }
}

fn synced(write: Write) -> Op {
    at(write, Durability::Sync)
}

fn send_group(
    world: &World,
    parts: &[(u16, Vec<Write>)],
    key: &IdempotencyKey,
    durability: Durability,
) -> Ticket<Answer> {
    let parts = parts.iter().cloned();
    let parts = parts.map(|(id, writes)| Part { vshard: vshard(id), writes }).collect();
    let group = Group { parts, durability, idempotency: Some(key.clone()) };
    world.data.send_group(TENANT, group, world.deadline()).expect("there is room")
}

fn answered(ticket: &mut Ticket<Answer>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(pin!(ticket).poll(&mut context), Poll::Ready(_))
}

#[test]
fn a_retry_is_answered_as_its_first_run_and_changes_nothing() {
    let world = World::new(1, options(1));
    let key = key(&world, "k");
    let write = || synced(once(expecting(put("a", "1"), Expect::Absent), &key));
    let first = written(world.ask(vshard(0), write()));
    world.put(0, "a", "2");
    let before = world.wal.appended();
    // Its precondition holds no more, which is not what a retry is asked about.
    assert_eq!(written(world.ask(vshard(0), write())), first);
    assert_eq!(world.wal.appended(), before);
    assert_eq!(world.text(0, "a").as_deref(), Some("2"));
}

#[test]
fn a_refused_write_is_not_remembered() {
    let world = World::new(1, options(1));
    let key = key(&world, "k");
    world.put(0, "a", "1");
    let write = || synced(once(expecting(put("a", "2"), Expect::Absent), &key));
    let error = world.ask(vshard(0), write()).expect_err("a conflict");
    assert!(matches!(error, DataError::Conflict { .. }), "{error}");
    written(world.ask(vshard(0), synced(delete("a"))));
    assert!(written(world.ask(vshard(0), write())).stamp.is_some());
}

/// Who names a write without a time counts it as issued when it is sent.
#[test]
fn a_remembered_key_is_found_by_its_name_alone() {
    let world = World::new(1, options(1));
    let key = key(&world, "k");
    let first = written(world.ask(vshard(0), synced(once(put("a", "1"), &key))));
    let later = IdempotencyKey { issued_ms: key.issued_ms + 1, ..key };
    let again = written(world.ask(vshard(0), synced(once(put("a", "1"), &later))));
    assert_eq!(again.stamp, first.stamp);
}

#[test]
fn another_request_under_the_same_key_is_a_conflict() {
    let world = World::new(2, options(1));
    let key = key(&world, "k");
    written(world.ask(vshard(0), synced(once(put("a", "1"), &key))));
    let others = [
        once(put("a", "2"), &key),
        once(put("b", "1"), &key),
        once(delete("a"), &key),
        once(expecting(put("a", "1"), Expect::Absent), &key),
    ];
    for other in others {
        let error = world.ask(vshard(0), synced(other)).expect_err("another request");
        assert!(matches!(error, DataError::IdempotencyConflict), "{error}");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    let group = [(0, vec![put("a", "1")]), (1, vec![put("a", "1")])];
    let group = send_group(&world, &group, &key, Durability::Sync).wait().expect("an answer");
    let error = group.expect_err("another request");
    assert!(matches!(error, DataError::IdempotencyConflict), "{error}");
    assert_eq!(world.text(1, "a"), None);
    assert_eq!(world.text(0, "a").as_deref(), Some("1"));
}

/// P5: a retry was answered from what was applied and not yet durable.
#[test]
fn a_retry_waits_for_durability_at_its_own_level() {
    let world = World::new(1, options(1));
    let key = key(&world, "k");
    world.faults.hold_syncs("/wal/");
    let write = |level| at(once(put("a", "1"), &key), level);
    let first = written(world.ask(vshard(0), write(PERIODIC)));
    let mut strict = world.send(vshard(0), write(Durability::Sync));
    let weak = written(world.ask(vshard(0), write(Durability::Buffered)));
    assert_eq!(weak, first);
    // The weak one was answered behind it.
    assert!(!answered(&mut strict), "its first run may still be lost");
    world.faults.release_syncs();
    assert_eq!(written(strict.wait().expect("an answer")), first);
}

/// The first run asked for no sync within the hour, so the retry must.
#[test]
fn a_retry_asks_for_the_sync_that_its_first_run_did_not_need() {
    let world = World::new(1, options(1));
    let key = key(&world, "k");
    let first = written(world.ask(vshard(0), at(once(put("a", "1"), &key), PERIODIC)));
    let again = written(world.ask(vshard(0), synced(once(put("a", "1"), &key))));
    assert_eq!(again, first);
    assert!(world.wal.durable() >= first.stamp.map(|stamp| stamp.lsn));
}

#[test]
fn keys_survive_kills_flushes_and_another_number_of_cores() {
    let world = World::new(3, options(2));
    let parts =
        [(0, vec![put("a", "1")]), (1, vec![put("b", "1"), delete("x")]), (2, vec![put("c", "1")])];
    let (single, grouped) = (key(&world, "single"), key(&world, "group"));
    let first = written(world.ask(vshard(1), synced(once(put("s", "1"), &single))));
    let group = group_written(
        send_group(&world, &parts, &grouped, Durability::Sync).wait().expect("an answer"),
    );
    let mut world = world;
    for cores in [1, 3, 2] {
        world.put(0, "a", "changed");
        world.flush(u16::try_from(cores % 3).expect("small")).expect("flushed");
        world = world.kill(u16::try_from(cores).expect("small"));
        let before = world.wal.appended();
        let again = world.ask(vshard(1), synced(once(put("s", "1"), &single)));
        assert_eq!(written(again), first);
        let again = send_group(&world, &parts, &grouped, Durability::Sync);
        assert_eq!(group_written(again.wait().expect("an answer")), group);
        assert_eq!(world.wal.appended(), before);
        assert_eq!(world.text(0, "a").as_deref(), Some("changed"));
    }
}

#[test]
fn a_delete_of_a_missing_key_is_remembered() {
    let world = World::new(2, options(2));
    let (single, grouped) = (key(&world, "single"), key(&world, "group"));
    let write = || synced(once(delete("a"), &single));
    assert_eq!(written(world.ask(vshard(0), write())).stamp, None);
    let parts = [(0, vec![delete("a")]), (1, vec![delete("a")])];
    let send = |world: &World| send_group(world, &parts, &grouped, Durability::Sync);
    let group = group_written(send(&world).wait().expect("an answer"));
    assert_eq!(group.lsns.expect("the keys").count(), 2);
    for id in 0..2 {
        world.put(id, "a", "1");
    }
    let world = world.kill(2);
    assert_eq!(written(world.ask(vshard(0), write())).stamp, None);
    assert_eq!(group_written(send(&world).wait().expect("an answer")), group);
    for id in 0..2 {
        assert_eq!(world.text(id, "a").as_deref(), Some("1"), "a retry deletes nothing");
    }
}

/// The retry comes while the first run still visits its vshards.
#[test]
fn a_retry_of_a_group_in_flight_waits_for_it_and_gets_its_answer() {
    let world = World::new(3, options(3));
    let key = key(&world, "k");
    let parts = [(0, vec![put("a", "1")]), (1, vec![put("b", "1")]), (2, vec![put("c", "1")])];
    let held = world.hold(2);
    let first = send_group(&world, &parts, &key, Durability::Sync);
    let again = send_group(&world, &parts, &key, Durability::Sync);
    held.release();
    let first = group_written(first.wait().expect("an answer"));
    assert_eq!(group_written(again.wait().expect("an answer")), first);
    assert_eq!(first.lsns.expect("records").count(), 6);
}

/// A group that was given up is as if it had never come; its retry is its first run.
#[test]
fn a_group_that_was_given_up_is_not_remembered() {
    let world = World::new(2, options(2));
    let key = key(&world, "k");
    let parts = [(0, vec![put("a", "1")]), (1, vec![expecting(put("b", "1"), Expect::Absent)])];
    world.put(1, "b", "0");
    let refused = send_group(&world, &parts, &key, Durability::Sync);
    assert!(refused.wait().expect("an answer").is_err());
    written(world.ask(vshard(1), synced(delete("b"))));
    let done = send_group(&world, &parts, &key, Durability::Sync);
    group_written(done.wait().expect("an answer"));
    assert_eq!(world.text(0, "a").as_deref(), Some("1"));
}

/// P5: an evicted key applied twice. The oldest key goes, and everything issued up to it is not judged any
/// more, also after a restart and after a flush.
#[test]
fn a_key_that_was_pushed_out_is_never_applied_again() {
    let options = DataOptions { idempotency_keys_max: 3, ..options(1) };
    let mut world = World::new(1, options);
    let now = world.wal.commit_time_ms();
    let write = |n: u64| {
        let name = format!("k{n}");
        synced(once(put(&name, "1"), &issued(&name, now + n)))
    };
    for n in 0..6 {
        written(world.ask(vshard(0), write(n)));
    }
    for _ in 0..2 {
        for n in 0..6 {
            let name = format!("k{n}");
            let again = world.ask(vshard(0), write(n));
            if n < 3 {
                let error = again.expect_err("pushed out");
                let DataError::IdempotencyExpired { issued_ms, horizon_ms } = error else {
                    panic!("{error}");
                };
                assert_eq!((issued_ms, horizon_ms), (now + n, now + 2));
                assert_eq!(error.kind(), ErrorKind::IdempotencyExpired);
            } else {
                assert!(written(again).stamp.is_some(), "{name} is remembered");
            }
        }
        // Never seen, but as old as one that was pushed out.
        let unseen = synced(once(put("u", "1"), &issued("unseen", now + 1)));
        let error = world.ask(vshard(0), unseen).expect_err("not judged");
        assert!(matches!(error, DataError::IdempotencyExpired { .. }), "{error}");
        assert_eq!(world.text(0, "u"), None);
        world.flush(0).expect("flushed");
        world = world.kill(1);
    }
    written(world.ask(vshard(0), write(6)));
}

/// One vshard had pushed the key of a group out and the other had not. A retry without a time of its own
/// counts as issued when it is sent, above the horizon: the one took it for a first run, the other for a
/// retry, and its core ended by an assertion.
#[test]
fn a_group_that_only_some_vshards_remember_is_expired_and_ends_no_core() {
    for forgetting in 0..2 {
        let world = World::new(2, DataOptions { idempotency_keys_max: 1, ..options(2) });
        let first = key(&world, "k");
        let parts = [(0, vec![put("a", "1")]), (1, vec![put("b", "1")])];
        let send = |key: &IdempotencyKey| {
            send_group(&world, &parts, key, Durability::Sync).wait().expect("an answer")
        };
        group_written(send(&first));
        let other = issued("other", first.issued_ms + 1);
        written(world.ask(vshard(forgetting), synced(once(put("x", "1"), &other))));
        let later = IdempotencyKey { issued_ms: first.issued_ms + 2, ..first.clone() };
        for retry in [&first, &later] {
            let error = send(retry).expect_err("pushed out");
            assert!(matches!(error, DataError::IdempotencyExpired { .. }), "{error}");
        }
        for id in 0..2 {
            world.put(id, "alive", "1");
        }
    }
}

/// The first key of a tenant after an open read all that it had, up to 10,000 rows, in one turn. Keys of one
/// time go in the order of their names, and a smaller limit is reached a few at a time.
#[test]
fn keys_are_pushed_out_in_order_whatever_was_opened_in_between() {
    let with = |keys_max| DataOptions { idempotency_keys_max: keys_max, ..options(1) };
    let world = World::new(1, with(200));
    let now = world.wal.commit_time_ms();
    let write = |n: u64| {
        let name = format!("k{n:03}");
        synced(once(put(&name, "1"), &issued(&name, now + n / 4)))
    };
    for n in 0..200 {
        written(world.ask(vshard(0), write(n)));
    }
    world.flush(0).expect("flushed");
    let world = world.kill_with(with(10));
    let first = |world: &World| {
        (0..300).find(|n| world.ask(vshard(0), write(*n)).is_ok()).expect("the latest")
    };
    written(world.ask(vshard(0), write(200)));
    // 64 went for it, the last of which is the last of its time: one more time is too old to be judged.
    assert_eq!(first(&world), 64);
    written(world.ask(vshard(0), write(201)));
    assert_eq!(first(&world), 128);
    let world = world.kill_with(with(10));
    written(world.ask(vshard(0), write(202)));
    assert_eq!(first(&world), 192);
    written(world.ask(vshard(0), write(203)));
    assert_eq!(first(&world), 194);
}

#[test]
fn age_bounds_keys_and_the_limits_of_a_key_are_checked() {
    let world = World::new(1, options(1));
    let now = world.wal.commit_time_ms();
    let ask = |key: &IdempotencyKey| world.ask(vshard(0), synced(once(put("a", "1"), key)));
    let error = ask(&issued("old", now - DAY_MS)).expect_err("a day is over");
    assert_eq!(error.kind(), ErrorKind::IdempotencyExpired);
    let error = ask(&issued("far", now + DAY_MS)).expect_err("too far ahead");
    assert!(matches!(error, DataError::InvalidRequest { .. }), "{error}");
    assert_eq!(world.text(0, "a"), None);
    let longest = "k".repeat(limits::IDEMPOTENCY_BYTES_MAX);
    assert!(ask(&issued(&longest, now)).is_ok());
    for wrong in [String::new(), longest + "k"] {
        let write = synced(once(put("a", "1"), &issued(&wrong, now)));
        let sent =
            world.data.send(TENANT, vshard(0), write, world.deadline(), Priority::Foreground);
        assert!(matches!(sent, Err(DataError::InvalidRequest { .. })));
    }
}

#[test]
fn a_key_belongs_to_its_tenant() {
    let world = World::new(1, options(1));
    let key = key(&world, "k");
    written(world.ask(vshard(0), synced(once(put("a", "1"), &key))));
    let write = synced(once(put("a", "1"), &key));
    let other = TenantId::new(7);
    let sent = world.data.send(other, vshard(0), write, world.deadline(), Priority::Foreground);
    let error = sent.expect("there is room").wait().expect("an answer");
    // Not the answer of another tenant's write.
    assert_eq!(error.expect_err("no such collection").kind(), ErrorKind::NotFound);
}

#[test]
fn keys_are_refused_where_they_mean_nothing() {
    let world = World::new(2, options(1));
    let key = key(&world, "k");
    let parts = vec![Part { vshard: vshard(0), writes: vec![once(put("a", "1"), &key)] }];
    let group = Group { parts, durability: Durability::Sync, idempotency: None };
    let sent = world.data.send_group(TENANT, group, world.deadline());
    assert!(matches!(sent, Err(DataError::InvalidRequest { .. })));
    let change = nodedb_engine::CatalogChange::DropCollection {
        id: super::world::DRAWINGS,
        indexes: Vec::new(),
    };
    let write = Write { change: crate::Change::Catalog(change), ..put("", "") };
    let part = |id| Part { vshard: vshard(id), writes: vec![write.clone()] };
    let group = Group {
        parts: (0..2).map(part).collect(),
        durability: Durability::Sync,
        idempotency: Some(key),
    };
    let sent = world.data.send_group(TENANT, group, world.deadline());
    assert!(matches!(sent, Err(DataError::InvalidRequest { .. })));
}

/// After a failed sync nobody knows whether the first run survives; its retry must not say that it does.
#[test]
fn a_retry_after_poison_does_not_claim_what_may_be_lost() {
    let world = World::new(1, options(1));
    let key = key(&world, "k");
    world.faults.fail_syncs(Some("/wal/"));
    for _ in 0..2 {
        let write = synced(once(put("a", "1"), &key));
        let error = world.ask(vshard(0), write).expect_err("poisoned");
        assert!(matches!(error, DataError::OutcomeUnknown { .. }), "{error}");
    }
}

#[test]
fn a_hundred_retries_from_many_threads_apply_once() {
    let world = World::new(3, options(2));
    let key = key(&world, "k");
    let parts: Vec<_> = (0..3).map(|id| (id, vec![put("a", "1"), delete("a")])).collect();
    let mut answers = Vec::new();
    let (world_ref, parts_ref, key_ref) = (&world, &parts, &key);
    std::thread::scope(|scope| {
        let ask = move || {
            let sent = (0..25).map(|_| send_group(world_ref, parts_ref, key_ref, Durability::Sync));
            let sent: Vec<_> = sent.collect();
            sent.into_iter().map(|ticket| ticket.wait().expect("an answer")).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        for thread in threads {
            answers.extend(thread.join().expect("no panic"));
        }
    });
    let answers: Vec<_> = answers.into_iter().map(group_written).collect();
    assert_eq!(answers.len(), 100);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    // Two writes and a key in each of three vshards, once.
    assert_eq!(answers[0].lsns.expect("records").count(), 9);
    world.plane.close(world.env.clock.now() + Duration::from_mins(1)).expect("closes");
}
