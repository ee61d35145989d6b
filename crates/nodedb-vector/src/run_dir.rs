//! The directory of runs, and which of them a flush merges.

use crate::{
    changes::Changes,
    merge::{Bottom, Source, merge},
    run::{Part, Row, RunWriter, Written},
};
use nodedb_engine::{DurableLog, EngineError, EngineKind, FileRef, Flushed, Manifest, ManifestDir};
use nodedb_env::Files;
use nodedb_types::{ByteReader, DecodeError, IndexId, Lsn};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// An engine directory whose files are runs of rows, oldest first.
///
/// A flush merges the newest runs that are together about as large as itself, so that runs grow
/// geometrically: their number is logarithmic in the rows, and so is how often a row is rewritten. It
/// merges everything once more than half of the stored rows are dead.
#[derive(Debug)]
pub(crate) struct RunDir {
    files: Arc<dyn Files>,
    dir: ManifestDir,
    runs: Vec<Run>,
    /// Flushes tried in this process. Part of every file name: what failed to be written is written
    /// again under another name (protocol rule P1).
    attempts: u64,
}

/// A run as the manifest's `extra` describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    parts: u32,
    rows: u64,
}

/// What a flush writes.
#[derive(Debug)]
pub(crate) struct Flush<'a> {
    pub(crate) changes: &'a Changes,
    pub(crate) watermark: Lsn,
    /// Rows that live, these changes included.
    pub(crate) live: u64,
}

impl RunDir {
    pub(crate) fn create(
        files: Arc<dyn Files>,
        dir: &Path,
    ) -> Result<(Self, Flushed), EngineError> {
        let (dir, flushed) = ManifestDir::create(Arc::clone(&files), dir, EngineKind::Vectors)?;
        Ok((Self::new(files, dir, Vec::new()), flushed))
    }

    pub(crate) fn open(files: Arc<dyn Files>, path: &Path) -> Result<(Self, Flushed), EngineError> {
        let (dir, flushed) = ManifestDir::open(Arc::clone(&files), path, EngineKind::Vectors)?;
        let runs = decode_runs(path, dir.manifest())?;
        Ok((Self::new(files, dir, runs), flushed))
    }

    fn new(files: Arc<dyn Files>, dir: ManifestDir, runs: Vec<Run>) -> Self {
        Self { files, dir, runs, attempts: 0 }
    }

    /// Hands out every part, oldest first.
    pub(crate) fn read(
        &self,
        mut each: impl FnMut(Part) -> Result<(), DecodeError>,
    ) -> Result<(), EngineError> {
        let mut order = Order::default();
        for (run, files) in by_run(&self.runs, &self.dir.manifest().files) {
            for file in files {
                let path = self.dir.path().join(file.name());
                let part = Part::decode(&path, self.dir.read_file(file)?)?;
                order
                    .check(run, &part)
                    .and_then(|()| each(part))
                    .map_err(|error| EngineError::corrupt(&path, error.to_string()))?;
            }
        }
        Ok(())
    }

    /// Writes the changes and switches to them. Durable on return.
    pub(crate) fn flush(
        &mut self,
        flush: &Flush<'_>,
        log: &dyn DurableLog,
    ) -> Result<Flushed, EngineError> {
        if self.dir.manifest().floor >= Some(flush.watermark) {
            // An earlier attempt has switched and failed to sweep.
            return self.dir.switch(self.dir.manifest().clone(), log);
        }
        self.attempts += 1;
        let name = format!("run-{:020}-{:04}", flush.watermark.get(), self.attempts);
        let from = self.first_merged(flush);
        let written = match self.write(flush, &name, from) {
            Ok(written) => written,
            Err(error) => {
                self.discard(&name);
                return Err(error);
            }
        };
        let kept = self.runs.get(..from).unwrap_or_default();
        let mut files: Vec<FileRef> = by_run(kept, &self.dir.manifest().files)
            .flat_map(|(_, files)| files.to_vec())
            .collect();
        let mut runs = kept.to_vec();
        if let Ok(parts) = u32::try_from(written.files.len())
            && parts > 0
        {
            runs.push(Run { parts, rows: written.rows });
        }
        files.extend(written.files);
        let next = Manifest { floor: Some(flush.watermark), files, extra: encode_runs(&runs) };
        let result = self.dir.switch(next, log);
        if self.dir.manifest().floor == Some(flush.watermark) {
            self.runs = runs;
        } else if !self.dir.is_in_doubt() {
            self.discard(&name);
        }
        result
    }

    /// The oldest run that goes into the new one; all younger go with it.
    fn first_merged(&self, flush: &Flush<'_>) -> usize {
        let mut rows = flush.changes.len();
        let mut first = self.runs.len();
        for run in self.runs.iter().rev() {
            if run.rows > 2 * rows {
                break;
            }
            rows += run.rows;
            first -= 1;
        }
        let kept = self.runs.iter().take(first).map(|run| run.rows);
        if kept.sum::<u64>() + rows > 2 * flush.live { 0 } else { first }
    }

