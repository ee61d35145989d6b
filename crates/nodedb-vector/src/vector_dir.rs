//! The directory of runs, segments and tombstones, and what a flush makes of it.

use crate::{
    changes::{Changes, Dead},
    layout::{Known, Layout, Run, SEGMENT_FILES, SegmentEntry},
    load::Loading,
    merge::{Bottom, Source, merge},
    order::Order,
    part::PartId,
    rebuilt::Adoption,
    run::{Part, RunWriter},
    segment::{Segment, SegmentFile, SegmentParts},
    tombstones,
};
use nodedb_engine::{
    DurableLog, EngineError, EngineKind, FileRef, Flushed, IoBudget, Manifest, ManifestDir, NewFile,
};
use nodedb_env::Files;
use nodedb_types::{DecodeError, IndexId, Lsn};
use roaring::RoaringBitmap;
use std::{path::Path, sync::Arc};

/// An engine directory: runs of the rows of all heads, oldest first, and sealed segments.
///
/// A flush merges the newest runs that are together about as large as itself, so that runs grow
/// geometrically: their number is logarithmic in the rows, and so is how often a row is rewritten. It
/// merges everything once more than half of the stored rows are dead or sealed.
#[derive(Debug)]
pub(crate) struct VectorDir {
    files: Arc<dyn Files>,
    dir: ManifestDir,
    layout: Layout,
    /// How fast a flush may write.
    pub(crate) budget: Option<Arc<IoBudget>>,
    /// The last flush that has switched, so that repeating it does nothing but sweep.
    switched: Option<u64>,
    /// Flushes tried in this process. Part of every file name: what failed to be written is written
    /// again under another name (protocol rule P1).
    attempts: u64,
}

/// What a flush writes.
#[derive(Debug)]
pub(crate) struct Flush<'a> {
    /// Which flush of this process; a repeated one has the same number.
    pub(crate) number: u64,
    pub(crate) changes: &'a Changes,
    /// The dead rows of the segments of which some have died.
    pub(crate) dead: &'a Dead,
    /// Rebuilt segments that take the place of others.
    pub(crate) adoptions: &'a [Adoption],
    pub(crate) watermark: Lsn,
    /// Rows that live in runs, these changes included.
    pub(crate) live: u64,
}

impl VectorDir {
    pub(crate) fn create(
        files: Arc<dyn Files>,
        dir: &Path,
    ) -> Result<(Self, Flushed), EngineError> {
        let (dir, flushed) = ManifestDir::create(Arc::clone(&files), dir, EngineKind::Vectors)?;
        Ok((Self::new(files, dir, Layout::default()), flushed))
    }

    pub(crate) fn open(files: Arc<dyn Files>, path: &Path) -> Result<(Self, Flushed), EngineError> {
        let (dir, flushed) = ManifestDir::open(Arc::clone(&files), path, EngineKind::Vectors)?;
        let layout = Layout::decode(path, dir.manifest())?;
        Ok((Self::new(files, dir, layout), flushed))
    }

    fn new(files: Arc<dyn Files>, dir: ManifestDir, layout: Layout) -> Self {
        Self { files, dir, layout, budget: None, switched: None, attempts: 0 }
    }

