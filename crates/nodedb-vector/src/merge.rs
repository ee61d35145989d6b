//! Several runs and the frozen changes become one run.

use crate::{
    changes::Changes,
    layout::{Layout, Run},
    run::{Part, Row, RunWriter},
};
use bytes::Bytes;
use nodedb_engine::{EngineError, FileRef, ManifestDir};
use std::fmt;

type Rows<'a> = Box<dyn Iterator<Item = Result<Row, EngineError>> + 'a>;

/// Rows in ascending order, of one age.
pub(crate) struct Source<'a> {
    next: Option<Row>,
    rest: Rows<'a>,
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<'a> Source<'a> {
    fn new(mut rest: Rows<'a>) -> Result<Self, EngineError> {
        let next = rest.next().transpose()?;
        Ok(Self { next, rest })
    }

    /// The rows of a run, of which one part at a time is in memory.
    pub(crate) fn run(dir: &'a ManifestDir, run: &'a Run) -> Result<Self, EngineError> {
        let rows = run.files.iter().flat_map(|file| match read(dir, file) {
            Ok(part) => part.rows.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        Self::new(Box::new(rows))
    }

    /// The changes that a freeze set aside.
    pub(crate) fn frozen(changes: &'a Changes) -> Result<Self, EngineError> {
        let rows = changes.rows.iter().flat_map(|(index, rows)| {
            rows.by_key.iter().map(|(key, change)| {
                Ok(Row {
                    index: *index,
                    key: key.clone(),
                    stamp: change.stamp,
                    numbers: change.vector.as_deref().map(to_bytes),
                })
            })
        });
        Self::new(Box::new(rows))
    }

    fn is_at(&self, row: &Row) -> bool {
        self.next.as_ref().is_some_and(|next| next.place() == row.place())
    }

    fn take(&mut self) -> Result<Option<Row>, EngineError> {
        let next = self.rest.next().transpose()?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

fn to_bytes(vector: &[f32]) -> Bytes {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn read(dir: &ManifestDir, file: &FileRef) -> Result<Part, EngineError> {
    Part::decode(&dir.path().join(file.name()), dir.read_file(file)?)
}

/// Writes the newest row of each key that `layout` does not call void. `sources` come oldest first.
///
/// Without anything older below (`bottom`), removals have done their work and are left out.
pub(crate) fn merge(
    sources: &mut [Source<'_>],
    age: Bottom,
    layout: &Layout,
    out: &mut RunWriter<'_>,
) -> Result<(), EngineError> {
    while let Some(newest) = newest_of_least(sources) {
        let Some(row) = sources.get_mut(newest).map(Source::take).transpose()?.flatten() else {
            return Ok(());
        };
        for source in sources.iter_mut().take(newest) {
            if source.is_at(&row) {
                source.take()?;
            }
        }
        let spent = age == Bottom::Reached && row.numbers.is_none();
        if !spent && !layout.is_void(&row) {
            out.push(&row)?;
        }
    }
    Ok(())
}

/// Whether a merge takes in the oldest run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bottom {
    /// Nothing older is left.
    Reached,
    /// Older runs stay, so removals must go on hiding their rows.
    Above,
}

/// The newest of the sources that stand at the least place.
fn newest_of_least(sources: &[Source<'_>]) -> Option<usize> {
    let mut least: Option<(usize, &Row)> = None;
    for (age, source) in sources.iter().enumerate() {
        let Some(row) = &source.next else { continue };
        match least {
            Some((_, best)) if best.place() < row.place() => {}
            _ => least = Some((age, row)),
        }
    }
    least.map(|(age, _)| age)
}
