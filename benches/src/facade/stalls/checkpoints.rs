//! What checkpoints cost those who write meanwhile: the same database with one after the other and without any,
//! in turns.

use super::{
    LARGE_MEMTABLE_BYTES, LONGER, NEVER,
    contender::{Background, Log, Stalled, Stored},
    load::Load,
    rows::Rows,
};
use crate::{Contender, Effort, LIMIT, Outcome, Sample, Series, Site, in_turns};
use anyhow::{Context, Result};
use nodedb::{OpenOptions, Urgency};
use std::time::Duration;

/// The one that takes no checkpoint in its turns.
const OFF: &str = "off";
/// The one whose checkpoints do not take their time.
const HURRIED: &str = "hurried";
/// So that a checkpoint takes nine tenths of it, and a turn sees two.
const INTERVAL: Duration = Duration::from_secs(5);
/// Callers of each kind.
const CALLERS: usize = 64;
/// Time between two puts, and two gets, which leaves the processors room.
const PERIOD: Duration = Duration::from_micros(250);

/// Puts and gets of documents by 64 callers of each kind, as fast as they go.
pub(in crate::facade) fn writes(site: &Site) -> Result<Vec<Outcome>> {
    let (effort, series) = measure(site, Load::Callers(CALLERS))?;
    let seconds = effort.time.as_secs_f64();
    let mut outcomes = tails(site, &series)?;
    let rate = |sample: &Sample| Some(find(sample, "calls")? / seconds);
    outcomes.push(outcome(site, ("throughput", "puts/s"), &series, rate)?);
    Ok(outcomes)
}

/// 4,000 puts and 4,000 gets of documents a second.
pub(in crate::facade) fn paced(site: &Site) -> Result<Vec<Outcome>> {
    tails(site, &measure(site, Load::Paced(PERIOD))?.1)
}

fn measure(site: &Site, load: Load) -> Result<(Effort, Vec<Series>)> {
    let rows = Rows::documents();
    let log = Log::create(&site.fresh("log")?, &rows)?;
    let stored = |who, background, interval| {
        let stored = Stored::create(&site.fresh(who)?, &rows, background, quiet(interval))?;
        Stalled::prepare(who, stored, load)
    };
    let contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Stalled::prepare(LIMIT, log, load)?),
        Box::new(stored("nodedb", Background::Checkpoints(Urgency::Lazy), INTERVAL)?),
        Box::new(stored(HURRIED, Background::Checkpoints(Urgency::Immediate), NEVER)?),
        Box::new(stored(OFF, Background::Calm, NEVER)?),
    ];
    let effort = Effort { time: site.effort.time * LONGER, ..site.effort };
    Ok((effort, in_turns(contenders, effort)?))
}

fn tails(site: &Site, series: &[Series]) -> Result<Vec<Outcome>> {
    let tails = [("p99", "put p99"), ("p99.9", "put p99.9")];
    let tail =
        |(about, note)| outcome(site, (about, "us"), series, |sample: &Sample| find(sample, note));
    tails.into_iter().map(tail).collect()
}

/// Nothing is flushed but by a checkpoint, and none begins by itself within a turn that asks for them.
fn quiet(checkpoint_interval: Duration) -> OpenOptions {
    OpenOptions {
        memtable_bytes: LARGE_MEMTABLE_BYTES,
        checkpoint_interval,
        recovery_target: NEVER,
        log_bytes_max: 1 << 40,
        ..OpenOptions::default()
    }
}

/// One figure of every turn, held against the turns without checkpoints.
fn outcome(
    site: &Site,
    (about, unit): (&str, &'static str),
    series: &[Series],
    value: impl Fn(&Sample) -> Option<f64>,
) -> Result<Outcome> {
    let of_turns = |one: &Series| {
        let sample = |sample: &Sample| {
            let notes = ["put max", "flushes and merges"];
            let notes = notes.into_iter().filter_map(|note| Some((note, find(sample, note)?)));
            Some(Sample { value: value(sample)?, notes: notes.collect() })
        };
        let samples = one.samples.iter().map(sample).collect::<Option<Vec<_>>>();
        let samples = samples.with_context(|| format!("a turn of {} has no {about}", one.who))?;
        anyhow::Ok(Series { who: one.who, samples })
    };
    let series = series.iter().map(of_turns).collect::<Result<Vec<_>>>()?;
    Ok(Outcome { limit: OFF, ..site.outcome(about, unit, series) })
}

fn find(sample: &Sample, note: &str) -> Option<f64> {
    sample.notes.iter().find(|(name, _)| *name == note).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_found_by_its_whole_name() {
        let notes = vec![("put p99", 1.0), ("put p99.9", 9.0)];
        let sample = Sample { value: 0.0, notes };
        assert_eq!(find(&sample, "put p99.9"), Some(9.0));
        assert_eq!(find(&sample, "put p99"), Some(1.0));
        assert_eq!(find(&sample, "get p99"), None);
    }

    #[test]
    fn no_checkpoint_begins_by_itself() {
        quiet(INTERVAL).validate().expect("in range");
    }
}
