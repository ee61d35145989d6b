//! Killed at random, again and again, with checkpoints and an archive at work.

use crate::harness::Database;
use nodedb_testkit::SeededRandom;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

const ROUNDS: u32 = 25;
const KEYS: u64 = 200;
/// Commands under way: what a kill leaves undecided.
const WINDOW: usize = 32;
const SEED: u64 = 0x6b69_6c6c;

type Model = BTreeMap<String, Value>;

/// One command and what it does to the model once it is done.
struct Command {
    line: String,
    effect: Effect,
}

enum Effect {
    Put(Vec<(String, Value)>),
    Delete(String),
    None,
}

fn command(random: &SeededRandom, number: u64) -> Command {
    let key = || format!("k{}", random.below(KEYS));
    match random.below(100) {
        0..70 => {
            let (key, pad) = (key(), "x".repeat(usize::try_from(random.below(900)).unwrap_or(0)));
            let value = json!({"n": number, "pad": pad});
            let line = json!(["put", "c", key, value.to_string()]).to_string();
            Command { line, effect: Effect::Put(vec![(key, value)]) }
        }
        70..85 => {
            let key = key();
            let line = json!(["delete", "c", key]).to_string();
            Command { line, effect: Effect::Delete(key) }
        }
        85..97 => {
            let value = json!({"batch": number});
            // Distinct keys, which hash to several vshards.
            let first = random.below(KEYS);
            let keys = (0..4).map(|step| format!("k{}", (first + step * 7) % KEYS));
            let puts: Vec<_> = keys.map(|key| (key, value.clone())).collect();
            let operation = |(key, value): &(String, Value)| json!({"put": {"collection": "c", "key": key, "value": value}});
            let batch = Value::from(puts.iter().map(operation).collect::<Vec<_>>());
            let line = json!(["batch", batch.to_string()]).to_string();
            Command { line, effect: Effect::Put(puts) }
        }
        97..99 => Command { line: "checkpoint".to_owned(), effect: Effect::None },
        _ => Command { line: "checkpoint --wait-archive".to_owned(), effect: Effect::None },
    }
}

fn apply(model: &mut Model, effect: Effect) {
    match effect {
        Effect::Put(puts) => model.extend(puts),
        Effect::Delete(key) => drop(model.remove(&key)),
        Effect::None => {}
    }
}

/// Sends commands to a shell and kills it after so many answers. Acknowledged commands are applied to
/// the model; the others, whose outcome is open, are answered in their order.
fn run_until_killed(
    database: &Database,
    model: &mut Model,
    random: &SeededRandom,
) -> VecDeque<Command> {
    let mut shell = database.shell();
    let mut under_way = VecDeque::new();
    let mut number = 0;
    for _ in 0..20 + random.below(400) {
        while under_way.len() < WINDOW {
            number += 1;
            let command = command(random, number);
            shell.send(&command.line);
            under_way.push_back(command);
        }
        let answer = shell.next().expect("an answer");
        acknowledge(model, &mut under_way, &answer);
    }
    shell.child.kill().expect("killed");
    while let Some(answer) = shell.next() {
        acknowledge(model, &mut under_way, &answer);
    }
    shell.child.wait().expect("it is gone");
    under_way
}

fn acknowledge(model: &mut Model, under_way: &mut VecDeque<Command>, answer: &Value) {
    let command = under_way.pop_front().expect("an answer to something");
    if answer["ok"] == true {
        apply(model, command.effect);
    } else {
        assert_eq!(answer["error"]["kind"], "NotFound", "{}: {answer}", command.line);
    }
}

fn stored(database: &Database) -> Model {
    let rows = database.lines(&["export", "c"]).into_iter();
    let row = |row: Value| (row["key"].as_str().expect("a key").to_owned(), row["value"].clone());
    rows.map(row).collect()
}

/// What never happens: an acknowledged write is lost, a rejected one appears, a batch is halved.
#[test]
fn every_acknowledged_write_survives_every_kill_and_nothing_else_appears() {
    let database = Database::with_archive();
    let random = SeededRandom::new(SEED);
    let mut model = Model::new();
    for round in 0..ROUNDS {
        let open = run_until_killed(&database, &mut model, &random);
        let found = stored(&database);
        // Commands are carried out in their order, so a prefix of the open ones was done.
        let mut open = open.into_iter();
        while found != model {
            let command = open.next().unwrap_or_else(|| {
                panic!("seed {SEED:#x}, round {round}: what is stored was never the state")
            });
            apply(&mut model, command.effect);
        }
    }
    assert!(database.json(&["verify"])["ok"] == true);
    database.json(&["checkpoint", "--wait-archive", "--base"]);
    let (archive, into) = (database.archive_url(), database.path("back").display().to_string());
    database.json(&["restore", "--archive", &archive, "--into", &into]);
    let export = |dir: &str| crate::harness::run(&["--dir", dir, "export", "c"]).stdout;
    assert_eq!(export(&into), export(&database.dir().display().to_string()));
}

/// Builds that are to be cut short before the test is content.
const CUT_SHORT: u32 = 3;
const DOCUMENTS: u32 = 6000;

/// A build that a kill has cut short goes on at the next open; nothing of it is seen before it is whole.
#[test]
fn a_killed_index_build_is_completed_by_the_next_open() {
    let database = Database::with_collection();
    let line = |number: u32| json!({"id": number, "v": [number, 1]}).to_string() + "\n";
    let lines: String = (0..DOCUMENTS).map(line).collect();
    let file = database.write("lines", &lines);
    let file = file.to_str().expect("a path");
    database.json(&["import", "c", file, "--key", "id"]);
    let random = SeededRandom::new(SEED);
    let mut cut_short = 0;
    for _ in 0..200 {
        if cut_short == CUT_SHORT {
            break;
        }
        let mut shell = database.shell();
        shell.send("put c last '{\"v\": [-1, 1]}'");
        shell.send("index add c --vector v:2:l2");
        assert_eq!(shell.next().expect("an answer")["ok"], true);
        for _ in 0..random.below(3000) {
            std::thread::yield_now();
        }
        shell.child.kill().expect("killed");
        shell.child.wait().expect("it is gone");
        let mut shell = database.shell();
        let listed = shell.ok("collection list");
        if let Some(state) = listed["collections"][0]["indexes"][0]["state"].as_str() {
            cut_short += u32::from(state == "building");
            check_index(&mut shell);
            shell.ok("index drop c v");
        }
        assert!(shell.end().success());
    }
    assert_eq!(cut_short, CUT_SHORT, "kills come in the middle of builds");
}

fn check_index(shell: &mut crate::harness::Shell) {
    let found = loop {
        shell.send("search c --field v --vector [-1,1] -k 10000 --exact");
        let found = shell.next().expect("an answer");
        if found["ok"] == true {
            break found;
        }
        assert_eq!(found["error"]["kind"], "Busy", "{found}");
    };
    let hits = found["hits"].as_array().expect("hits");
    assert_eq!(hits[0]["key"], "last");
    let keys: Vec<_> =
        hits.iter().skip(1).map(|hit| hit["value"]["id"].as_u64().expect("an id")).collect();
    assert_eq!(keys, (0..u64::from(DOCUMENTS)).collect::<Vec<_>>(), "each once, nearest first");
}
