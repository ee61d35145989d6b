//! Expiry (protocol rule P7): hidden at once, deleted by the sweeper, and never by a wrong clock.
use super::world::{
    FIELD, NOTES, World, delete, effective, expecting, get, options, put, put_vector, text, value,
    vshard, written,
};
use crate::{Change, Consistency, DataError, DataOptions, Expect, Op, Outcome, Search, Write};
use nodedb_engine::Metric;
use std::time::Duration;

/// The write, to expire at a time of the commit clock.
fn until(mut write: Write, time: u64) -> Op {
    if let Change::Put { expires, .. } = &mut write.change {
        *expires = Some(time);
    }
    Op::Write(write)
}

impl<R> World<R> {
    /// The sweeper goes to work at the end of every turn: once this is back, one turn has ended that
    /// began after the call.
    fn take_turns(&self) {
        for _ in 0..2 {
            self.status(0);
        }
    }
}

impl World {
    fn hits(&self) -> usize {
        let search = Search {
            collection: NOTES,
            index: FIELD,
            vector: vec![0.0, 0.0],
            metric: Metric::L2,
            k: 10,
            filter: None,
            effort: crate::Effort::Usual,
        };
        match self.ask(vshard(0), Op::Search(search)).expect("found") {
            Outcome::Hits(hits) => hits.len(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_expired_document_is_absent_for_reads_and_for_expectations() {
    let world = World::new(1, options(1));
    let past = world.data.commit_ms();
    let later = past + 3_600_000;
    written(world.ask(vshard(0), until(put("gone", "1"), past)));
    written(world.ask(vshard(0), until(put("here", "1"), later)));
    assert_eq!(world.text(0, "gone"), None);
    assert_eq!(world.text(0, "here").as_deref(), Some("1"));
    let keys: Vec<_> = world.scan(0, 10).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["here"]);
    let gone = written(world.ask(vshard(0), Op::Write(delete("gone"))));
    assert_eq!(gone.stamp, None);
    let absent = |key| Op::Write(expecting(put(key, "2"), Expect::Absent));
    let refused = world.ask(vshard(0), absent("here"));
    assert!(matches!(refused, Err(DataError::Conflict { .. })), "{refused:?}");
    written(world.ask(vshard(0), absent("gone")));
    world.take_turns();
    // Written again without a time: the entry of the first put deletes nothing.
    assert_eq!(world.text(0, "gone").as_deref(), Some("2"));
}

/// What hides a document does not free what indexes hold of it; the logged delete does.
#[test]
fn the_sweeper_logs_deletes_that_take_index_entries_along() {
    let world = World::new(1, options(1));
    let past = world.data.commit_ms();
    for key in ["a", "b", "c"] {
        let write = put_vector(key, "1", Some(vec![1.0, 1.0]));
        written(world.ask(vshard(0), until(write, past)));
    }
    world.put(0, "kept", "1");
    world.take_turns();
    let last = world.status(0).applied.expect("written");
    world.wal.request_sync(last);
    world.wal_reaches(last);
    assert_eq!(world.hits(), 0);
    let eventual = get(NOTES, "a", Consistency::Eventual);
    assert_eq!(value(world.ask(vshard(0), eventual)), None);
    // The deletes are records like others: three puts, three deletes and a put.
    let world = world.kill(1);
    assert_eq!(world.status(0).applied, Some(last));
    assert_eq!(world.hits(), 0);
    assert_eq!(text(&world.get(0, "kept").expect("there")), "1");
}

#[test]
fn many_expired_documents_are_swept_over_many_turns_and_after_a_reopen() {
    let world = World::new(1, options(1));
    let soon = world.data.commit_ms() + 200;
    for n in 0..150 {
        let write = put_vector(&format!("k{n:03}"), "1", Some(vec![1.0, 1.0]));
        written(world.ask(vshard(0), until(write, soon)));
    }
    world.flush(0).expect("flushed");
    let world = world.kill(1);
    let deadline = world.deadline();
    while world.hits() > 0 {
        assert!(world.env.clock.now() < deadline, "the sweeper ends");
    }
    assert_eq!(world.scan(0, 10), []);
    world.flush(0).expect("flushed");
    let world = world.kill(1);
    assert_eq!(world.scan(0, 10), []);
    assert_eq!(world.hits(), 0);
    world.close();
}

#[test]
fn the_sweeper_halts_where_the_clock_has_gone_too_far() {
    let world = World::new(1, options(1));
    let soon = world.data.commit_ms() + 1;
    written(world.ask(vshard(0), until(put("a", "1"), soon + 600_000)));
    let world = world.kill(1);
    assert_eq!(world.data.expiry_halted(), None);
    // Any time between the last write and this open is more than such a limit allows.
    let mut strict = options(1);
    strict.clock_jump_max = Duration::ZERO;
    let left = world.die();
    let world = World::open(left, 1, strict, Vec::new()).expect("opens");
    let past = world.data.commit_ms() - 1;
    written(world.ask(vshard(0), until(put("b", "1"), past)));
    let before = world.status(0).applied;
    world.take_turns();
    let reason = world.data.expiry_halted().expect("halted");
    assert!(reason.contains("the clock went forward"), "{reason}");
    assert_eq!(world.status(0).applied, before);
    assert_eq!(world.text(0, "b"), None);
    world.close();
}

/// Each slice of a count asked the clock again, and so did each vshard: what expired meanwhile was counted in
/// one half of the collection and not in the other.
#[test]
fn a_count_and_statistics_judge_expiry_by_the_time_that_they_are_given() {
    let world = World::new(1, options(1));
    let later = world.data.commit_ms() + 3_600_000;
    for n in 0..10 {
        written(world.ask(vshard(0), until(put(&format!("k{n}"), "1"), later + n)));
    }
    let snapshot = world.wal.durable().expect("durable");
    for (now_ms, left) in [(0, 10), (later - 1, 10), (later, 9), (later + 8, 1), (later + 9, 0)] {
        let op = Op::Count { collection: NOTES, filter: None, snapshot, now_ms };
        let Ok(Outcome::Count(count)) = world.ask(vshard(0), op) else { panic!("a count") };
        assert_eq!(count, left);
        let op = Op::Statistics { collection: NOTES, snapshot, now_ms };
        let Ok(Outcome::Statistics(found)) = world.ask(vshard(0), op) else { panic!("counted") };
        assert_eq!(found.documents, left);
    }
}

/// Taking an entry off the list of times is not logged, so a vshard that was flushed above all that it had
/// applied was dirty again at a record below its floor. A flush for the sake of memory then froze at what was
/// applied: a floor that falls, refused by a panic, and no flush of the vshard after it.
#[test]
fn entries_are_forgotten_behind_a_flush_above_all_that_was_applied() {
    // So much that the entries of one slice of the sweeper fill half of it and not all.
    let bytes = 8 << 10;
    let few = DataOptions { memtable_bytes: bytes, memory_bytes_max: bytes, ..options(1) };
    let world = World::start(World::new_disk(2), 2, few);
    let soon = world.data.commit_ms() + 1_000;
    for n in 0..32 {
        let key = format!("k{n:02}");
        written(world.ask(vshard(0), until(put(&key, "1"), soon)));
        // It stays, and its entry in the list leads nowhere.
        world.put(0, &key, "2");
        world.flush(0).expect("flushed");
    }
    // The log goes on elsewhere, and with it the barrier.
    world.put(0, "last", "1");
    world.put(1, "elsewhere", "1");
    let before = world.status(0).applied;
    let floor = effective(&world.flush(0).expect("flushed"));
    assert!(floor.iter().all(|floor| *floor > before), "{floor:?}");
    world.advance(Duration::from_secs(2));
    world.take_turns();
    assert_eq!(world.status(0).applied, before, "nothing was deleted");
    let flushed = world.flush(0).expect("flushed");
    assert_eq!(flushed.failure, None);
    assert!(effective(&flushed) >= floor, "floors never fall");
    assert_eq!(world.text(0, "k00").as_deref(), Some("2"));
    world.close();
}
