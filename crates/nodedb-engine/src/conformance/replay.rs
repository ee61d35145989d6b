//! Applying again, and from any prefix.

use super::{Case, Chance, Disk, Record, Subject, TestLog};
use crate::Engine;

impl<S: Subject, D: Disk> Case<'_, S, D> {
    /// Redo is idempotent: each record twice in turn, and the whole log twice.
    pub(super) fn replaying_twice_changes_nothing(&self) {
        let (_disk, mut engine) = self.create();
        for (count, record) in self.records.iter().enumerate() {
            let twice = [record.clone(), record.clone()];
            Self::apply(&mut engine, &twice);
            self.assert_state(&engine, self.first(count + 1), "each record twice");
        }
        Self::apply(&mut engine, &self.records);
        self.assert_state(&engine, &self.records, "the whole log twice");
    }

    /// A flush after any number of records, a load, and the whole log again.
    pub(super) fn every_prefix_loads_and_replays(&self) {
        for count in 1..=self.records.len() {
            let (disk, mut engine) = self.create();
            Self::apply(&mut engine, self.first(count));
            let watermark = self.watermark(count);
            Self::flush(&mut engine, watermark, &TestLog::new());
            self.assert_state(&engine, self.first(count), "a flush changes no state");
            for image in disk.images() {
                let floor = self.assert_loads(&image, "after a flush");
                assert_eq!(floor, engine.flushed().floor(), "a flush is durable");
            }
        }
    }

    /// Many flushes of few records, with reloads and with records between freeze and install.
    pub(super) fn rounds_of_flushes_equal_the_model(&self) {
        let mut chance = Chance::new(self.seed);
        let records = self.subject.history(&mut chance, 400);
        let log = TestLog::new();
        let (mut disk, mut engine) = self.create();
        let mut rest: &[Record] = &records;
        while !rest.is_empty() {
            // At least the two that the round before has applied ahead.
            let count = usize::try_from(chance.below(12)).unwrap_or(0) + 2;
            let count = count.min(rest.len());
            let (now, later) = rest.split_at(count);
            rest = later;
            Self::apply(&mut engine, now);
            let done = records.split_at(records.len() - rest.len()).0;
            let watermark = now.last().map(|record| record.at.lsn);
            let frozen = watermark.and_then(|lsn| engine.freeze(lsn));
            let ahead = later.len().min(2);
            Self::apply(&mut engine, later.split_at(ahead).0);
            let seen = records.split_at(done.len() + ahead).0;
            if let Some(frozen) = frozen {
                self.assert_state(&engine, seen, "frozen");
                engine.install(self.persist(frozen, &log));
            }
            self.assert_state(&engine, seen, "installed");
            if chance.below(4) == 0 {
                let Some(image) = disk.images().pop() else {
                    continue;
                };
                disk = image;
                engine = self.load(&disk);
                let floor = engine.flushed().floor();
                let covered = records.partition_point(|record| Some(record.at.lsn) <= floor);
                self.assert_state(&engine, records.split_at(covered).0, "reloaded");
                Self::apply(&mut engine, done);
                self.assert_state(&engine, done, "replayed");
            }
        }
        self.assert_state(&engine, &records, "at the end");
    }
}
