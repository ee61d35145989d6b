//! Retries after a crash at every change of a simulated disk, with flushes and evictions in between.

use super::{
    machine::Machine,
    world::{TENANT, World, at, delete, options, put, vshard},
};
use crate::{Answer, Attempt, DataError, DataOptions, Group, IdempotencyKey, Part, Write};
use nodedb_engine::Redo;
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, ErrorKind};
use std::ops::Range;

const VSHARDS: u16 = 2;
/// So few that the script pushes some out: of the first vshard alone, of the second alone, of both.
const KEYS_MAX: usize = 3;
/// More changes of the disk than the script makes.
const CHANGES_MAX: u64 = 2_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    Request(usize),
    Flush(u16),
}

const SCRIPT: [Step; 13] = [
    Step::Request(0),
    Step::Request(1),
    Step::Flush(0),
    Step::Request(2),
    Step::Flush(1),
    Step::Request(3),
    Step::Request(4),
    Step::Flush(0),
    Step::Request(5),
    Step::Request(6),
    Step::Flush(1),
    Step::Request(7),
    Step::Flush(0),
];

/// The vshards of each request.
const REQUESTS: [&[u16]; 8] = [&[0], &[0, 1], &[0], &[0], &[0, 1], &[1], &[1], &[1]];

fn key(request: usize) -> IdempotencyKey {
    // The simulated clocks stand at the beginning of 2026.
    let issued_ms = 1_767_225_600_000 + request as u64;
    IdempotencyKey {
        key: format!("once {request}").into(),
        issued_ms,
        attempt: Attempt::FirstOrAgain,
    }
}

fn ask(world: &World<Machine>, request: usize, value: &str) -> Answer {
    let name = format!("k{request}");
    let single = |write: Write| Write { idempotency: Some(key(request)), ..write };
    let sent = match REQUESTS[request] {
        [id] => world.send(vshard(*id), at(single(put(&name, value)), Durability::Sync)),
        ids => {
            let writes = || vec![put(&name, value), delete("nothing")];
            let part = |id: &u16| Part { vshard: vshard(*id), writes: writes() };
            let parts = ids.iter().map(part).collect();
            let idempotency = Some(key(request));
            let group = Group { parts, durability: Durability::Sync, idempotency };
            world.data.send_group(TENANT, group, world.deadline()).expect("there is room")
        }
    };
    sent.wait().expect("an answer")
}

fn value(request: usize) -> String {
    format!("\"value of {request}\"")
}

/// Plays the script until the disk is dead. Its answers, and whether it came to its end.
fn play(world: &World<Machine>) -> (Vec<Answer>, bool) {
    let mut answers = Vec::new();
    for step in SCRIPT {
        match step {
            Step::Flush(id) => {
                if world.flush(id).is_err() {
                    return (answers, false);
                }
            }
            Step::Request(request) => {
                let answer = loop {
                    match ask(world, request, &value(request)) {
                        // The next file of the log is not prepared yet.
                        Err(error) if error.kind() == ErrorKind::Busy => {}
                        answer => break answer,
                    }
                };
                let dead = matches!(&answer, Err(error) if error.kind() == ErrorKind::Poisoned);
                answers.push(answer);
                if dead {
                    return (answers, false);
                }
            }
        }
    }
    (answers, true)
}

/// Whether a vshard has pushed a request's key out when so many requests were done.
fn forgotten(request: usize, id: u16, done: usize) -> bool {
    let behind: Range<usize> = request + 1..done;
    behind.filter(|other| REQUESTS[*other].contains(&id)).count() >= KEYS_MAX
}

fn forgotten_anywhere(request: usize, done: usize) -> bool {
    REQUESTS[request].iter().any(|id| forgotten(request, *id, done))
}

