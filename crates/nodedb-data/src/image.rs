//! Hard links of a vshard's immutable files, for a base image.

use crate::{Answer, DataError, Image, Outcome};
use nodedb_bridge::Reply;
use nodedb_engine::{EngineKind, Floor};
use nodedb_env::{EntryKind, Files};
use nodedb_types::{Lsn, VshardId};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// Deepest nesting of an engine's directories.
const DEPTH_MAX: usize = 8;

/// An image that was asked for.
#[derive(Debug)]
pub(crate) struct ImageJob {
    pub(crate) vshard: VshardId,
    /// The directory of the vshard.
    pub(crate) from: PathBuf,
    /// The directory of the image.
    pub(crate) into: PathBuf,
    /// What the board knew when it was asked for.
    pub(crate) floors: [(EngineKind, Floor); EngineKind::ALL.len()],
    pub(crate) reply: Reply<Answer>,
}

/// What the maintenance thread knows of the files of a vshard, which are its own to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileState {
    /// What each engine's files prove.
    pub(crate) own: [(EngineKind, Option<Lsn>); EngineKind::ALL.len()],
    /// The highest watermark that was ever tried: a flush that failed half-way may have left its
    /// records in the tables, and an image must not deny them.
    pub(crate) ceiling: Option<Lsn>,
}

impl FileState {
    /// Notes that a flush begins.
    pub(crate) fn attempt(&mut self, watermark: Lsn) {
        self.ceiling = self.ceiling.max(Some(watermark));
    }

    /// Notes that a flush has proven a floor.
    pub(crate) fn prove(&mut self, engine: EngineKind, floor: Option<Lsn>) {
        for (kind, own) in &mut self.own {
            if *kind == engine {
                *own = (*own).max(floor);
            }
        }
        self.ceiling = self.ceiling.max(floor);
    }

    /// The floors of exactly these files. The board may lag behind them, never lead.
    fn floors(
        &self,
        board: [(EngineKind, Floor); EngineKind::ALL.len()],
    ) -> [(EngineKind, Floor); EngineKind::ALL.len()] {
        board.map(|(kind, floor)| {
            let own = self.own.iter().find(|(engine, _)| *engine == kind);
            let own = own.and_then(|(_, own)| *own);
            let proven = Floor::recorded(own, own).unwrap_or_default();
            (kind, floor.merge(proven))
        })
    }
}

impl ImageJob {
    /// Links the files and answers.
    pub(crate) fn run(self, files: &dyn Files, state: &FileState) {
        let linked = link_all(files, &self.from, &self.into);
        let answer = linked.map(|linked| {
            Outcome::Image(Image {
                floors: state.floors(self.floors),
                ceiling: state.ceiling,
                files: linked,
            })
        });
        self.reply.send(answer);
    }
}

/// Links a whole tree. On failure nothing is left of the new one.
fn link_all(files: &dyn Files, from: &Path, into: &Path) -> Result<Vec<PathBuf>, DataError> {
    files.create_dir(into).map_err(DataError::io("creating", into))?;
    let mut linked = Vec::new();
    let result = link_tree(files, from, into, Path::new(""), &mut linked);
    if let Err(error) = result {
        if let Err(left) = files.remove_dir_all(into) {
            tracing::warn!(error = %left, path = %into.display(), "an image is left half done");
        }
        return Err(error);
    }
    linked.sort();
    Ok(linked)
}

fn link_tree(
    files: &dyn Files,
    from: &Path,
    into: &Path,
    below: &Path,
    linked: &mut Vec<PathBuf>,
) -> Result<(), DataError> {
    let dir = from.join(below);
    let too_deep = below.components().count() > DEPTH_MAX;
    let entries = if too_deep {
        Err(std::io::Error::from(std::io::ErrorKind::QuotaExceeded))
    } else {
        files.list(&dir)
    };
    for entry in entries.map_err(DataError::io("listing", &dir))? {
        let below = below.join(&entry.name);
        match entry.kind {
            EntryKind::File if is_temporary(&entry.name) => {}
            EntryKind::File => {
                let (old, new) = (from.join(&below), into.join(&below));
                files.hard_link(&old, &new).map_err(DataError::io("linking", &old))?;
                linked.push(below);
            }
            EntryKind::Directory => {
                let new = into.join(&below);
                files.create_dir(&new).map_err(DataError::io("creating", new))?;
                link_tree(files, from, into, &below, linked)?;
            }
            // Never ours.
            EntryKind::Other => {}
        }
    }
    Ok(())
}

/// Whether a file is on its way to another name.
fn is_temporary(name: &OsStr) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|extension| extension == "tmp")
        || name.as_encoded_bytes().starts_with(b".tmp")
}
