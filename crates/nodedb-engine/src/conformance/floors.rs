//! What floors and dirt say.

use super::{Case, Disk, Subject, TestLog};
use crate::{Engine, EngineError, Frozen};
use nodedb_types::Lsn;
use std::path::Path;

#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "this is test code: a failed expectation is its result"
)]
impl<S: Subject, D: Disk> Case<'_, S, D> {
    /// Dirt begins where the files end, a freeze keeps its watermark, and a reload finds the floor.
    pub(super) fn floors_are_true(&self) {
        let (disk, mut engine) = self.create();
        let log = TestLog::new();
        assert_eq!(engine.flushed().floor(), None, "a new engine proves nothing");
        for (count, record) in self.records.iter().enumerate() {
            let before = engine.dirty().map(|dirty| dirty.oldest);
            let state = self.subject.dump(&engine);
            engine.apply(record.at, record.tenant, &record.redo);
            let dirty = engine.dirty();
            let oldest = dirty.map(|dirty| dirty.oldest);
            if self.subject.dump(&engine) != state {
                let first = before.unwrap_or(record.at.lsn);
                assert_eq!(oldest, Some(first), "the oldest change stays the oldest");
                assert!(dirty.is_some_and(|dirty| dirty.bytes > 0), "dirt is never free");
            }
            assert!(oldest >= before, "dirt does not go away by applying");
            if count % 5 == 4 {
                Self::flush(&mut engine, record.at.lsn, &log);
                assert_eq!(engine.dirty(), None, "a flush leaves nothing");
                assert!(engine.flushed().floor() <= Some(record.at.lsn), "no floor is ahead");
                let loaded = self.load(&disk);
                assert_eq!(loaded.flushed(), engine.flushed(), "a load finds the floor");
            }
        }
    }

    /// An engine without changes has nothing to freeze.
    pub(super) fn idle_engines_are_clean(&self) {
        let (_disk, mut engine) = self.create();
        assert_eq!(engine.dirty(), None, "a new engine is clean");
        assert!(engine.freeze(Lsn::FIRST).is_none(), "nothing to freeze");
        Self::apply(&mut engine, &self.records);
        let watermark = self.watermark(self.records.len());
        Self::flush(&mut engine, watermark, &TestLog::new());
        assert!(engine.freeze(watermark.next()).is_none(), "nothing is left to freeze");
        Self::apply(&mut engine, &self.records);
        assert_eq!(engine.dirty(), None, "redo below the floor is no change");
    }

    /// While the log is asked to make the watermark durable, every image is still the old one.
    pub(super) fn nothing_is_switched_before_it_is_durable(&self) {
        let (disk, mut engine) = self.create();
        let half = self.records.len() / 2;
        Self::apply(&mut engine, self.first(half));
        Self::flush(&mut engine, self.watermark(half), &TestLog::new());
        let old = engine.flushed();
        Self::apply(&mut engine, &self.records);
        let watermark = self.watermark(self.records.len());
        let Some(frozen) = engine.freeze(watermark) else {
            return;
        };
        // The observer must own what it looks at, so it only reads the manifest's bytes.
        let files = disk.files();
        let manifest = move || files.read(&Path::new(super::DIR).join("MANIFEST")).ok();
        let before = manifest();
        let asked = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
        let heard = std::sync::Arc::clone(&asked);
        let log = TestLog::observed(move |lsn| {
            assert_eq!(manifest(), before, "switched before {lsn} was durable");
            heard.lock().push(lsn);
        });
        engine.install(frozen.persist(&log).expect("nothing is in the way"));
        assert_eq!(asked.lock().last(), Some(&watermark), "the log was asked for the watermark");
        assert!(engine.flushed().floor() > old.floor(), "the floor has risen");
    }

    /// A log that cannot make the watermark durable: nothing is switched, and a later flush works.
    pub(super) fn a_refusing_log_leaves_the_old_state(&self) {
        let (disk, mut engine) = self.create();
        let half = self.records.len() / 2;
        Self::apply(&mut engine, self.first(half));
        Self::flush(&mut engine, self.watermark(half), &TestLog::new());
        let old = engine.flushed();
        Self::apply(&mut engine, &self.records);
        let watermark = self.watermark(self.records.len());
        for _ in 0..2 {
            let Some(frozen) = engine.freeze(watermark) else {
                return;
            };
            match frozen.persist(&TestLog::refusing()) {
                Err(EngineError::NotDurable { lsn }) => assert_eq!(lsn, watermark),
                other => panic!("refused by the log, answered {other:?}"),
            }
            assert_eq!(engine.flushed(), old, "nothing is proved");
            assert!(engine.dirty().is_some(), "nothing is clean");
            self.assert_state(&engine, &self.records, "refused");
            for image in disk.images() {
                let floor = self.assert_loads(&image, "refused by the log");
                assert_eq!(floor, old.floor(), "nothing is switched");
            }
        }
        Self::flush(&mut engine, watermark, &TestLog::new());
        for image in disk.images() {
            assert_eq!(self.assert_loads(&image, "flushed at last"), Some(watermark));
        }
    }
}
