//! Random appends, syncs, truncations, kills and power cuts against a model.

use crate::world::{Log, options};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, Lsn};
use proptest::prelude::*;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Append {
        sizes: Vec<usize>,
        durability: Durability,
    },
    Commit {
        size: usize,
    },
    Checkpoint,
    PowerCut,
    Kill,
    Reopen,
    /// Kills the machine in the middle of the next operations, then cuts the power.
    CutAfter {
        operations: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let sizes = prop::collection::vec(0_usize..12_000, 1..4);
    let durability = prop_oneof![Just(Durability::Sync), Just(Durability::Buffered)];
    prop_oneof![
        6 => (sizes, durability).prop_map(|(sizes, durability)| Step::Append { sizes, durability }),
        6 => (0_usize..12_000).prop_map(|size| Step::Commit { size }),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::PowerCut),
        1 => Just(Step::Kill),
        1 => Just(Step::Reopen),
        2 => (0_u64..60).prop_map(|operations| Step::CutAfter { operations }),
    ]
}

/// What must be there.
#[derive(Default)]
struct Model {
    /// First LSN and payloads of every group that was appended, by its order.
    groups: Vec<(Lsn, Vec<Vec<u8>>)>,
    acknowledged: Option<Lsn>,
    filled: u8,
}

impl Model {
    fn payload(&mut self, size: usize) -> Vec<u8> {
        self.filled = self.filled.wrapping_add(1);
        vec![self.filled; size]
    }

    /// Checks a reopened log and forgets what a crash took.
    fn check(&mut self, log: &Log, last: Option<Lsn>) {
        assert!(last >= self.acknowledged, "acknowledged {:?}, found {last:?}", self.acknowledged);
        self.groups.retain(|(first, _)| Some(*first) <= last);
        let end = self.groups.last().map(|(first, group)| first.advance(group.len() as u64 - 1));
        assert_eq!(end, last, "groups are whole");
        let oldest = log.wal.oldest();
        let records = self.groups.iter().flat_map(|(first, group)| {
            let numbered = group.iter().enumerate();
            numbered.map(|(index, payload)| (first.advance(index as u64), payload.clone()))
        });
        let expected: Vec<_> = records.filter(|(lsn, _)| *lsn >= oldest).collect();
        assert_eq!(log.contents(), expected);
        // All that was found counts as durable now.
        self.acknowledged = last;
    }
}

fn reopen(disk: SimFiles, model: &mut Model) -> Log {
    let (log, report) = Log::open(disk, options()).expect("a crash is no corruption");
    model.check(&log, report.last);
    log
}

fn append(log: &Log, model: &mut Model, sizes: &[usize], durability: Durability) -> Option<Lsn> {
    let payloads: Vec<_> = sizes.iter().map(|size| model.payload(*size)).collect();
    let slices: Vec<_> = payloads.iter().map(Vec::as_slice).collect();
    if log.wal.health() == nodedb_wal::LogHealth::Poisoned {
        return None;
    }
    let records: Vec<_> = slices.iter().map(|payload| crate::world::record(payload)).collect();
    let bytes = records.iter().map(nodedb_wal::Record::encoded_len).sum();
    let class = nodedb_wal::AppendClass::User;
    // Short: on a dead machine no room comes, and an append that is not made harms nobody.
    let soon = log.env.clock.now() + Duration::from_millis(100);
    if log.wal.wait_room(bytes, class, soon).is_err() {
        return None;
    }
    let range = log.wal.append(&records, durability, class).ok()?;
    model.groups.push((range.start(), payloads));
    range.last()
}

fn commit(log: &Log, model: &mut Model, size: usize) -> Option<Lsn> {
    let last = append(log, model, &[size], Durability::Sync)?;
    log.wal.wait_durable(last, log.deadline()).ok()?;
    model.acknowledged = Some(last);
    Some(last)
}

fn checkpoint(log: &Log, model: &mut Model) {
    let Some(record) = commit(log, model, 10) else {
        return;
    };
    if log.wal.record_checkpoint(record, record, None).is_ok() {
        let truncated = log.wal.truncate(log.wal.plan_truncation(&[]));
        drop(truncated);
    }
}

fn run(seed: u64, steps: Vec<Step>) {
    let mut model = Model::default();
    let mut log = Log::create(SimFiles::new(seed), options());
    for step in steps {
        match step {
            Step::Append { sizes, durability } => {
                append(&log, &mut model, &sizes, durability);
            }
            Step::Commit { size } => {
                commit(&log, &mut model, size);
            }
            Step::Checkpoint => checkpoint(&log, &mut model),
            Step::PowerCut => log = reopen(log.disk.crash(), &mut model),
            Step::Kill => log = reopen(log.disk.crash_keeping_all(), &mut model),
            Step::Reopen => {
                drop(log.wal);
                log = reopen(log.disk, &mut model);
            }
            Step::CutAfter { operations } => {
                log.disk.crash_after(operations);
                for _ in 0..8 {
                    commit(&log, &mut model, 9000);
                }
                checkpoint(&log, &mut model);
                // Again within recovery, when little was left.
                let image = log.disk.crash();
                image.crash_after(operations / 2);
                drop(Log::open(image.clone(), options()));
                log = reopen(image.crash(), &mut model);
            }
        }
    }
    drop(log.wal);
    reopen(log.disk, &mut model);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_recovered_is_a_prefix_with_all_that_was_acknowledged(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..25),
    ) {
        run(seed, steps);
    }
}