    pub(crate) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) const fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// Begins a file of a segment.
    pub(crate) fn begin_file(&mut self, name: &str) -> Result<NewFile, EngineError> {
        self.dir.begin_file(name)
    }

    /// Hands out every part of every run, oldest first.
    pub(crate) fn read_runs(
        &self,
        mut each: impl FnMut(Part) -> Result<(), DecodeError>,
    ) -> Result<(), EngineError> {
        let mut order = Order::new(&self.layout);
        for (number, run) in self.layout.runs.iter().enumerate() {
            for file in &run.files {
                let path = self.dir.path().join(file.name());
                let part = Part::decode(&path, self.dir.read_file(file)?)?;
                order
                    .check(number, &part)
                    .and_then(|()| each(part))
                    .map_err(|error| EngineError::corrupt(&path, error.to_string()))?;
            }
        }
        Ok(())
    }

    /// Opens every segment, with its dead rows.
    pub(crate) fn read_segments(&self) -> Result<Vec<OpenSegment>, EngineError> {
        let open = |entry| open_segment(&*self.files, self.dir.path(), &self.layout, entry);
        self.layout.segments.iter().map(open).collect()
    }

    /// Writes the changes and switches to them. Durable on return.
    pub(crate) fn flush(
        &mut self,
        flush: &Flush<'_>,
        log: &dyn DurableLog,
    ) -> Result<Flushed, EngineError> {
        if self.switched == Some(flush.number) {
            // An earlier attempt has switched and failed to sweep.
            return self.dir.switch(self.dir.manifest().clone(), log);
        }
        let name = self.unused_name(flush.watermark);
        let layout = match self.write(flush, &name) {
            Ok(layout) => layout,
            Err(error) => {
                self.discard(&name);
                return Err(error);
            }
        };
        let next = layout.manifest(Some(flush.watermark));
        let result = self.dir.switch(next.clone(), log);
        if *self.dir.manifest() == next {
            self.layout = layout;
            self.switched = Some(flush.number);
        } else if !self.dir.is_in_doubt() {
            self.discard(&name);
        }
        result
    }

    /// How the files of one attempt begin. A flush of an earlier process may have had its watermark.
    fn unused_name(&mut self, watermark: Lsn) -> String {
        loop {
            self.attempts += 1;
            let name = format!("flush-{:020}-{:04}-", watermark.get(), self.attempts);
            if !self.dir.manifest().files.iter().any(|file| file.name().starts_with(&name)) {
                return name;
            }
        }
    }

    /// Writes all new files and says what all files are then.
    fn write(&self, flush: &Flush<'_>, name: &str) -> Result<Layout, EngineError> {
        let mut next = Layout { runs: Vec::new(), ..self.layout.clone() };
        for (index, definition) in &flush.changes.created {
            next.indexes.insert(*index, Known { definition: *definition, sealed: None });
        }
        for index in &flush.changes.dropped {
            next.indexes.remove(index);
        }
        let Layout { indexes, segments, .. } = &mut next;
        segments.retain(|segment| indexes.contains_key(&segment.index));
        self.bury(flush, name, segments)?;
        for adoption in flush.adoptions {
            self.adopt(adoption, name, &mut next)?;
        }
        let from = self.first_merged(flush);
        next.runs = self.layout.runs.iter().take(from).cloned().collect();
        let run = self.write_run(flush, name, (from, &next))?;
        next.runs.extend(Some(run).filter(|run| run.rows > 0));
        Ok(next)
    }

    /// Writes which rows have died, of segments that stay.
    fn bury(
        &self,
        flush: &Flush<'_>,
        name: &str,
        segments: &mut [SegmentEntry],
    ) -> Result<(), EngineError> {
        let replaced = |id: PartId| flush.adoptions.iter().any(|adoption| adoption.replaces(id));
        for segment in segments {
            let dead = flush.dead.get(&(segment.index, segment.id));
            if let Some(dead) = dead.filter(|_| !replaced(segment.id)) {
                self.write_dead(name, segment, dead)?;
            }
        }
        Ok(())
    }

    fn write_dead(
        &self,
        name: &str,
        segment: &mut SegmentEntry,
        dead: &RoaringBitmap,
    ) -> Result<(), EngineError> {
        let name = format!("{name}dead-{:020}.ndb", segment.id.0);
        let bytes = tombstones::encode(segment.of(), dead);
        segment.dead = Some(self.dir.write_file(&name, &bytes)?);
        if let Some(budget) = &self.budget {
            budget.spend(bytes.len() as u64);
        }
        Ok(())
    }

    /// Puts a rebuilt segment in the place of what it was rebuilt from. A row that died meanwhile is
    /// dead in it from the start: what this switch says of the floor holds exactly (protocol rule P12).
    fn adopt(&self, adoption: &Adoption, name: &str, next: &mut Layout) -> Result<(), EngineError> {
        let rebuilt = &adoption.rebuilt;
        let Some(known) = next.indexes.get_mut(&rebuilt.index) else {
            // Dropped since.
            return Ok(());
        };
        known.sealed = known.sealed.max(rebuilt.sealed_until);
        next.segments.retain(|segment| !adoption.replaces(segment.id));
        let Some(sealed) = &rebuilt.sealed else {
            return Ok(());
        };
        let [rows, vectors, graph] = &sealed.files;
        let files = [self.dir.adopt(rows)?, self.dir.adopt(vectors)?, self.dir.adopt(graph)?];
        let (index, id) = (rebuilt.index, rebuilt.id);
        let rows = sealed.segment.len();
        let mut entry = SegmentEntry { index, id, rows, files, dead: None };
        let dead = adoption.dead();
        if !dead.is_empty() {
            self.write_dead(name, &mut entry, &dead)?;
        }
        next.segments.push(entry);
        Ok(())
    }

    /// The oldest run that goes into the new one; all younger go with it.
    fn first_merged(&self, flush: &Flush<'_>) -> usize {
        let runs = &self.layout.runs;
        let mut rows = flush.changes.len();
        let mut first = runs.len();
        for run in runs.iter().rev() {
            if run.rows > 2 * rows {
                break;
            }
            rows += run.rows;
            first -= 1;
        }
        let kept = runs.iter().take(first).map(|run| run.rows);
        if kept.sum::<u64>() + rows > 2 * flush.live { 0 } else { first }
    }

    fn write_run(
        &self,
        flush: &Flush<'_>,
        name: &str,
        (from, next): (usize, &Layout),
    ) -> Result<Run, EngineError> {
        let mut sources = self
            .layout
            .runs
            .iter()
            .skip(from)
            .map(|run| Source::run(&self.dir, run))
            .collect::<Result<Vec<_>, _>>()?;
        sources.push(Source::frozen(flush.changes)?);
        let bottom = if from == 0 { Bottom::Reached } else { Bottom::Above };
        let out = RunWriter::new(&self.dir, format!("{name}run"), flush.watermark);
        let mut out = out.paced(self.budget.as_deref());
        merge(&mut sources, bottom, next, &mut out)?;
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

/// A segment of the manifest, open.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) index: IndexId,
    pub(crate) id: PartId,
    pub(crate) segment: Segment,
    pub(crate) dead: RoaringBitmap,
}

