//! What a database does in the background, as those who wait for a put or a get feel it.

pub(super) mod checkpoints;
mod contender;
mod latencies;
mod load;
mod rows;
mod upkeep;

use crate::{Contender, LIMIT, Outcome, Series, Site, in_turns};
use anyhow::Result;

use contender::{Background, Log, Stalled, Stored};
use latencies::Kind;
use load::Load;
use nodedb::OpenOptions;
use rows::Rows;
use std::time::Duration;
pub(super) use upkeep::settle;

/// Turns are so many times as long as elsewhere: one call in a thousand is asked for, and merges take
/// seconds.
const LONGER: u32 = 6;
/// Small enough that every vshard is flushed about once a second, and merged after that.
const MEMTABLE_BYTES: usize = 256 << 10;
/// Vectors come by the megabyte a second, all into one vshard.
const VECTORS_MEMTABLE_BYTES: usize = 4 << 20;
/// As often as nobody would.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
const NEVER: Duration = Duration::from_hours(24);
/// Never full in a turn.
const LARGE_MEMTABLE_BYTES: usize = 256 << 20;
/// Callers of each kind in a closed loop.
const CALLERS: usize = 8;

/// Documents, 2,000 puts and 2,000 gets a second.
pub(super) fn paced(site: &Site) -> Result<Vec<Outcome>> {
    measure(site, &Rows::documents(), Load::Paced(Duration::from_micros(500)))
}

/// Documents, as fast as 8 callers of each kind go.
pub(super) fn closed(site: &Site) -> Result<Vec<Outcome>> {
    measure(site, &Rows::documents(), Load::Callers(CALLERS))
}

/// Vectors, 1,250 puts and 1,250 gets a second into one partition: sealing and merging never end.
pub(super) fn vectors(site: &Site) -> Result<Vec<Outcome>> {
    measure(site, &Rows::vectors(), Load::Paced(Duration::from_micros(800)))
}

fn measure(site: &Site, rows: &Rows, load: Load) -> Result<Vec<Outcome>> {
    let memtable_bytes = if rows.have_vectors() { VECTORS_MEMTABLE_BYTES } else { MEMTABLE_BYTES };
    let busy = OpenOptions {
        memtable_bytes,
        checkpoint_interval: CHECKPOINT_INTERVAL,
        ..OpenOptions::default()
    };
    let calm = OpenOptions {
        memtable_bytes: LARGE_MEMTABLE_BYTES,
        checkpoint_interval: NEVER,
        ..OpenOptions::default()
    };
    let log = Log::create(&site.fresh("log")?, rows)?;
    let busy = Stored::create(&site.fresh("nodedb")?, rows, Background::Busy, busy)?;
    let calm = Stored::create(&site.fresh("calm")?, rows, Background::Calm, calm)?;
    let contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Stalled::prepare(LIMIT, log, load)?),
        Box::new(Stalled::prepare("nodedb", busy, load)?),
        Box::new(Stalled::prepare("calm", calm, load)?),
    ];
    let effort = site.effort;
    let series = in_turns(contenders, crate::Effort { time: effort.time * LONGER, ..effort })?;
    let limits = [(Kind::Put, LIMIT), (Kind::Get, "calm")];
    Ok(limits.map(|(kind, limit)| outcome(site, &series, kind, limit)).to_vec())
}

/// The calls of one kind, with the 99.9th percentile as their value.
fn outcome(site: &Site, series: &[Series], kind: Kind, limit: &'static str) -> Outcome {
    let of_kind = series.iter().filter_map(|one| part(one, kind)).collect();
    let longest = |one: &Series| {
        let notes = one.samples.iter().flat_map(|sample| &sample.notes);
        let longest = notes.filter(|note| note.0 == "max").map(|note| note.1).reduce(f64::max)?;
        Some(format!("{} {:.1} ms", one.who, longest / 1e3))
    };
    let mut outcome = Outcome { limit, ..site.outcome(kind.name(), "us", of_kind) };
    let longest: Vec<String> = outcome.series.iter().filter_map(longest).collect();
    outcome.remarks.push(format!("the longest of all rounds: {}", longest.join(", ")));
    outcome
}

/// Only the notes about a kind, without its name; `None` for who has none.
fn part(series: &Series, kind: Kind) -> Option<Series> {
    let sample = |sample: &crate::Sample| {
        let about = |(name, value): &(&'static str, f64)| {
            let rest = name.strip_prefix(kind.name())?.strip_prefix(' ')?;
            Some((rest, *value))
        };
        let mut notes: Vec<_> = sample.notes.iter().filter_map(about).collect();
        let value = notes.iter().position(|note| note.0 == "p99.9")?;
        let (_, value) = notes.remove(value);
        if kind == Kind::Put {
            let others = sample.notes.iter().filter(|note| is_about_nobody(note.0));
            notes.extend(others.copied());
        }
        Some(crate::Sample { value, notes })
    };
    let samples = series.samples.iter().map(sample).collect::<Option<Vec<_>>>()?;
    Some(Series { who: series.who, samples })
}

fn is_about_nobody(note: &str) -> bool {
    !Kind::ALL.iter().any(|kind| note.starts_with(kind.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;

    #[test]
    fn the_notes_of_a_kind_become_its_series() {
        let notes =
            vec![("put p50", 1.0), ("put p99.9", 9.0), ("get p99.9", 4.0), ("flushes", 3.0)];
        let series = Series { who: "nodedb", samples: vec![Sample { value: 9.0, notes }] };
        let puts = part(&series, Kind::Put).expect("puts").samples.remove(0);
        assert_eq!(puts, Sample { value: 9.0, notes: vec![("p50", 1.0), ("flushes", 3.0)] });
        let gets = part(&series, Kind::Get).expect("gets").samples.remove(0);
        assert_eq!(gets, Sample { value: 4.0, notes: vec![] });
        let nothing = Series { who: "limit", samples: vec![Sample::default()] };
        assert!(part(&nothing, Kind::Get).is_none());
    }
}
