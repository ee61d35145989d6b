//! What stands in a log directory.

use crate::{
    WalError,
    control::Control,
    segment::name::{segment_number, segment_path, spare_number, unfinished_number},
};
use nodedb_env::{EntryKind, Env};
use std::path::{Path, PathBuf};

/// The files of a log directory by their names. Unknown ones are none of ours and never touched.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Numbers of the segments, ascending.
    pub(crate) segments: Vec<u64>,
    /// Prepared files and their lengths.
    pub(crate) spares: Vec<(PathBuf, u64)>,
    /// Files whose preparation did not end.
    pub(crate) unfinished: Vec<PathBuf>,
    /// Above every number in the name of a spare.
    pub(crate) next_spare: u64,
}

impl Listing {
    pub(crate) fn read(env: &Env, dir: &Path) -> Result<Self, WalError> {
        let mut listing = Self::default();
        let entries = env.files.list(dir).map_err(WalError::io("list", dir))?;
        for entry in entries {
            let Some(name) = entry.name.to_str() else {
                continue;
            };
            if entry.kind != EntryKind::File {
                continue;
            }
            if let Some(number) = segment_number(name) {
                listing.segments.push(number);
            } else if let Some(number) = spare_number(name) {
                listing.spares.push((dir.join(name), entry.len));
                listing.saw_spare(number);
            } else if let Some(number) = unfinished_number(name) {
                listing.unfinished.push(dir.join(name));
                listing.saw_spare(number);
            }
        }
        listing.segments.sort_unstable();
        Ok(listing)
    }

    fn saw_spare(&mut self, number: u64) {
        self.next_spare = self.next_spare.max(number.saturating_add(1));
    }

    /// Spares of full length.
    pub(crate) fn whole_spares(&self, segment_bytes: u64) -> impl Iterator<Item = &Path> {
        let whole = move |spare: &&(PathBuf, u64)| spare.1 == segment_bytes;
        self.spares.iter().filter(whole).map(|(path, _)| path.as_path())
    }

    /// The segments from the oldest one that must be there, without a gap, up to at least the newest.
    ///
    /// # Errors
    /// `MissingSegment`.
    pub(crate) fn live_segments(
        &self,
        dir: &Path,
        control: &Control,
    ) -> Result<Vec<PathBuf>, WalError> {
        let mut paths = Vec::new();
        let mut expected = control.oldest_segment;
        for number in self.segments.iter().filter(|n| **n >= control.oldest_segment) {
            if *number != expected {
                break;
            }
            paths.push(segment_path(dir, *number));
            expected += 1;
        }
        let highest = self.segments.last().copied().unwrap_or(0);
        if expected <= highest.max(control.newest_segment) {
            return Err(WalError::MissingSegment { dir: dir.to_owned(), segment: expected });
        }
        Ok(paths)
    }

    /// Segments below the oldest one that must be there: left by a truncation that did not end.
    pub(crate) fn reclaimed<'a>(
        &'a self,
        dir: &'a Path,
        oldest: u64,
    ) -> impl Iterator<Item = PathBuf> + 'a {
        let numbers = self.segments.iter().filter(move |number| **number < oldest);
        numbers.map(|number| segment_path(dir, *number))
    }
}
