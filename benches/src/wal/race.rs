//! Many threads that each wait for their own records.

use super::store::{Store, Subject, Workload, Writer};
use crate::{Contender, Sample, real};
use anyhow::{Context, Result, anyhow, ensure};
use nodedb_env::Env;
use parking_lot::Mutex;
use std::{
    mem,
    path::Path,
    sync::{Arc, Barrier},
    time::Duration,
};

/// Time to get going before the first turn.
const WARM_UP: Duration = Duration::from_millis(100);

/// A store in a race of commits.
pub(crate) struct Race {
    who: &'static str,
    env: Env,
    store: Box<dyn Store>,
    threads: usize,
    depth: usize,
    acknowledged: u64,
}

impl Race {
    /// Creates the store and warms it up.
    pub(crate) fn prepare(
        subject: &dyn Subject,
        dir: &Path,
        threads: usize,
        depth: usize,
    ) -> Result<Self> {
        let store = subject.create(dir, Workload::Commits { threads, depth })?;
        let (who, env) = (subject.who(), Env::real());
        let mut race = Self { who, env, store, threads, depth, acknowledged: 0 };
        race.store.settle()?;
        race.turn(WARM_UP)?;
        Ok(race)
    }

    fn lanes(&self, time: Duration) -> Result<Vec<Lane>> {
        let start = Arc::new(Barrier::new(self.threads));
        let lanes = Arc::new(Mutex::new(Vec::new()));
        let mut threads = Vec::new();
        let writers: Result<Vec<_>> = (0..self.threads).map(|_| self.store.writer()).collect();
        for mut writer in writers? {
            let (env, depth) = (self.env.clone(), self.depth);
            let (start, lanes) = (Arc::clone(&start), Arc::clone(&lanes));
            let body = move || {
                start.wait();
                let lane = Lane::run(writer.as_mut(), &env, depth, time);
                lanes.lock().push(lane);
            };
            threads.push(self.env.threads.spawn("bench-writer", Box::new(body))?);
        }
        for thread in threads {
            thread.join().map_err(|_panic| anyhow!("a writer of {} panicked", self.who))?;
        }
        let lanes = mem::take(&mut *lanes.lock());
        lanes.into_iter().collect()
    }
}

impl Contender for Race {
    fn who(&self) -> &'static str {
        self.who
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let syncs_before = self.store.syncs();
        let lanes = self.lanes(time)?;
        let in_time: u64 = lanes.iter().map(|lane| lane.acknowledged).sum();
        let all = in_time + lanes.iter().map(|lane| lane.drained).sum::<u64>();
        let syncs = self.store.syncs().zip(syncs_before).map(|(after, before)| after - before);
        self.acknowledged += all;
        self.store.settle()?;
        let begin = lanes.iter().map(|lane| lane.begin).min().context("a thread at least")?;
        let end = lanes.iter().map(|lane| lane.end).max().context("a thread at least")?;
        let per_sync = syncs.filter(|syncs| *syncs > 0).map(|syncs| real(all) / real(syncs));
        Ok(Sample {
            value: real(in_time) / end.saturating_sub(begin).as_secs_f64(),
            notes: per_sync.map(|records| ("records per sync", records)).into_iter().collect(),
        })
    }

    /// Checks that every record that was acknowledged is really there.
    fn verify(self: Box<Self>) -> Result<()> {
        verify(self.who, self.store, self.acknowledged)
    }
}

/// What one thread did.
struct Lane {
    begin: Duration,
    end: Duration,
    /// Records that became durable between the two.
    acknowledged: u64,
    /// Those that were still on the way.
    drained: u64,
}

impl Lane {
    fn run(writer: &mut dyn Writer, env: &Env, depth: usize, time: Duration) -> Result<Self> {
        let begin = env.clock.now();
        let mut lane = Self { begin, end: begin, acknowledged: 0, drained: 0 };
        while lane.end < begin + time {
            lane.acknowledged += writer.advance(depth)?;
            lane.end = env.clock.now();
        }
        lane.drained = writer.drain()?;
        Ok(lane)
    }
}

/// Fails unless a store holds as many records as it has acknowledged.
pub(super) fn verify(who: &str, store: Box<dyn Store>, acknowledged: u64) -> Result<()> {
    let found = store.reopen_and_count().with_context(|| format!("counting records of {who}"))?;
    ensure!(found == acknowledged, "{who} acknowledged {acknowledged} records and has {found}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::{bare::BareDisk, log::OurLog};

    fn check(subject: &dyn Subject, threads: usize, depth: usize) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut race = Race::prepare(subject, dir.path(), threads, depth).expect("prepared");
        let sample = race.turn(Duration::from_millis(20)).expect("a turn");
        assert!(sample.value > 0.0);
        assert_eq!(sample.notes[0].0, "records per sync");
        Box::new(race).verify().expect("all records are there");
    }

    #[test]
    fn every_acknowledged_record_is_counted() {
        check(&BareDisk, 1, 64);
        check(&OurLog, 4, 1);
        check(&OurLog, 2, 16);
    }

    /// A store that acknowledges what it never wrote.
    struct Liar;

    impl Store for Liar {
        fn writer(&self) -> Result<Box<dyn Writer>> {
            Ok(Box::new(Self))
        }

        fn reopen_and_count(self: Box<Self>) -> Result<u64> {
            Ok(0)
        }
    }

    impl Writer for Liar {
        fn advance(&mut self, depth: usize) -> Result<u64> {
            Ok(depth as u64)
        }
    }

    impl Subject for Liar {
        fn who(&self) -> &'static str {
            "liar"
        }

        fn takes(&self, _: Workload) -> bool {
            true
        }

        fn create(&self, _: &Path, _: Workload) -> Result<Box<dyn Store>> {
            Ok(Box::new(Self))
        }
    }

    #[test]
    fn a_store_without_its_records_has_no_figure() {
        let race = Race::prepare(&Liar, Path::new("."), 1, 1).expect("prepared");
        let error = Box::new(race).verify().expect_err("nothing is there").to_string();
        assert!(error.contains("liar acknowledged") && error.ends_with("has 0"), "{error}");
    }
}
