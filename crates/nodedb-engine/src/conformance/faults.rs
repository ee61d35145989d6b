//! Failing calls and power cuts.

use super::{Case, Disk, Fault, Subject, TestLog};
use crate::{Engine, EngineError, Flushed, Frozen};

/// More steps than any flush takes.
const STEPS_MAX: u64 = 1000;

#[expect(clippy::expect_used, reason = "this is test code: a failed expectation is its result")]
impl<S: Subject, D: Disk> Case<'_, S, D> {
    pub(super) fn persist(
        &self,
        frozen: <S::Engine as Engine>::Frozen,
        log: &TestLog,
    ) -> <<S::Engine as Engine>::Frozen as Frozen>::Persisted {
        let persisted = frozen.persist(log);
        persisted.unwrap_or_else(|error| unreachable_flush(self.seed, &error))
    }

    /// An engine with one flush behind it and another one due.
    fn half_flushed(&self) -> (D, S::Engine) {
        let (disk, mut engine) = self.create();
        let log = TestLog::new();
        let half = self.records.len() / 2;
        Self::apply(&mut engine, self.first(half / 2));
        Self::flush(&mut engine, self.watermark(half / 2), &log);
        Self::apply(&mut engine, self.first(half));
        Self::flush(&mut engine, self.watermark(half), &log);
        Self::apply(&mut engine, &self.records);
        (disk, engine)
    }

    /// The machine dies at each step of a flush: what is left is the old state or the new one, whole,
    /// and the new one if the flush said so.
    pub(super) fn every_crash_of_a_flush_leaves_the_old_or_the_new(&self) {
        let watermark = self.watermark(self.records.len());
        for step in 0..STEPS_MAX {
            let (disk, mut engine) = self.half_flushed();
            let old = engine.flushed().floor();
            let Some(frozen) = engine.freeze(watermark) else {
                return;
            };
            disk.die_after(step);
            let result = frozen.persist(&TestLog::new());
            let finished = result.is_ok();
            for image in disk.images() {
                let floor = self.assert_loads(&image, &format!("died at step {step}"));
                let known = [old, Some(watermark)].contains(&floor);
                assert!(known, "floor {floor:?} at step {step}");
                assert!(!finished || floor == Some(watermark), "an answered flush is durable");
                self.assert_life_after(&image);
            }
            if finished {
                assert!(step > 0, "a flush changes the disk");
                return;
            }
        }
        unfinished(STEPS_MAX);
    }

    /// After a crash the engine flushes again, and that holds too.
    fn assert_life_after(&self, disk: &D) {
        let mut engine = self.load(disk);
        Self::apply(&mut engine, &self.records);
        let watermark = self.watermark(self.records.len());
        if let Some(frozen) = engine.freeze(watermark) {
            engine.install(self.persist(frozen, &TestLog::new()));
        }
        for image in disk.images() {
            let floor = self.assert_loads(&image, "flushed after a crash");
            assert_eq!(floor, Some(watermark), "the flush after a crash is durable");
        }
    }

    /// One call of a flush fails: memory is as it was, disk is old or new, and the next flush of the
    /// same frozen part holds.
    pub(super) fn a_failed_flush_is_repeated(&self) {
        for fault in Fault::ALL {
            for nth in 1..STEPS_MAX {
                let (disk, mut engine) = self.half_flushed();
                let old = engine.flushed();
                let watermark = self.watermark(self.records.len());
                let Some(frozen) = engine.freeze(watermark) else {
                    return;
                };
                disk.fail(fault, nth);
                if let Ok(persisted) = frozen.persist(&TestLog::new()) {
                    disk.heal();
                    engine.install(persisted);
                    assert!(nth > 1, "a flush makes every sort of call");
                    break;
                }
                disk.heal();
                self.assert_failed(&disk, &mut engine, old);
                let frozen = engine.freeze(watermark.next());
                let frozen = frozen.expect("a failed flush is handed out again");
                assert_eq!(frozen.watermark(), watermark, "with its own watermark");
                let repeated = frozen.persist(&TestLog::new());
                if fault == Fault::SyncDirectory && is_in_doubt(&repeated) {
                    // Rightly so: no later sync brings back the names that a failed one lost.
                    self.assert_failed(&disk, &mut engine, old);
                    continue;
                }
                engine.install(repeated.expect("nothing is in the way any more"));
                assert_eq!(engine.dirty(), None, "the second flush leaves nothing");
                for image in disk.images() {
                    let floor = self.assert_loads(&image, "repeated");
                    assert_eq!(floor, Some(watermark), "{fault:?} {nth}: durable");
                }
                assert!(nth + 1 < STEPS_MAX, "a flush ends");
            }
        }
    }

    fn assert_failed(&self, disk: &D, engine: &mut S::Engine, old: Flushed) {
        assert_eq!(engine.flushed(), old, "a failed flush proves nothing");
        assert!(engine.dirty().is_some(), "a failed flush cleans nothing");
        self.assert_state(engine, &self.records, "failed");
        for image in disk.images() {
            self.assert_loads(&image, "failed");
        }
    }
}

fn is_in_doubt<T>(result: &Result<T, EngineError>) -> bool {
    matches!(result, Err(EngineError::InDoubt { .. }))
}

#[expect(clippy::panic, reason = "this is test code")]
fn unreachable_flush(seed: u64, error: &EngineError) -> ! {
    panic!("seed {seed}: nothing is in the way of the flush, yet: {error}")
}

#[expect(clippy::panic, reason = "this is test code")]
fn unfinished(steps: u64) -> ! {
    panic!("a flush takes more than {steps} steps")
}
