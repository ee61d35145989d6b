//! How much memory a database takes that has imported documents with vectors.

use super::{recovery::load_until_killed, stalls::settle};
use crate::{
    Arguments, LIMIT, Outcome, Sample, Series, Site, real, resident_memory_kib, shared_data,
};
use anyhow::{Context, Result, ensure};
use nodedb::{
    CheckpointRequest, Database, ImportOptions, Metric, NewCollection, OpenOptions, SearchOptions,
};
use nodedb_env::{Env, Open};
use std::{
    env,
    fs::File,
    io::{self, BufReader, Write},
    path::Path,
    process::Command,
};

const WORDNET: &str = "wordnet-minilm-20k.jsonl.zst";
/// The rows, beside the database, for the child to read.
const LINES: &str = "rows.jsonl";
const FIELD: &str = "embedding";
const DIMENSIONS: u32 = 384;
const ROUNDS: usize = 3;
/// When the child looks: at once after the import, after a checkpoint, and after a reopen in a new process.
const MOMENTS: [&str; 3] = ["imported", "nodedb", "reopened"];

/// Imports the rows in a process of its own. The limit is what they take: JSON text and vectors as bf16.
pub(super) fn measure(site: &Site) -> Result<Vec<Outcome>> {
    let Some(text) = shared_data(WORDNET)? else { return Ok(vec![]) };
    let rows = text.lines().count() as u64;
    let bytes = text.len() as u64 + rows * u64::from(DIMENSIONS) * 2;
    let mut all = [LIMIT, MOMENTS[0], MOMENTS[1], MOMENTS[2]]
        .map(|who| Series { who, samples: Vec::new() })
        .to_vec();
    for round in 0..if site.effort.quick { 1 } else { ROUNDS } {
        let dir = site.fresh(&format!("round-{round}"))?;
        write_lines(&dir, &text)?;
        let told = [child(&dir)?, child(&dir)?].concat();
        ensure!(told.len() == MOMENTS.len(), "the child told {} figures", told.len());
        let limit = Sample { value: mebi(bytes), notes: vec![] };
        for (series, sample) in all.iter_mut().zip(std::iter::once(limit).chain(told)) {
            series.samples.push(sample);
        }
    }
    let mut outcome = site.outcome("resident", "MiB", all);
    outcome
        .remarks
        .push("nodedb: after the import and a checkpoint, when nothing goes on".to_owned());
    Ok(vec![outcome])
}

fn write_lines(dir: &Path, text: &str) -> Result<()> {
    let file = Env::real().files.open(&dir.join(LINES), Open::CreateNew)?;
    Ok(file.write_all_at(text.as_bytes(), 0)?)
}

fn mebi(bytes: u64) -> f64 {
    real(bytes) / f64::from(1 << 20)
}

/// Has a process of its own tell what it takes, a line for each moment: all of it, anonymous, of files.
fn child(dir: &Path) -> Result<Vec<Sample>> {
    let output = Command::new(env::current_exe()?).arg("--resident").arg(dir).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout)?;
    told.lines().map(sample).collect()
}

fn sample(line: &str) -> Result<Sample> {
    let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [anonymous, files] = numbers[..] else { anyhow::bail!("{line:?} is not two numbers") };
    let notes = vec![("anonymous", mebi(anonymous << 10)), ("of files", mebi(files << 10))];
    Ok(Sample { value: mebi((anonymous + files) << 10), notes })
}

/// What the child does: imports and takes a checkpoint, or opens what is there, and tells its memory.
///
/// # Errors
/// If the database cannot be opened, filled and searched.
pub(crate) fn tell_resident(dir: &Path) -> Result<()> {
    let path = dir.join("db");
    let is_new = Env::real().files.entry(&path)?.is_none();
    let database = Database::open_with(&path, OpenOptions::default())?;
    if is_new {
        let new = NewCollection::named("words").with_vector(FIELD, DIMENSIONS, Metric::Cosine);
        database.create_collection(new)?;
        let lines = BufReader::new(open(&dir.join(LINES))?);
        let options = ImportOptions::keyed_by("id");
        database.collection("words")?.import(lines, &options, &mut |_| {})?;
        tell()?;
        database.checkpoint(CheckpointRequest::default())?;
    }
    settle()?;
    // So that what a search touches is counted.
    let hits = database.collection("words")?.search(SearchOptions::like(FIELD, "wn-00000"))?;
    ensure!(!hits.is_empty(), "nothing is found");
    tell()?;
    Ok(database.close()?)
}

#[expect(clippy::disallowed_methods, reason = "lines are read one by one, as users import them")]
fn open(path: &Path) -> Result<File> {
    Ok(File::open(path)?)
}

fn tell() -> Result<()> {
    let (anonymous, files) = resident_memory_kib().context("the system tells no memory")?;
    Ok(writeln!(io::stdout().lock(), "{anonymous} {files}")?)
}

/// Whether this process is such a child; then it has done its work.
///
/// # Errors
/// As [`tell_resident`].
pub(crate) fn is_child(arguments: &Arguments) -> Result<bool> {
    let Arguments { resident, killed, .. } = arguments;
    let told = resident.as_deref().map(tell_resident).transpose()?;
    let loaded = killed.as_deref().map(load_until_killed).transpose()?;
    Ok(told.or(loaded).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_child_is_a_sample() {
        let told = sample("2048 1024").expect("two numbers");
        assert!((told.value - 3.0).abs() < 1e-9);
        assert_eq!(told.notes, [("anonymous", 2.0), ("of files", 1.0)]);
        assert!(sample("7").is_err() && sample("a b").is_err());
    }
}