/// In how many vshards each request was logged.
fn logged(world: &World<Machine>) -> Vec<(usize, usize)> {
    let redos = world.logged();
    let keys = |name: &[u8]| {
        let is = |redo: &&Redo| matches!(redo, Redo::Idempotency(redo) if redo.key == name);
        redos.iter().filter(is).count()
    };
    let puts = |name: &[u8]| {
        let is = |redo: &&Redo| matches!(redo, Redo::Put { key, .. } if key == name);
        redos.iter().filter(is).count()
    };
    let counts = |request: usize| (keys(&key(request).key), puts(format!("k{request}").as_bytes()));
    (0..REQUESTS.len()).map(counts).collect()
}

/// How many requests the log holds: each whole, and none without those before it.
fn done(world: &World<Machine>) -> usize {
    let logged = logged(world);
    let whole = |(request, count): (usize, &(usize, usize))| {
        let parts = REQUESTS[request].len();
        assert!([(0, 0), (parts, parts)].contains(count), "request {request}: {count:?}");
        count.0 > 0
    };
    let done: Vec<_> = logged.iter().enumerate().map(whole).collect();
    assert!(done.is_sorted_by_key(|done| !done), "{done:?}");
    done.iter().filter(|done| **done).count()
}

fn assert_expired(answer: &Answer) {
    assert!(matches!(answer, Err(DataError::IdempotencyExpired { .. })), "{answer:?}");
}

/// What a crash leaves: everything acknowledged, and after the retry of everything each request is there
/// once, with the answer of its first run.
fn assert_image(disk: SimFiles, first: &[Answer]) {
    let world = World::start(disk, VSHARDS, bounded());
    let before = done(&world);
    let acknowledged = first.iter().filter(|answer| answer.is_ok()).count();
    assert!(before >= acknowledged, "{before} of {acknowledged} acknowledged ones");
    let (again, ended) = play(&world);
    assert!(ended, "the disk is sound");
    for (request, answer) in again.iter().enumerate() {
        if request < before && forgotten_anywhere(request, before) {
            assert_expired(answer);
            continue;
        }
        let answer = answer.as_ref().expect("done, or done before");
        if let Some(Ok(first)) = first.get(request) {
            assert_eq!(format!("{answer:?}"), format!("{first:?}"), "request {request}");
        }
    }
    assert_eq!(done(&world), REQUESTS.len());
    assert_settled(&world, &again);
}

/// Every request was done: retries are answered as before or refused, and change nothing.
fn assert_settled(world: &World<Machine>, again: &[Answer]) {
    let all = REQUESTS.len();
    let appended = world.wal.appended();
    for request in 0..all {
        let retry = ask(world, request, &value(request));
        if forgotten_anywhere(request, all) {
            assert_expired(&retry);
        } else {
            assert_eq!(format!("{retry:?}"), format!("{:?}", again[request]));
        }
        let other = ask(world, request, "\"another value\"");
        if forgotten(request, REQUESTS[request][0], all) {
            assert_expired(&other);
        } else {
            assert!(matches!(other, Err(DataError::IdempotencyConflict)), "{other:?}");
        }
        for id in REQUESTS[request] {
            let text = world.text(*id, &format!("k{request}"));
            assert_eq!(text, Some(value(request)), "request {request} in vshard {id}");
        }
    }
    assert_eq!(world.wal.appended(), appended, "a retry changes nothing");
}

fn bounded() -> DataOptions {
    DataOptions { idempotency_keys_max: KEYS_MAX, ..options(2) }
}

/// P5, at every change of the disk while requests are logged, flushed and pushed out.
#[test]
fn a_retry_after_a_crash_at_any_change_of_the_disk_is_applied_once() {
    let disk = World::new_disk(VSHARDS);
    for changes in 0..CHANGES_MAX {
        let world = World::start(disk.crash_keeping_all(), VSHARDS, bounded());
        world.root.disk.crash_after(changes);
        let (first, ended) = play(&world);
        let images = world.images();
        drop(world);
        for image in images {
            assert_image(image, &first);
        }
        if ended {
            assert!(changes > 50, "{changes} changes in all");
            return;
        }
    }
    panic!("the script ends");
}
