//! Random histories against a map: flushes, merges, kills, snapshots, on both stores.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use nodedb_document::{DocumentEngine, ReadAt};
use nodedb_engine::{DurableLog, Engine, Frozen, Snapshot};
use nodedb_types::Lsn;
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};
use world::{Bench, compact, delete, get, lsn, put, scan};

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Sync,
    Flush,
    /// A flush that is persisted but never installed before the kill.
    FlushAndKill,
    Compact,
    Kill,
    Open,
    Close,
    Check,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..12_u8, any::<u8>()).prop_map(|(key, size)| Step::Put(key, size)),
        5 => (0..12_u8).prop_map(Step::Delete),
        3 => Just(Step::Sync),
        3 => Just(Step::Flush),
        1 => Just(Step::FlushAndKill),
        2 => Just(Step::Compact),
        1 => Just(Step::Kill),
        2 => Just(Step::Open),
        2 => Just(Step::Close),
        2 => Just(Step::Check),
    ]
}

struct Model {
    bench: Bench,
    engine: DocumentEngine,
    /// The log: what each record wrote, from record 1 on.
    history: Vec<(u8, Option<String>)>,
    open: Vec<Snapshot>,
}

fn key(key: u8) -> String {
    format!("key{key:02}")
}

impl Model {
    fn new(bench: Bench) -> Self {
        Self { engine: bench.create(), bench, history: Vec::new(), open: Vec::new() }
    }

    fn last(&self) -> u64 {
        self.history.len() as u64
    }

    fn apply(&mut self, at: usize) {
        let (row, value) = &self.history[at];
        match value {
            Some(value) => put(&mut self.engine, at as u64 + 1, &key(*row), value),
            None => delete(&mut self.engine, at as u64 + 1, &key(*row)),
        }
    }

    fn write(&mut self, row: u8, value: Option<String>) {
        self.history.push((row, value));
        self.apply(self.history.len() - 1);
    }

    /// What is there after the first `records` of the log.
    fn expected(&self, records: u64) -> String {
        let mut rows = BTreeMap::new();
        for (row, value) in self.history.iter().take(usize::try_from(records).expect("small")) {
            match value {
                Some(value) => rows.insert(*row, value),
                None => rows.remove(row),
            };
        }
        let text = rows.iter().map(|(row, value)| format!("{}={value}", key(*row)));
        text.collect::<Vec<_>>().join(" ")
    }

    fn check(&self) {
        assert_eq!(scan(&self.engine, ReadAt::Latest), self.expected(self.last()));
        for snapshot in &self.open {
            let position = snapshot.lsn();
            let at = ReadAt::Snapshot(position);
            let expected = self.expected(position.get());
            assert_eq!(scan(&self.engine, at), expected, "at {position}");
            for row in 0..12 {
                let value = get(&self.engine, &key(row), at);
                let text = value.map(|value| format!("{}={value}", key(row)));
                let found = expected.split(' ').find(|text| text.starts_with(&key(row)));
                assert_eq!(text.as_deref(), found, "at {position}");
            }
        }
        if let Some(durable) = self.bench.log.durable() {
            let expected = self.expected(durable.get());
            assert_eq!(scan(&self.engine, ReadAt::Snapshot(durable)), expected);
        }
    }

    /// Answers the persisted part, not installed. Closes the snapshots that would hold it up.
    fn persist(&mut self) -> Option<nodedb_document::PersistedDocuments> {
        let frozen = self.engine.freeze(lsn(self.last().max(1)))?;
        // Written between freeze and install.
        self.write(3, Some("meanwhile".to_owned()));
        self.check();
        let watermark = frozen.watermark();
        self.open.retain(|snapshot| snapshot.lsn() >= watermark);
        Some(frozen.persist(&*self.bench.log).expect("persisted"))
    }

    /// What is not durable is lost, and its positions are used again.
    fn kill(&mut self) {
        self.open.clear();
        let durable = self.bench.log.durable().map_or(0, Lsn::get);
        self.history.truncate(usize::try_from(durable).expect("small"));
        // The old engine is still open while the new one loads: nothing may depend on its end.
        self.engine = self.bench.load().expect("loaded");
        let floor = self.engine.flushed().floor().map_or(0, Lsn::get);
        for at in usize::try_from(floor).expect("small")..self.history.len() {
            self.apply(at);
        }
        self.check();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Put(row, size) => {
                let value = format!("{}-{}", self.last() + 1, "x".repeat(usize::from(*size) * 8));
                self.write(*row, Some(value));
            }
            Step::Delete(row) => self.write(*row, None),
            Step::Sync => self.bench.log.set_durable(self.last()),
            Step::Flush => {
                if let Some(persisted) = self.persist() {
                    self.engine.install(persisted);
                }
            }
            Step::FlushAndKill => {
                drop(self.persist());
                self.kill();
            }
            Step::Compact => compact(&mut self.engine),
            Step::Kill => self.kill(),
            Step::Open => {
                let registry = Arc::clone(&self.bench.ports.snapshots);
                self.open.extend(registry.register(|| self.bench.log.durable()));
            }
            Step::Close => drop(self.open.pop()),
            Step::Check => self.check(),
        }
    }

    fn run(mut self, steps: &[Step]) {
        for step in steps {
            self.step(step);
        }
        self.check();
        self.bench.verify().expect("whole");
        self.kill();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tables_agree_with_a_map(steps in prop::collection::vec(step(), 1..120)) {
        Model::new(Bench::new()).run(&steps);
    }

    #[test]
    fn plain_tables_agree_with_a_map(steps in prop::collection::vec(step(), 1..200)) {
        Model::new(Bench::plain()).run(&steps);
    }
}
