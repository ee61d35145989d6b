//! Documents on one core.

use crate::{Case, Contender, LIMIT, Outcome, Sample, Site, real, shared_data};
use anyhow::{Context, Result, ensure};
use nodedb::{CheckpointRequest, Database, ImportOptions, NewCollection, OpenOptions, ScanOptions};
use nodedb_document::Filter;
use nodedb_env::{Clock, Env};
use std::{hint::black_box, sync::Arc, time::Duration};

const FLIGHTS: &str = "flights-200k.jsonl.zst";
/// Few match, so that the answer is small beside what is looked at.
const LATE: &str = "delay > 600 AND distance < 300";
/// Rows of a quick run.
const FEW: usize = 20_000;

/// The cases of this group.
///
/// - `scan-filter`: a scan over 200,000 flights in tables with a filter that few match, in a database of one
///   core. What is counted is rows looked at. The limit applies the same filter to the same documents where
///   they lie in memory one behind the other, on one thread.
pub fn cases<'a>() -> Vec<Case<'a>> {
    vec![Case::new("scan-filter", scan_filter)]
}

fn scan_filter(site: &Site) -> Result<Vec<Outcome>> {
    let Some(text) = shared_data(FLIGHTS)? else { return Ok(vec![]) };
    let rows = if site.effort.quick { FEW } else { usize::MAX };
    let lines: Vec<String> = text.lines().take(rows).map(str::to_owned).collect();
    let clock = Env::real().clock;
    let bare = Bare { filter: Filter::parse(LATE)?, lines, clock: Arc::clone(&clock) };
    let database = Database::open_with(
        site.fresh("nodedb")?,
        OpenOptions { cores: Some(1), ..OpenOptions::default() },
    )?;
    database.create_collection(NewCollection::named("flights"))?;
    let lines = bare.lines.join("\n");
    let options = ImportOptions::keyed_by("id");
    database.collection("flights")?.import(lines.as_bytes(), &options, &mut |_| {})?;
    database.checkpoint(CheckpointRequest::default())?;
    let scans = Scans { database, rows: bare.lines.len(), matches: bare.matches()?, clock };
    Ok(vec![site.race("rows/s", vec![Box::new(bare), Box::new(scans)])?])
}

/// As many whole passes as it takes to fill the time.
fn passes(
    clock: &dyn Clock,
    time: Duration,
    rows: usize,
    mut pass: impl FnMut() -> Result<()>,
) -> Result<Sample> {
    let begin = clock.now();
    let (mut seen, mut end) = (0, begin);
    while end < begin + time {
        pass()?;
        seen += rows as u64;
        end = clock.now();
    }
    Ok(Sample { value: real(seen) / end.saturating_sub(begin).as_secs_f64(), notes: vec![] })
}

/// The filter alone.
struct Bare {
    filter: Filter,
    lines: Vec<String>,
    clock: Arc<dyn Clock>,
}

impl Bare {
    fn matches(&self) -> Result<usize> {
        let mut matches = 0;
        for line in &self.lines {
            matches += usize::from(black_box(self.filter.matches(line.as_bytes()))?);
        }
        Ok(matches)
    }
}

impl Contender for Bare {
    fn who(&self) -> &'static str {
        LIMIT
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        passes(&*self.clock, time, self.lines.len(), || self.matches().map(drop))
    }
}

struct Scans {
    database: Database,
    rows: usize,
    /// How many rows the filter alone finds.
    matches: usize,
    clock: Arc<dyn Clock>,
}

impl Contender for Scans {
    fn who(&self) -> &'static str {
        "nodedb"
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let flights = self.database.collection("flights").context("imported")?;
        passes(&*self.clock, time, self.rows, || {
            let options = ScanOptions { filter: Some(LATE.to_owned()), ..ScanOptions::default() };
            let mut found = 0;
            for document in flights.scan(options)? {
                black_box(document?);
                found += 1;
            }
            ensure!(found == self.matches, "{found} matches of {}", self.matches);
            Ok(())
        })
    }

    fn verify(self: Box<Self>) -> Result<()> {
        Ok(self.database.close()?)
    }
}