fn open_segment(
    files: &dyn Files,
    dir: &Path,
    layout: &Layout,
    entry: &SegmentEntry,
) -> Result<OpenSegment, EngineError> {
    let [rows, vectors, graph]: [SegmentFile; SEGMENT_FILES] = {
        let open = |file: &FileRef| SegmentFile::open(files, &dir.join(file.name()));
        let [rows, vectors, graph] = &entry.files;
        [open(rows)?, open(vectors)?, open(graph)?]
    };
    let path = rows.path().to_owned();
    let known = layout.indexes.get(&entry.index);
    let known =
        known.ok_or_else(|| EngineError::corrupt(&path, "of an index without definition"))?;
    let spec = known.definition.spec(entry.index);
    let segment = Segment::open(SegmentParts { spec, rows, vectors, graph })?;
    if segment.len() != entry.rows || segment.len() == 0 {
        let message = format!("{} rows instead of {}", segment.len(), entry.rows);
        return Err(EngineError::corrupt(path, message));
    }
    let dead = match &entry.dead {
        None => RoaringBitmap::new(),
        Some(file) => {
            let path = dir.join(file.name());
            let bytes = files.read(&path).map_err(EngineError::io("reading", &path))?;
            tombstones::decode(&path, entry.of(), &bytes)?
        }
    };
    Ok(OpenSegment { index: entry.index, id: entry.id, segment, dead })
}

/// Checks a directory without changing or syncing anything: the manifest, every file that it names,
/// every row in them, and that no key lives twice. Answers the manifest. Takes the memory of all heads, as a
/// load does.
///
/// # Errors
/// [`EngineError::Corrupt`], [`EngineError::UnsupportedFormat`] or [`EngineError::Io`].
pub fn verify(files: &dyn Files, dir: &Path) -> Result<Manifest, EngineError> {
    let manifest = ManifestDir::verify(files, dir, EngineKind::Vectors)?;
    let layout = Layout::decode(dir, &manifest)?;
    let mut order = Order::new(&layout);
    let mut loading = Loading::new(&layout);
    for (number, run) in layout.runs.iter().enumerate() {
        for file in &run.files {
            let path = dir.join(file.name());
            let bytes = files.read(&path).map_err(EngineError::io("reading", &path))?;
            let part = Part::decode(&path, bytes)?;
            order
                .check(number, &part)
                .map_err(|error| EngineError::corrupt(&path, error.to_string()))?;
            loading.take_run(&part);
        }
    }
    for entry in &layout.segments {
        loading.take_segment(open_segment(files, dir, &layout, entry)?);
    }
    loading.finish(dir)?;
    Ok(manifest)
}