    fn write(&self, flush: &Flush<'_>, name: &str, from: usize) -> Result<Written, EngineError> {
        let all = &self.dir.manifest().files;
        let mut sources = by_run(&self.runs, all)
            .skip(from)
            .map(|(_, files)| Source::run(&self.dir, files))
            .collect::<Result<Vec<_>, _>>()?;
        sources.push(Source::frozen(flush.changes)?);
        let (bottom, dropped) = match from {
            0 => (Bottom::Reached, Vec::new()),
            _ => (Bottom::Above, dropped(&sources)),
        };
        let mut out = RunWriter::new(&self.dir, name.to_owned(), flush.watermark, dropped);
        merge(&mut sources, bottom, &mut out)?;
        out.finish()
    }

    /// Removes the files of an attempt that no manifest can name, so that failing on a full disk does
    /// not fill it. What cannot be removed is swept after the next flush.
    fn discard(&self, name: &str) {
        let entries = self.files.list(self.dir.path()).unwrap_or_default();
        for entry in entries {
            if entry.name.as_encoded_bytes().starts_with(name.as_bytes()) {
                match self.files.remove_file(&self.dir.path().join(entry.name)) {
                    Ok(()) | Err(_) => {}
                }
            }
        }
    }
}

fn dropped(sources: &[Source<'_>]) -> Vec<IndexId> {
    let mut dropped: Vec<_> = sources.iter().flat_map(|source| source.dropped.clone()).collect();
    dropped.sort_unstable();
    dropped.dedup();
    dropped
}

/// Checks a directory without changing or syncing anything: the manifest, every file that it names,
/// and every row in them. Answers the manifest.
///
/// # Errors
/// [`EngineError::Corrupt`], [`EngineError::UnsupportedFormat`] or [`EngineError::Io`].
pub fn verify(files: &dyn Files, dir: &Path) -> Result<Manifest, EngineError> {
    let manifest = ManifestDir::verify(files, dir, EngineKind::Vectors)?;
    let runs = decode_runs(dir, &manifest)?;
    let mut order = Order::default();
    for (run, parts) in by_run(&runs, &manifest.files) {
        for file in parts {
            let path = dir.join(file.name());
            let bytes = files.read(&path).map_err(EngineError::io("reading", &path))?;
            order
                .check(run, &Part::decode(&path, bytes)?)
                .map_err(|error| EngineError::corrupt(&path, error.to_string()))?;
        }
    }
    Ok(manifest)
}

/// What must hold from part to part.
#[derive(Debug, Default)]
struct Order {
    /// Run and part that came last, with its watermark and last row.
    last: Option<(usize, Part)>,
    dimensions: BTreeMap<IndexId, usize>,
}

impl Order {
    fn check(&mut self, run: usize, part: &Part) -> Result<(), DecodeError> {
        let wrong = |field, value| Err(DecodeError::OutOfRange { field, value });
        let number = match &self.last {
            Some((last, before)) if *last == run => {
                let ascending =
                    before.rows.last().map(Row::place) < part.rows.first().map(Row::place);
                if !ascending || before.watermark != part.watermark {
                    return wrong("order of parts", u64::from(part.number));
                }
                before.number + 1
            }
            Some((_, before)) if before.watermark >= part.watermark => {
                return wrong("order of runs", part.watermark.get());
            }
            _ => 0,
        };
        if part.number != number {
            return wrong("part number", u64::from(part.number));
        }
        for row in &part.rows {
            let Some(numbers) = &row.numbers else {
                continue;
            };
            let dimensions = self.dimensions.entry(row.index).or_insert(numbers.len());
            if *dimensions != numbers.len() {
                return wrong("vector bytes", numbers.len() as u64);
            }
        }
        let last = part.rows.last().cloned();
        let end = Part { rows: last.into_iter().collect(), dropped: Vec::new(), ..*part };
        self.last = Some((run, end));
        Ok(())
    }
}

/// The files of each run with its number.
fn by_run<'a>(
    runs: &'a [Run],
    files: &'a [FileRef],
) -> impl Iterator<Item = (usize, &'a [FileRef])> {
    let mut rest = files;
    runs.iter().enumerate().map(move |(number, run)| {
        let parts = usize::try_from(run.parts).unwrap_or(usize::MAX);
        let (files, others) = rest.split_at(parts.min(rest.len()));
        rest = others;
        (number, files)
    })
}

fn encode_runs(runs: &[Run]) -> Vec<u8> {
    let mut out = Vec::with_capacity(runs.len() * 12);
    for run in runs {
        out.extend_from_slice(&run.parts.to_le_bytes());
        out.extend_from_slice(&run.rows.to_le_bytes());
    }
    out
}

fn decode_runs(path: &Path, manifest: &Manifest) -> Result<Vec<Run>, EngineError> {
    let mut reader = ByteReader::new(&manifest.extra);
    let mut runs = Vec::new();
    while reader.left() > 0 {
        let run = reader.u32("parts of a run").and_then(|parts| {
            let rows = reader.u64("rows of a run")?;
            Ok(Run { parts, rows })
        });
        runs.push(run.map_err(|error| EngineError::corrupt(path, error.to_string()))?);
    }
    let parts: u64 = runs.iter().map(|run| u64::from(run.parts)).sum();
    if parts == manifest.files.len() as u64 {
        Ok(runs)
    } else {
        let message = format!("runs of {parts} parts in {} files", manifest.files.len());
        Err(EngineError::corrupt(path, message))
    }
}
