//! Replay after a kill against a model.

use super::world::{NOTES, World, at, delete, options, put, vshard};
use crate::{DataOptions, Op, Write};
use nodedb_types::Durability;
use std::collections::BTreeMap;

/// A small generator, so that a failing run can be repeated by its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

type Model = BTreeMap<(u16, String), String>;

const VSHARDS: u16 = 5;

fn step(chance: &mut Chance, model: &mut Model, round: u64) -> (u16, Write) {
    let id = u16::try_from(chance.below(u64::from(VSHARDS))).expect("small");
    let key = format!("key{}", chance.below(20));
    if chance.below(4) == 0 {
        model.remove(&(id, key.clone()));
        return (id, delete(&key));
    }
    let value = format!("{{\"round\":{round},\"pad\":\"{}\"}}", "x".repeat(500));
    model.insert((id, key.clone()), value.clone());
    (id, put(&key, &value))
}

fn check(world: &World, model: &Model, seed: u64) {
    for id in 0..VSHARDS {
        let expected: Vec<_> = model
            .iter()
            .filter(|((vshard, _), _)| *vshard == id)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(world.scan(id, 7), expected, "vshard {id}, seed {seed}");
    }
}

/// Puts, deletes and groups, flushes now and then, kills in between, with another number of cores at
/// every open.
#[test]
fn replay_after_kills_and_with_other_cores_equals_the_model() {
    for seed in 1..4 {
        let mut chance = Chance(seed);
        let mut model = Model::new();
        let mut world = World::new(VSHARDS, DataOptions { memtable_bytes: 24 << 10, ..options(2) });
        for cores in [3, 1, 5, 2] {
            for round in 0..80 {
                if chance.below(5) == 0 {
                    let mut parts: BTreeMap<u16, Vec<Write>> = BTreeMap::new();
                    for _ in 0..4 {
                        let (id, write) = step(&mut chance, &mut model, round);
                        parts.entry(id).or_default().push(write);
                    }
                    let group = world.send_group(parts.into_iter().collect());
                    assert!(group.wait().expect("an answer").is_ok(), "seed {seed}");
                    continue;
                }
                let (id, write) = step(&mut chance, &mut model, round);
                let levels = [Durability::Sync, Durability::Buffered];
                let level = levels[usize::from(chance.below(2) == 0)];
                assert!(world.ask(vshard(id), at(write, level)).is_ok(), "seed {seed}");
                if chance.below(20) == 0 {
                    world.flush(id).expect("flushed");
                }
            }
            check(&world, &model, seed);
            world = world.kill(cores);
            check(&world, &model, seed);
        }
    }
}

#[test]
fn a_second_replay_of_the_same_log_changes_nothing() {
    let world = World::new(2, options(2));
    world.put(0, "a", "1");
    world.put(1, "b", "1");
    let mut world = world.kill(1);
    let replayed = world.replayed.records;
    assert!(replayed > 0);
    for _ in 0..2 {
        world = world.kill(2);
        assert_eq!(world.replayed.records, replayed);
        assert_eq!(world.text(0, "a").as_deref(), Some("1"));
    }
    let op = Op::Count {
        collection: NOTES,
        filter: None,
        snapshot: world.wal.durable().expect("durable"),
        now_ms: 0,
    };
    assert!(matches!(world.ask(vshard(1), op), Ok(crate::Outcome::Count(1))));
}
