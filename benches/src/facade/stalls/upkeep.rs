//! What a database does in the background, as its directory shows it.

use anyhow::{Context, Result, ensure};
use nodedb_env::{EntryKind, Env, Files};
use std::{path::Path, thread, time::Duration};

const PATIENCE: Duration = Duration::from_mins(5);
/// A process that has used no more processor time than that for that long does nothing.
const QUIET: Duration = Duration::from_millis(300);
const IDLE: Duration = Duration::from_millis(10);

/// Work that has been finished since the database was created.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Upkeep {
    /// Flushes and merges of documents: each switches to a new version of the tables of its vshard.
    pub(super) switches: u64,
    /// Segments of vectors that were sealed or merged.
    pub(super) segments: u64,
}

impl Upkeep {
    /// Looks at a directory of a database.
    pub(super) fn of(database: &Path) -> Result<Self> {
        let files = Env::real().files;
        let mut upkeep = Self::default();
        for vshard in names(&*files, &database.join("vshards"))? {
            let dir = database.join("vshards").join(vshard);
            // The ballast is a file among them.
            if files.entry(&dir)?.is_none_or(|entry| entry.kind != EntryKind::Directory) {
                continue;
            }
            let versions = names(&*files, &dir.join("documents/tables"))?.into_iter();
            upkeep.switches += versions.filter_map(|name| version(&name)).max().unwrap_or(0);
            let segments = names(&*files, &dir.join("vectors"))?.into_iter();
            upkeep.segments += segments.filter_map(|name| segment(&name)).max().unwrap_or(0);
        }
        Ok(upkeep)
    }

    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            switches: self.switches - before.switches,
            segments: self.segments - before.segments,
        }
    }
}

/// The number of a version file of tables.
fn version(name: &str) -> Option<u64> {
    name.strip_prefix('v')?.parse().ok()
}

/// The number of the segment that a file belongs to.
fn segment(name: &str) -> Option<u64> {
    name.strip_prefix("segment-")?.split('-').next()?.parse().ok()
}

/// Names in a directory; none if it is not there.
fn names(files: &dyn Files, dir: &Path) -> Result<Vec<String>> {
    if files.entry(dir)?.is_none() {
        return Ok(vec![]);
    }
    let entries = files.list(dir)?.into_iter();
    Ok(entries.map(|entry| entry.name.to_string_lossy().into_owned()).collect())
}

/// Returns when this process does nothing any more but wait.
pub(in crate::facade) fn settle() -> Result<()> {
    let clock = Env::real().clock;
    let deadline = clock.now() + PATIENCE;
    loop {
        let (begin, used) = (clock.now(), cpu_time()?);
        while clock.now() < begin + QUIET {
            thread::park_timeout(QUIET);
        }
        if cpu_time()?.saturating_sub(used) <= IDLE {
            return Ok(());
        }
        ensure!(clock.now() < deadline, "still busy after {PATIENCE:?}");
    }
}

fn cpu_time() -> Result<Duration> {
    crate::cpu_time().context("the system tells no processor time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_tell_what_was_made() {
        assert_eq!((version("v12"), version("current"), version("tables")), (Some(12), None, None));
        let name = "segment-00000000000000000017-rows.ndb";
        assert_eq!((segment(name), segment("MANIFEST")), (Some(17), None));
        let nothing = tempfile::tempdir().expect("a directory");
        assert_eq!(Upkeep::of(nothing.path()).expect("no fault"), Upkeep::default());
    }
}
