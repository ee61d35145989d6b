//! How long a database takes to open that was killed under load, and how long it said it would.

use super::import::FLIGHTS;
use crate::{LIMIT, Outcome, Sample, Series, Site, real, shared_data};
use anyhow::{Context, Result, ensure};
use nodedb::{Database, ImportOptions, NewCollection, OpenOptions, ScanOptions, WriteOptions};
use nodedb_env::{EntryKind, Env, Open};
use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// The rows, beside the database, for the child to read.
const LINES: &str = "rows.jsonl";
/// How often they are imported, each time into a collection of its own: about 25 MiB of log each.
const COPIES: [(&str, u32); 3] = [("small", 2), ("middle", 6), ("large", 16)];
const NEVER: Duration = Duration::from_hours(24);
/// The farthest that an estimate may be from the truth.
const WITHIN: f64 = 1.5;
const ROUNDS: usize = 3;

/// Has a child import and put until it is killed, and opens what it leaves. The limit reads the files of the log.
pub(super) fn measure(site: &Site) -> Result<Vec<Outcome>> {
    let Some(text) = shared_data(FLIGHTS)? else { return Ok(vec![]) };
    let sizes = if site.effort.quick { &COPIES[..1] } else { &COPIES[..] };
    let rounds = if site.effort.quick { 1 } else { ROUNDS };
    let one = |(about, copies): &(&str, u32)| measure_size(site, &text, (about, *copies), rounds);
    sizes.iter().map(one).collect()
}

fn measure_size(
    site: &Site,
    text: &str,
    (about, copies): (&str, u32),
    rounds: usize,
) -> Result<Outcome> {
    let all = [LIMIT, "nodedb"].map(|who| Series { who, samples: Vec::new() });
    let mut all = all.to_vec();
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let dir = site.fresh(&format!("{about}-{round}-{copies}"))?;
        let files = &Env::real().files;
        files.open(&dir.join(LINES), Open::CreateNew)?.write_all_at(text.as_bytes(), 0)?;
        let estimate_ms = kill_under_load(&dir)?;
        let (read, mib) = read_log(&dir)?;
        let opened = reopen(&dir, text.lines().count() as u64 * u64::from(copies))?;
        let ratio = real(estimate_ms) / opened;
        ratios.push(ratio);
        let notes = vec![("estimated", real(estimate_ms)), ("estimate / truth", ratio)];
        for (series, sample) in all.iter_mut().zip([
            Sample { value: read, notes: vec![("MiB", mib)] },
            Sample { value: opened, notes },
        ]) {
            series.samples.push(sample);
        }
    }
    let far = |ratio: &&f64| **ratio > WITHIN || **ratio < WITHIN.recip();
    let far = ratios.iter().filter(far).count();
    let mut outcome = site.outcome(about, "ms", all);
    outcome.remarks.push(format!("{far} of {rounds} estimates are off by more than {WITHIN}"));
    Ok(outcome)
}

/// What the child said its recovery would take, in milliseconds, just before it was killed.
fn kill_under_load(dir: &Path) -> Result<u64> {
    let mut child = Command::new(env::current_exe()?)
        .arg("--killed")
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let told = child.stdout.take().context("a pipe")?;
    let told = BufReader::new(told).read_line(&mut line);
    child.kill()?;
    child.wait()?;
    told?;
    line.trim().parse().with_context(|| format!("the child told {line:?}"))
}

/// Milliseconds to read every byte of the log, and how many MiB it has.
fn read_log(dir: &Path) -> Result<(f64, f64)> {
    let env = Env::real();
    let begin = env.clock.now();
    let mut bytes = 0;
    let wal = dir.join("db").join("wal");
    for entry in env.files.list(&wal)? {
        let path = wal.join(&entry.name);
        if entry.kind == EntryKind::File {
            bytes += env.files.read(&path)?.len() as u64;
        }
    }
    let took = env.clock.now().saturating_sub(begin).as_secs_f64() * 1e3;
    Ok((took, real(bytes) / f64::from(1 << 20)))
}

/// Milliseconds until the database is open again. Nothing that was imported is missing.
fn reopen(dir: &Path, rows: u64) -> Result<f64> {
    let clock = Env::real().clock;
    let begin = clock.now();
    let database = Database::open_with(dir.join("db"), OpenOptions::existing())?;
    let took = clock.now().saturating_sub(begin).as_secs_f64() * 1e3;
    let found: u64 = database.collections()?.iter().map(|collection| collection.documents).sum();
    ensure!(found >= rows, "{rows} rows were imported, {found} are there");
    let last = database.collection("load")?.scan(ScanOptions::default())?.count();
    ensure!(last > 0, "the load that it was killed under is gone");
    database.close()?;
    Ok(took)
}

/// What the child does: imports, tells how long recovery would take, and puts until it is killed.
///
/// # Errors
/// If the database cannot be created and filled.
pub(crate) fn load_until_killed(dir: &Path) -> Result<()> {
    let name = dir.file_name().context("a name")?.to_string_lossy().into_owned();
    let copies: u32 = name.rsplit('-').next().context("a number")?.parse()?;
    let options = OpenOptions {
        checkpoint_interval: NEVER,
        recovery_target: NEVER,
        log_bytes_max: 1 << 40,
        memory_bytes_per_core: 8 << 30,
        ..OpenOptions::default()
    };
    let database = Database::open_with(dir.join("db"), options)?;
    let lines = Env::real().files.read(&dir.join(LINES))?;
    let imported = ImportOptions::keyed_by("id");
    for copy in 0..copies {
        let name = format!("flights-{copy}");
        database.create_collection(NewCollection::named(&name))?;
        database.collection(&name)?.import(&lines[..], &imported, &mut |_| {})?;
    }
    database.create_collection(NewCollection::named("load"))?;
    let load = database.collection("load")?;
    load.put("first", &0)?;
    let estimate = database.status()?.estimated_recovery_ms;
    writeln!(io::stdout().lock(), "{estimate}")?;
    // Killed here, or at the latest when a disk is full.
    for key in 0_u64.. {
        load.put_async(key.to_string(), b"{}", WriteOptions::default())?.wait()?;
    }
    Ok(())
}
