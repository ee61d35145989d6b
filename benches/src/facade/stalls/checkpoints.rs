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
use nodedb::OpenOptions;

/// The one that takes no checkpoint in its turns.
const OFF: &str = "off";
/// Callers of each kind.
const CALLERS: usize = 64;
/// Puts and gets of documents by 64 callers of each kind, as fast as they go.
pub(in crate::facade) fn measure(site: &Site) -> Result<Vec<Outcome>> {
    let rows = Rows::documents();
    let log = Log::create(&site.fresh("log")?, &rows)?;
    let on = Stored::create(&site.fresh("nodedb")?, &rows, Background::Checkpoints, quiet())?;
    let off = Stored::create(&site.fresh(OFF)?, &rows, Background::Calm, quiet())?;
    let load = Load::Callers(CALLERS);
    let contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Stalled::prepare(LIMIT, log, load)?),
        Box::new(Stalled::prepare("nodedb", on, load)?),
        Box::new(Stalled::prepare(OFF, off, load)?),
    ];
    let effort = Effort { time: site.effort.time * LONGER, ..site.effort };
    let series = in_turns(contenders, effort)?;
    let seconds = effort.time.as_secs_f64();
    let tails = [("p99", "put p99"), ("p99.9", "put p99.9")];
    let mut outcomes = Vec::new();
    for (about, note) in tails {
        outcomes.push(outcome(site, (about, "us"), &series, |sample| find(sample, note))?);
    }
    let rate = |sample: &Sample| Some(find(sample, "calls")? / seconds);
    outcomes.push(outcome(site, ("throughput", "puts/s"), &series, rate)?);
    Ok(outcomes)
}

/// Nothing is flushed but by a checkpoint, and none begins by itself.
fn quiet() -> OpenOptions {
    OpenOptions {
        memtable_bytes: LARGE_MEMTABLE_BYTES,
        checkpoint_interval: NEVER,
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
        quiet().validate().expect("in range");
        assert_eq!(quiet().checkpoint_interval, NEVER);
    }
}
