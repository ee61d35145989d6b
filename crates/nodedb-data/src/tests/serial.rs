//! Batches of many callers at once have the effect of one after the other.

use super::world::{
    NOTES, World, delete, expecting, get, group_written, options, put, text, value, vshard,
};
use crate::{Consistency, DataError, Expect, Row};
use nodedb_testkit::SeededRandom;
use nodedb_types::{Lsn, LsnRange};
use std::{collections::BTreeMap, sync::Barrier, thread};

const VSHARDS: u16 = 4;
const CALLERS: u64 = 4;
/// Batches that each caller must get through.
const BATCHES: usize = 40;
/// A few keys on each vshard, so that callers meet.
const KEYS: u64 = 2;

type Key = (u16, String);

/// A batch that was acknowledged: what its caller had read under its keys, and what it left there.
struct Done {
    last: Lsn,
    read: BTreeMap<Key, Option<String>>,
    left: BTreeMap<Key, Option<String>>,
}

/// Two or three keys of different vshards.
fn keys(random: &SeededRandom) -> Vec<Key> {
    let first = random.below(u64::from(VSHARDS));
    let count = 2 + random.below(2);
    let ids = (first..first + count).map(|id| u16::try_from(id).expect("small") % VSHARDS);
    ids.map(|id| (id, format!("k{}", random.below(KEYS)))).collect()
}

fn expected(row: Option<&Row>) -> Expect {
    row.map_or(Expect::Absent, |row| Expect::Stamp(row.stamp))
}

/// Reads keys one after another, then replaces or deletes all of them if none has changed meanwhile.
fn attempt(world: &World, keys: &[Key], mark: &str, random: &SeededRandom) -> Option<Done> {
    let mut parts = Vec::new();
    let (mut read, mut left) = (BTreeMap::new(), BTreeMap::new());
    for (id, key) in keys {
        let row = value(world.ask(vshard(*id), get(NOTES, key, Consistency::Strong)));
        let gone = row.is_some() && random.below(5) == 0;
        let json = format!("\"{mark}\"");
        let write = if gone { delete(key) } else { put(key, &json) };
        parts.push((*id, vec![expecting(write, expected(row.as_ref()))]));
        let place = (*id, key.clone());
        read.insert(place.clone(), row.as_ref().map(text));
        left.insert(place, (!gone).then_some(json));
    }
    match world.send_group(parts).wait().expect("an answer") {
        Err(DataError::Conflict { .. }) => None,
        answer => {
            let last = group_written(answer).lsns.and_then(LsnRange::last);
            Some(Done { last: last.expect("every write is logged"), read, left })
        }
    }
}

fn caller(world: &World, number: u64, begin: &Barrier) -> Vec<Done> {
    let random = SeededRandom::new(number);
    let mut done = Vec::new();
    let mut refused = 0;
    begin.wait();
    while done.len() < BATCHES {
        let mark = format!("{number}.{}.{refused}", done.len());
        match attempt(world, &keys(&random), &mark, &random) {
            Some(batch) => done.push(batch),
            None => refused += 1,
        }
    }
    done
}

/// The order is that of the log. A batch whose precondition held against an older state than the one that
/// the batch before it left, or that saw a part of another, would have read what the model does not hold.
#[test]
fn concurrent_batches_with_preconditions_are_serialisable_and_survive_a_kill() {
    let world = World::new(VSHARDS, options(2));
    let begin = Barrier::new(usize::try_from(CALLERS).expect("small"));
    let mut all: Vec<Done> = thread::scope(|scope| {
        let (world, begin) = (&world, &begin);
        let callers = (0..CALLERS).map(|number| scope.spawn(move || caller(world, number, begin)));
        let callers: Vec<_> = callers.collect();
        let ended = callers.into_iter().map(|caller| caller.join().expect("no panic"));
        ended.flatten().collect()
    });
    all.sort_by_key(|batch| batch.last);
    let mut model: BTreeMap<Key, Option<String>> = BTreeMap::new();
    for batch in &all {
        for (key, read) in &batch.read {
            let held = model.get(key).cloned().flatten();
            assert_eq!(*read, held, "{key:?} of the batch at {}", batch.last);
        }
        model.extend(batch.left.clone());
    }
    assert_eq!(all.len() as u64, CALLERS * BATCHES as u64);
    let world = world.kill(3);
    for ((id, key), held) in model {
        assert_eq!(world.text(id, &key), held, "{key} of vshard {id}");
    }
}
