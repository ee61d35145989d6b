//! The import of a whole data set.

use super::{bare_log::BareLog, world::World};
use crate::{Contender, LIMIT, Outcome, Sample, Site, real, shared_data, wal::record};
use anyhow::{Result, ensure};
use nodedb::{ImportOptions, NewCollection, NewIndex, ScanOptions};
use nodedb_env::{Clock, Env};
use std::{sync::Arc, time::Duration};
use tokio::runtime::{Builder, Runtime};

pub(super) const FLIGHTS: &str = "flights-200k.jsonl.zst";
/// Rows of a quick run.
const FEW: usize = 20_000;

/// Measures the log and the database with the same lines. Nothing if the data is not there.
pub(super) fn measure(site: &Site) -> Result<Vec<Outcome>> {
    let Some(text) = shared_data(FLIGHTS)? else { return Ok(vec![]) };
    let rows = if site.effort.quick { FEW } else { usize::MAX };
    let lines: Arc<str> = text.split_inclusive('\n').take(rows).collect::<String>().into();
    let log = Appends::new(BareLog::create(&site.fresh("log")?)?, &lines)?;
    let imports = Imports::new(World::create(&site.fresh("nodedb")?)?, &lines);
    Ok(vec![site.race("rows/s", vec![Box::new(log), Box::new(imports)])?])
}

fn options() -> ImportOptions {
    ImportOptions::keyed_by("id")
}

fn rate(rows: u64, begin: Duration, clock: &dyn Clock) -> Sample {
    let elapsed = clock.now().saturating_sub(begin).as_secs_f64();
    Sample { value: real(rows) / elapsed, notes: vec![] }
}

/// A record for each line, durable as many at a time as an import has under way.
struct Appends {
    log: BareLog,
    lines: Arc<str>,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
    appended: u64,
}

impl Appends {
    fn new(log: BareLog, lines: &Arc<str>) -> Result<Self> {
        let runtime = Builder::new_current_thread().build()?;
        let clock = Env::real().clock;
        Ok(Self { log, lines: Arc::clone(lines), runtime, clock, appended: 0 })
    }
}

impl Contender for Appends {
    fn who(&self) -> &'static str {
        LIMIT
    }

    /// All lines, whatever the time.
    fn turn(&mut self, _: Duration) -> Result<Sample> {
        let records: Vec<_> = self.lines.lines().map(|line| record(line.as_bytes())).collect();
        let begin = self.clock.now();
        for records in records.chunks(options().batch) {
            self.runtime.block_on(self.log.append(records))?;
        }
        let rows = records.len() as u64;
        self.appended += rows;
        Ok(rate(rows, begin, &*self.clock))
    }

    fn verify(self: Box<Self>) -> Result<()> {
        self.log.verify_count(self.appended)
    }
}

/// Each turn into a new collection.
struct Imports {
    world: World,
    lines: Arc<str>,
    clock: Arc<dyn Clock>,
    turns: u64,
}

impl Imports {
    fn new(world: World, lines: &Arc<str>) -> Self {
        Self { world, lines: Arc::clone(lines), clock: Env::real().clock, turns: 0 }
    }
}

impl Contender for Imports {
    fn who(&self) -> &'static str {
        "nodedb"
    }

    /// All lines, whatever the time.
    fn turn(&mut self, _: Duration) -> Result<Sample> {
        let database = &self.world.database;
        let name = format!("flights-{}", self.turns);
        self.turns += 1;
        let delays = NewIndex::field("delay");
        database.create_collection(NewCollection::named(&name).with_index(delays))?;
        let collection = database.collection(&name)?;
        let begin = self.clock.now();
        let report = collection.import(self.lines.as_bytes(), &options(), &mut |_| {})?;
        let sample = rate(report.imported, begin, &*self.clock);
        let mut found = 0;
        for document in collection.scan(ScanOptions::default())? {
            document?;
            found += 1;
        }
        ensure!(found == report.imported, "{found} of {} flights are there", report.imported);
        database.drop_collection(&name)?;
        Ok(sample)
    }

    fn verify(self: Box<Self>) -> Result<()> {
        let found = self.world.reopen_and_count()?;
        ensure!(found == 0, "flights are in another collection");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_store_every_line() {
        let line = |n| format!("{{\"id\":\"f{n:06}\",\"delay\":{n}}}\n");
        let lines: Arc<str> = (0..3_000).map(line).collect::<String>().into();
        let temp = tempfile::tempdir().expect("a directory");
        let world = World::create(temp.path()).expect("created");
        let log = BareLog::create(&temp.path().join("db")).err();
        assert!(log.is_some(), "the log wants a directory of its own");
        let mut imports = Imports::new(world, &lines);
        for _ in 0..2 {
            assert!(imports.turn(Duration::ZERO).expect("imported").value > 0.0);
        }
        Box::new(imports).verify().expect("all in order");

        let temp = tempfile::tempdir().expect("a directory");
        let mut log = Appends::new(BareLog::create(temp.path()).expect("created"), &lines)
            .expect("a runtime");
        assert!(log.turn(Duration::ZERO).expect("appended").value > 0.0);
        Box::new(log).verify().expect("all are there");
    }
}
